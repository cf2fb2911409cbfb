//! The state of a watch: a cursor and scopes for good, everything else only while it reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kvs_tree::{Blobref, Key};

use super::cross_namespace_target::{Foreign, Opened};
use super::route::{Route, ScopeMapping, held};
use super::step::ChangeSource;
use crate::changes::KeyChange;
use crate::event::{Behind, TransactionInfo};
use crate::event_cache::{EventKey, Scopes, Shape};
use crate::history::RootAt;
use crate::lanes::WatchId;
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::Principal;
use crate::skim::Filter;
use crate::state::VersionRecord;
use crate::store::Store;

/// A watch. While idle, and unless it follows links, it has no `busy` part.
pub(super) struct WatchState {
    pub(super) store: Arc<Store>,
    pub(super) namespace: Arc<Namespace>,
    pub(super) scopes: Scopes,
    /// Everything up to this version was delivered or does not concern the scopes.
    pub(super) read: u64,
    pub(super) busy: Option<Box<ReadState>>,
    pub(super) id: WatchId,
    pub(super) caller: Principal,
    pub(super) shape: Shape,
}

/// What a watch holds while it reads. One that follows links holds it for good.
#[derive(Default)]
pub(super) struct ReadState {
    /// How to start; `None` once it has started.
    pub(super) start: Option<StartState>,
    /// Events of earlier versions are not delivered.
    pub(super) from: u64,
    /// A gap to report next: versions between these positions are no longer retained.
    pub(super) gap: Option<(Position, Position)>,
    /// The event that is being delivered.
    pub(super) work: Option<EventBuilder>,
    /// The last state that was delivered whole. Kept until the records after it have been read, so
    /// that another gap costs only the differences.
    pub(super) have: Option<RootAt>,
    /// Records read ahead that may concern the watch; bounded by `WATCH_BATCH`.
    pub(super) batch: VecDeque<Arc<VersionRecord>>,
    /// Every version up to this one is in `batch` or does not concern the watch.
    pub(super) scanned: u64,
    /// Where reading of the journal continues, and the version that this is valid for.
    pub(super) group: Option<(u64, u64)>,
    /// Which records can concern the watch; computed when it first reads.
    pub(super) filter: Option<Arc<Filter>>,
    /// Where coalescing started, while it goes on.
    pub(super) coalescing: Option<Coalescing>,
    /// Versions that were skipped without a net change: the next event counts them.
    pub(super) suppressed: u64,
    /// The links that are followed.
    pub(super) routes: Vec<Route>,
    /// The targets of links into other namespaces.
    pub(super) foreign: Vec<Foreign>,
}

/// Where coalescing of versions started.
pub(super) struct Coalescing {
    /// Everything up to this version was delivered before.
    pub(super) read: u64,
    /// The routes at that version, if they have changed since.
    pub(super) routes: Option<Routes>,
}

/// Routes, and the targets of those that lead into other namespaces.
pub(super) struct Routes {
    pub(super) routes: Vec<Route>,
    pub(super) foreign: Vec<Foreign>,
}

/// Borrowed [`Routes`].
#[derive(Clone, Copy)]
pub(super) struct RoutesRef<'a> {
    pub(super) routes: &'a [Route],
    pub(super) foreign: &'a [Foreign],
}

impl Routes {
    pub(super) fn routes_ref(&self) -> RoutesRef<'_> {
        RoutesRef {
            routes: &self.routes,
            foreign: &self.foreign,
        }
    }
}

/// A watch that was opened and has not been read yet.
#[derive(Clone)]
pub(super) struct StartState {
    /// The state to start from, if it is in memory.
    pub(super) root: Option<RootAt>,
    /// Whether the state is delivered first.
    pub(super) list: bool,
    /// In append mode, how many bytes the client already has.
    pub(super) offset: Option<u64>,
    /// Whether it resumes from a version. What its client knows of other namespaces is then
    /// unknown.
    pub(super) resumed: bool,
    pub(super) opened: Opened,
}

/// An event that is being built and delivered part by part.
pub(super) struct EventBuilder {
    pub(super) head: EventHeader,
    pub(super) position: Position,
    pub(super) root: Blobref,
    pub(super) time_ms: u64,
    /// Finished changes, which take precedence over differences of the trees.
    pub(super) direct: BTreeMap<Key, KeyChange>,
    pub(super) steps: VecDeque<ChangeSource>,
    /// Sources that are exhausted, at most one per scope: their keys are not reported again.
    pub(super) done: Arc<[ChangeSource]>,
    /// The current part, and about its size in bytes.
    pub(super) part: Vec<KeyChange>,
    pub(super) bytes: usize,
    /// The version up to which the watch has read once this event is delivered.
    pub(super) reached: u64,
    /// The key under which the event is cached, if it can be shared.
    pub(super) share: Option<EventKey>,
    /// Whether a part has been delivered.
    pub(super) begun: bool,
    /// The whole state, if that is what is delivered.
    pub(super) whole: Option<RootAt>,
}

