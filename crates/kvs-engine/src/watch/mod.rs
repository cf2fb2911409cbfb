//! A watch: a cursor into the journal, and scopes. It has no queue and no task: its owner asks for
//! the next event when the client has credit, and is woken when there may be one.
//!
//! Events are built from the journal's records (`cursor`, `version`, `latest`), part by part
//! (`work`, `step`), so a lagging watch costs nothing while it waits. If its next version is no
//! longer retained, it delivers a gap and then the current state (`begin`). Links on the way to a
//! watched key are followed (`route`, `retarget`), also into other namespaces
//! (`cross_namespace_target`, `cross_namespace_events`). RFC 0006.

mod route;

mod collect;

mod step;

mod direct;

mod cross_namespace_target;

mod state;

mod retarget;

mod cursor;

mod work;

mod version;

mod latest;

mod begin;

mod cross_namespace_events;

use std::sync::Arc;

use self::cross_namespace_target::Opened;
use self::state::{ReadState, StartState, WatchState};
use crate::dispatch::Wake;
use crate::error::{EngineError, ErrorKind};
use crate::event::{SharedEvent, WatchEvent};
use crate::event_cache::{ModeKind, Scopes, Shape};
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::{Mode, Principal, Start, WatchRequest};
use crate::slices::SliceKind;
use crate::state::VersionRecord;
use crate::store::Store;

/// Effects of a version, or coalesced versions, above which the work is timed.
const MUCH: usize = 64;

/// A registered watch. Dropping it unregisters it.
pub struct Watch(WatchState);

impl Watch {
    pub(crate) fn open(
        store: &Arc<Store>,
        caller: Principal,
        name: &str,
        request: WatchRequest,
        wake: Wake,
    ) -> Result<Self, EngineError> {
        let namespace = store.readable(caller, name)?;
        let (kind, offset) = match request.mode {
            Mode::Every => (ModeKind::Every, None),
            Mode::Latest => (ModeKind::Latest, None),
            Mode::Append { offset } => (ModeKind::Append, Some(offset)),
            Mode::Unique => (ModeKind::Unique, None),
        };
        let one_key = request.scopes.len() == 1 && request.scopes.iter().all(names_a_key);
        if offset.is_some_and(|offset| offset > 0) && !one_key {
            let message = "an offset to append from is for a watch of one key";
            return Err(EngineError::new(ErrorKind::Invalid, message));
        }
        let asked = match request.start {
            Start::Version { version, .. } => Some(version.saturating_sub(1)),
            Start::Now | Start::Initial => None,
        };
        let opened = Opened {
            group: store.feed.newest(),
            removals: store.removals(),
        };
        let published = namespace.published().version;
        let ahead = asked.is_some_and(|asked| asked > published);
        if offset.is_some() && ahead && !is_of_another_incarnation(request.start, &namespace) {
            let message = "mode append begins with what there is, not at a version to come";
            return Err(EngineError::new(ErrorKind::Invalid, message));
        }
        let scopes = Scopes::new(request.scopes);
        let tenant = store.tenant(caller);
        store.scopes.hold(tenant, scopes.as_slice())?;
        let subscribed = namespace.subscribe(tenant, scopes.as_slice(), asked, wake);
        let (id, now) = subscribed.inspect_err(|_| {
            store.scopes.release(tenant, scopes.as_slice());
        })?;
        // A watch of a future version waits for it with the links as they are now.
        let read = asked.unwrap_or(now.version).min(now.version);
        let mut state = WatchState {
            store: store.clone(),
            scopes,
            read,
            busy: None,
            id,
            caller,
            shape: Shape {
                kind,
                values: request.values,
                previous: request.previous,
            },
            namespace,
        };
        let version = now.version;
        let current = asked
            .is_none_or(|asked| asked >= version)
            .then(|| (*now).clone());
        let busy = state.busy();
        busy.from = asked.map_or(0, |asked| asked.saturating_add(1));
        busy.start = Some(StartState {
            root: current,
            list: request.start == Start::Initial,
            offset: offset.filter(|_| one_key),
            resumed: asked.is_some(),
            opened,
        });
        if let Start::Version {
            incarnation: Some(incarnation),
            version: asked,
        } = request.start
            && is_of_another_incarnation(request.start, &state.namespace)
        {
            let from = Position {
                incarnation,
                version: asked.saturating_sub(1),
            };
            let to = state.namespace.at(version);
            let busy = state.busy();
            busy.from = 0;
            busy.gap = Some((from, to));
        }
        Ok(Self(state))
    }

