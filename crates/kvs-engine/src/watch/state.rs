//! What a watch is made of: a cursor and scopes; and, only while it has something to do, the rest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kvs_tree::{Blobref, Key};

use super::foreign::{Foreign, Opened};
use super::route::{Aim, Route, held};
use super::step::Step;
use crate::changes::KeyChange;
use crate::event::{Behind, TransactionInfo};
use crate::history::RootAt;
use crate::lanes::WatchId;
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::Principal;
use crate::shared::{EventKey, Scopes, Shape};
use crate::skim::Filter;
use crate::state::VersionRecord;
use crate::store::Store;

/// A watch's state. An idle watch of a key without links on its way has no `busy`.
pub(super) struct State {
    pub(super) store: Arc<Store>,
    pub(super) namespace: Arc<Namespace>,
    pub(super) scopes: Scopes,
    /// Everything up to this version was delivered or does not concern the scopes.
    pub(super) read: u64,
    pub(super) busy: Option<Box<Busy>>,
    pub(super) id: WatchId,
    pub(super) caller: Principal,
    pub(super) shape: Shape,
}

/// What a watch needs while it reads, and one that follows links for good.
#[derive(Default)]
pub(super) struct Busy {
    /// How it begins, until it has.
    pub(super) start: Option<Beginning>,
    /// Events of versions before this one are not told.
    pub(super) from: u64,
    /// Versions were lost since here; that is to be told next.
    pub(super) gap: Option<(Position, Position)>,
    /// The event that is being told.
    pub(super) work: Option<Work>,
    /// The last state that was told as a whole; kept until the records after it have been read, so
    /// that a further gap costs its differences only.
    pub(super) have: Option<RootAt>,
    /// Records read ahead that may concern the watch; bounded by `WATCH_BATCH`.
    pub(super) batch: VecDeque<Arc<VersionRecord>>,
    /// Every version up to this one is in `batch` or does not concern the watch.
    pub(super) scanned: u64,
    /// Where reading the journal goes on, and the version that this holds for.
    pub(super) group: Option<(u64, u64)>,
    /// Which records can concern the watch, once it has looked for them.
    pub(super) filter: Option<Arc<Filter>>,
    /// While versions are summed up: where the sum began.
    pub(super) summing: Option<Summing>,
    /// Versions that were passed over and came to nothing: the next event counts them.
    pub(super) passed: u64,
    /// The links that are followed.
    pub(super) routes: Vec<Route>,
    /// What is behind links into other namespaces.
    pub(super) foreign: Vec<Foreign>,
}

/// Where a sum of versions began.
pub(super) struct Summing {
    /// Everything up to this version was told before.
    pub(super) read: u64,
    /// The ways there, if others were taken since.
    pub(super) ways: Option<Ways>,
}

/// Routes, and what is behind those that lead into other namespaces.
pub(super) struct Ways {
    pub(super) routes: Vec<Route>,
    pub(super) foreign: Vec<Foreign>,
}

/// Ways that are looked at.
#[derive(Clone, Copy)]
pub(super) struct Leads<'a> {
    pub(super) routes: &'a [Route],
    pub(super) foreign: &'a [Foreign],
}

impl Ways {
    pub(super) fn leads(&self) -> Leads<'_> {
        Leads {
            routes: &self.routes,
            foreign: &self.foreign,
        }
    }
}

/// A watch that was opened and has not been read yet.
#[derive(Clone)]
pub(super) struct Beginning {
    /// The state that it begins at, if that is at hand.
    pub(super) root: Option<RootAt>,
    /// Whether the state is told first.
    pub(super) list: bool,
    /// In append mode, how many bytes the client has.
    pub(super) offset: Option<u64>,
    /// Whether it goes on from a version, so that what its client was told behind links into other
    /// namespaces is not known.
    pub(super) resumed: bool,
    pub(super) opened: Opened,
}

/// An event on its way.
pub(super) struct Work {
    pub(super) head: Head,
    pub(super) position: Position,
    pub(super) root: Blobref,
    pub(super) time_ms: u64,
    /// Finished changes that differences are not to tell otherwise.
    pub(super) direct: BTreeMap<Key, KeyChange>,
    pub(super) steps: VecDeque<Step>,
    /// Steps that are done, one a scope at most: a key that one of them told is not told again.
    pub(super) done: Arc<[Step]>,
    /// The part that is being made, and about its size.
    pub(super) part: Vec<KeyChange>,
    pub(super) bytes: usize,
    /// How far the watch has read once this is told.
    pub(super) reached: u64,
    /// Where the event is shared, if it can be.
    pub(super) share: Option<EventKey>,
    /// Whether a part was told.
    pub(super) begun: bool,
    /// The state as a whole, if that is what is told.
    pub(super) whole: Option<RootAt>,
}

/// What kind of event it is.
pub(super) enum Head {
    Initial {
        differences: bool,
    },
    Changes {
        transactions: Vec<TransactionInfo>,
        skipped: u64,
        behind: Option<Behind>,
    },
}

impl Busy {
    /// Whether nothing is being told, nor about to be.
    pub(super) fn settled(&self) -> bool {
        self.start.is_none() && self.gap.is_none() && self.work.is_none()
    }
}

impl State {
    pub(super) fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    pub(super) fn routes(&self) -> &[Route] {
        self.busy.as_ref().map_or(&[], |busy| &busy.routes)
    }

    /// The ways that are followed.
    pub(super) fn leads(&self) -> Leads<'_> {
        Leads {
            routes: self.routes(),
            foreign: self.busy.as_ref().map_or(&[], |busy| &busy.foreign),
        }
    }

    /// What the watch looks at in its namespace's tree.
    pub(super) fn aim(&self) -> Aim {
        Aim::new(self.scopes.as_slice(), self.routes(), &[])
    }

    /// Which records can concern the watch. Kept while it reads.
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

    /// Takes new ways, which hold at `version`, and gives those before.
    pub(super) fn go(&mut self, ways: Ways, version: u64) -> Ways {
        let Ways { routes, foreign } = ways;
        let before = self.routes().to_vec();
        self.follow(routes, version);
        Ways {
            routes: before,
            foreign: std::mem::replace(&mut self.busy().foreign, foreign),
        }
    }

    /// Follows these routes, which hold at version `at`: everything up to it is settled.
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

    /// Takes up again a sum that was dropped half-way.
    pub(super) fn sum_again(&mut self) {
        let Some(busy) = self.busy.as_mut() else {
            return;
        };
        if let Some(Summing { read, ways }) = busy.summing.take() {
            busy.batch.clear();
            (busy.scanned, busy.group) = (read, None);
            self.read = read;
            match ways {
                Some(ways) => drop(self.go(ways, read)),
                None => self.namespace.exchange(self.id, read, &[], &[]),
            }
        }
    }

    /// Gives back what only a busy watch needs.
    pub(super) fn rest(&mut self) {
        let Some(busy) = &mut self.busy else { return };
        let idle = busy.settled()
            && busy.from <= self.read + 1
            && busy.routes.is_empty()
            && busy.foreign.is_empty()
            && busy.passed == 0;
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

impl Drop for State {
    fn drop(&mut self) {
        let mut all = self.scopes.as_slice().to_vec();
        all.extend(held(self.scopes.as_slice(), self.routes()));
        self.namespace.unsubscribe(self.id, &all);
        let scopes = self.scopes.as_slice();
        let tenant = self.store.tenant(self.caller);
        self.store.scopes.release(tenant, scopes);
    }
}