/// The kind of an event.
pub(super) enum EventHeader {
    Initial {
        differences: bool,
    },
    Changes {
        transactions: Vec<TransactionInfo>,
        skipped: u64,
        behind: Option<Behind>,
    },
}

impl ReadState {
    /// Whether no event is in progress or due.
    pub(super) fn settled(&self) -> bool {
        self.start.is_none() && self.gap.is_none() && self.work.is_none()
    }
}

impl WatchState {
    pub(super) fn busy(&mut self) -> &mut ReadState {
        self.busy.get_or_insert_default()
    }

    pub(super) fn routes(&self) -> &[Route] {
        self.busy.as_ref().map_or(&[], |busy| &busy.routes)
    }

    /// The routes that are followed.
    pub(super) fn routes_ref(&self) -> RoutesRef<'_> {
        RoutesRef {
            routes: self.routes(),
            foreign: self.busy.as_ref().map_or(&[], |busy| &busy.foreign),
        }
    }

    /// The keys of its namespace's tree that the watch reads.
    pub(super) fn aim(&self) -> ScopeMapping {
        ScopeMapping::new(self.scopes.as_slice(), self.routes(), &[])
    }

    /// Which records can concern the watch. Cached while it reads.
    pub(super) fn filter(&mut self) -> Arc<Filter> {
        if let Some(filter) = self.busy.as_ref().and_then(|busy| busy.filter.clone()) {
            return filter;
        }
        let scopes = self.scopes.as_slice();
        let held = held(scopes, self.routes());
        let filter = Arc::new(Filter::new(scopes.iter().chain(&held)));
        self.busy().filter = Some(filter.clone());
        filter
    }

    /// Replaces the routes by those at `version` and returns the previous ones.
    pub(super) fn set_routes(&mut self, routes: Routes, version: u64) -> Routes {
        let Routes { routes, foreign } = routes;
        let before = self.routes().to_vec();
        self.follow(routes, version);
        Routes {
            routes: before,
            foreign: std::mem::replace(&mut self.busy().foreign, foreign),
        }
    }

    /// Follows these routes, valid at version `at`; everything up to it has been handled.
    pub(super) fn follow(&mut self, routes: Vec<Route>, at: u64) {
        let scopes = self.scopes.as_slice();
        let (old, new) = (held(scopes, self.routes()), held(scopes, &routes));
        self.namespace.exchange(self.id, at, &old, &new);
        let busy = self.busy();
        busy.routes = routes;
        // What was read ahead was filtered for the old routes.
        busy.batch.clear();
        busy.scanned = at;
        busy.group = None;
        busy.filter = None;
    }

    /// Restarts coalescing that was dropped half-way.
    pub(super) fn coalesce_again(&mut self) {
        let Some(busy) = self.busy.as_mut() else {
            return;
        };
        if let Some(Coalescing { read, routes }) = busy.coalescing.take() {
            busy.batch.clear();
            (busy.scanned, busy.group) = (read, None);
            self.read = read;
            match routes {
                Some(routes) => drop(self.set_routes(routes, read)),
                None => self.namespace.exchange(self.id, read, &[], &[]),
            }
        }
    }

    /// Releases what only a reading watch needs.
    pub(super) fn rest(&mut self) {
        let Some(busy) = &mut self.busy else { return };
        let idle = busy.settled()
            && busy.from <= self.read + 1
            && busy.routes.is_empty()
            && busy.foreign.is_empty()
            && busy.suppressed == 0;
        if idle {
            self.busy = None;
            return;
        }
        busy.batch = VecDeque::new();
        busy.group = None;
        busy.have = None;
        busy.filter = None;
    }
}

impl Drop for WatchState {
    fn drop(&mut self) {
        let mut all = self.scopes.as_slice().to_vec();
        all.extend(held(self.scopes.as_slice(), self.routes()));
        self.namespace.unsubscribe(self.id, &all);
        let scopes = self.scopes.as_slice();
        let tenant = self.store.tenant(self.caller);
        self.store.scopes.release(tenant, scopes);
    }
}