    /// The name of the watched namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace.name
    }

    /// Every version up to this position was delivered or does not concern the scopes. An event in
    /// several parts counts once its last part was delivered.
    pub fn position(&self) -> Position {
        self.0.namespace.at(self.0.read)
    }

    /// The position for a bookmark: every version up to it was delivered, or was matched and does
    /// not concern the scopes. It may be before the newest published version. Cheap: reads nothing.
    pub fn mark(&mut self) -> Position {
        let state = &mut self.0;
        if state.busy.as_ref().is_none_or(|busy| busy.settled())
            && let Some(matched) = state.namespace.quiet(state.id)
        {
            state.read = state.read.max(matched);
        }
        self.position()
    }

    /// Checks that the watch may continue, without asking for an event.
    ///
    /// # Errors
    /// `NoNamespace` if the namespace was removed, `Permission` if the caller may no longer read
    /// it.
    pub fn check(&self) -> Result<(), EngineError> {
        self.0.check()
    }

    /// The next event. If there is none now, returns `None`, and the watch's sink is woken when
    /// there may be one. Cancel-safe: dropping the future loses only work.
    ///
    /// # Errors
    /// `NoNamespace` if the namespace was removed, `Permission` if the caller may no longer read it
    /// or the target of a link, `Corrupt` for damaged data. Each ends the watch.
    pub async fn next(&mut self) -> Result<Option<Arc<SharedEvent>>, EngineError> {
        let state = &mut self.0;
        loop {
            state.check()?;
            match state.advance().await {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(Stop::Idle) => return Ok(None),
                Err(Stop::Failed(error)) if error.kind == ErrorKind::Compacted => {
                    state.coalesce_again();
                    // Versions before the requested start are not part of a gap.
                    let asked = state.busy.as_ref().map_or(0, |busy| busy.from);
                    let newest = state.namespace.published().version;
                    let from = state.read.max(asked.saturating_sub(1)).min(newest);
                    let from = state.namespace.at(from);
                    state.lost(from).await?;
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }
}

/// Whether the watch starts in another incarnation of the namespace than the current one.
fn is_of_another_incarnation(start: Start, namespace: &Namespace) -> bool {
    matches!(start, Start::Version { incarnation: Some(one), .. } if one != namespace.incarnation)
}

fn names_a_key(scope: &kvs_tree::Scope) -> bool {
    !matches!(scope, kvs_tree::Scope::Glob(_)) && !scope.literal_prefix().is_root()
}

/// Why a watch does not advance now.
enum Stop {
    Idle,
    Failed(EngineError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl WatchState {
    fn check(&self) -> Result<(), EngineError> {
        // Rights first: a caller without them must not learn whether the namespace was removed.
        self.store.may_read(self.caller, &self.namespace)?;
        if self.namespace.is_removed() {
            return Err(EngineError::no_namespace(&self.namespace.name));
        }
        let mut foreign = self.routes_ref().foreign.iter();
        foreign.try_for_each(|foreign| foreign.check(&self.store, self.caller))
    }

    /// One step: returns an event, or makes progress towards one.
    async fn advance(&mut self) -> Result<Option<Arc<SharedEvent>>, Stop> {
        if let Some(beginning) = self.busy.as_ref().and_then(|busy| busy.start.clone()) {
            let slices = self.store.slices.clone();
            let foreign_life = self.busy.as_ref().and_then(|busy| busy.gap);
            match foreign_life {
                Some((from, _)) => self.lost(from).await?,
                None if beginning.list => {
                    slices
                        .timed(SliceKind::Watch, self.begin(beginning))
                        .await?
                }
                None => self.begin(beginning).await?,
            }
            self.busy().start = None;
        }
        if let Some((from, to)) = self.busy.as_mut().and_then(|busy| busy.gap.take()) {
            let event = WatchEvent::Gap { from, to };
            return Ok(Some(Arc::new(SharedEvent::new(event))));
        }
        if self.busy.as_ref().is_some_and(|busy| busy.work.is_some()) {
            return self.part().await;
        }
        self.coalesce_again();
        if self.tell_untold().await? {
            return self.part().await;
        }
        if let Some(event) = self.shared_event() {
            return Ok(Some(event));
        }
        match self.next_record().await? {
            Some(record) if self.coalesces(record.version) => match self.has_much(&record) {
                true => {
                    let slices = self.store.slices.clone();
                    slices
                        .timed(SliceKind::Watch, self.tell_newest(record))
                        .await?;
                }
                false => self.tell_newest(record).await?,
            },
            Some(record) if self.has_much(&record) => {
                let slices = self.store.slices.clone();
                slices.timed(SliceKind::Watch, self.tell(&record)).await?;
            }
            Some(record) => self.tell(&record).await?,
            None if self.tell_abroad().await? => {}
            None => {
                self.rest();
                return Err(Stop::Idle);
            }
        }
        if self.busy.as_ref().is_some_and(|busy| busy.work.is_some()) {
            return self.part().await;
        }
        Ok(None)
    }

    /// Whether the work on this record is large enough to be timed.
    fn has_much(&self, record: &VersionRecord) -> bool {
        let ahead = self.busy.as_ref().map_or(0, |busy| busy.batch.len());
        let records = if self.shape.kind == ModeKind::Latest {
            ahead
        } else {
            0
        };
        records > MUCH || record.effects().nth(MUCH).is_some()
    }

    /// Whether versions from this one on are coalesced.
    fn coalesces(&self, version: u64) -> bool {
        let from = self.busy.as_ref().map_or(0, |busy| busy.from);
        self.shape.kind == ModeKind::Latest && version >= from
    }

    /// The event of the next version, if a watch with the same scopes and shape has cached it.
    fn shared_event(&mut self) -> Option<Arc<SharedEvent>> {
        let version = self.next_hit()?;
        let busy = self.busy.as_ref();
        let apart = |busy: &ReadState| {
            !busy.foreign.is_empty() || version < busy.from || busy.suppressed > 0
        };
        if busy.is_some_and(|busy| apart(busy)) {
            return None;
        }
        if self.shape.kind == ModeKind::Latest && self.namespace.published().version != version {
            return None;
        }
        let key = self.event_key(version);
        let event = self.namespace.shared().get(&key)?;
        self.read = version;
        Some(event)
    }
}
