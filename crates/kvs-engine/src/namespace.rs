//! One namespace as its readers see it: the published root, the past, the watches and whoever waits
//! for a version. The commit task is the only one that publishes.
//!
//! Lock order: `watches` before `history`; neither is held across an await or a disk access.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use kvs_tree::Scope;
use smol_str::SmolStr;
use tokio::sync::oneshot;

use crate::dispatch::{Dispatch, Wake, WatchId};
use crate::error::{EngineError, ErrorKind};
use crate::history::{History, RootAt, Written};
use crate::limits::{GUEST_VERSION_WAITERS, VERSION_WAITERS, WATCHES};
use crate::places::Places;
use crate::record::VersionRecord;
use crate::reference::{Position, SnapshotRef};
use crate::request::Principal;
use crate::shared::SharedEvents;

/// A version that is durable and about to be shown.
pub(crate) struct Publication {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) root: RootAt,
    /// The journal group that holds it.
    pub(crate) group: u64,
    /// About what its record takes in memory.
    pub(crate) bytes: usize,
}

/// Those who wait for versions.
#[derive(Default)]
struct Waiters {
    by_version: BTreeMap<u64, Vec<(Principal, oneshot::Sender<Position>)>>,
    places: Places,
}

impl Waiters {
    /// Forgets those that went away.
    fn tidy(&mut self) {
        for list in self.by_version.values_mut() {
            list.retain(|(principal, waiter)| {
                let gone = waiter.is_closed();
                if gone {
                    self.places.give_back(*principal);
                }
                !gone
            });
        }
        self.by_version.retain(|_, list| !list.is_empty());
    }
}

/// The shared, readable side of one incarnation of a namespace.
pub(crate) struct Namespace {
    pub(crate) name: SmolStr,
    owner: AtomicU32,
    pub(crate) incarnation: u64,
    published: ArcSwap<RootAt>,
    history: Mutex<History>,
    watches: Mutex<Dispatch>,
    waiters: Mutex<Waiters>,
    shared: Mutex<SharedEvents>,
    /// Users who may read it although they do not own it.
    readers: Mutex<BTreeSet<u32>>,
    removed: AtomicBool,
    /// The group of the newest version, or of the namespace's making.
    moved: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain data, never half an update that matters.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Namespace {
    pub(crate) fn new(
        name: SmolStr,
        owner: u32,
        incarnation: u64,
        root: RootAt,
        history: History,
    ) -> Self {
        Self {
            name,
            owner: AtomicU32::new(owner),
            incarnation,
            published: ArcSwap::from_pointee(root),
            history: Mutex::new(history),
            watches: Mutex::default(),
            waiters: Mutex::default(),
            shared: Mutex::default(),
            readers: Mutex::default(),
            removed: AtomicBool::new(false),
            moved: AtomicU64::new(0),
        }
    }

    /// The same, made by this group.
    pub(crate) fn made_by(self, group: u64) -> Self {
        Self {
            moved: AtomicU64::new(group),
            ..self
        }
    }

    /// The group of what was published last, at the least; no older than what [`published`](Self::published) gave before.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    /// The same, with those who may read it although they do not own it.
    pub(crate) fn shared_with(self, readers: BTreeSet<u32>) -> Self {
        Self {
            readers: Mutex::new(readers),
            ..self
        }
    }

    /// Who owns it.
    pub(crate) fn owner(&self) -> u32 {
        self.owner.load(Ordering::Acquire)
    }

    /// Makes another user the owner. Who owned it before keeps no right, not even one to read that it was given; all others
    /// keep theirs. Watches and waits look at their rights again.
    pub(crate) fn give(&self, owner: u32, before: u32, wakes: &mut Vec<Wake>) {
        lock(&self.readers).retain(|uid| *uid != before && *uid != owner);
        self.owner.store(owner, Ordering::Release);
        self.look_again(wakes);
    }

    /// Those who may read it although they do not own it.
    pub(crate) fn readers(&self) -> Vec<u32> {
        lock(&self.readers).iter().copied().collect()
    }

    pub(crate) fn is_shared_with(&self, uid: u32) -> bool {
        lock(&self.readers).contains(&uid)
    }

    /// Lets a user read the namespace.
    pub(crate) fn share(&self, uid: u32) {
        lock(&self.readers).insert(uid);
    }

    /// Takes that right back; watches and waits look at their rights again.
    pub(crate) fn withdraw(&self, uid: u32, wakes: &mut Vec<Wake>) {
        if lock(&self.readers).remove(&uid) {
            self.look_again(wakes);
        }
    }

    /// Has everybody who watches or waits look whether they may.
    fn look_again(&self, wakes: &mut Vec<Wake>) {
        wakes.extend(lock(&self.watches).wake_all());
        let now = self.position();
        let waiters = std::mem::take(&mut *lock(&self.waiters));
        for (_, waiter) in waiters.by_version.into_values().flatten() {
            // A waiter that went away does not want to know.
            let _ = waiter.send(now);
        }
    }

    /// The newest durable version.
    pub(crate) fn published(&self) -> Arc<RootAt> {
        self.published.load_full()
    }

    /// What `see` makes of the newest durable version. For a moment: a version that is published meanwhile may have to wait.
    pub(crate) fn with_published<T>(&self, see: impl FnOnce(&RootAt) -> T) -> T {
        see(&self.published.load())
    }

    pub(crate) fn position(&self) -> Position {
        self.at(self.published.load().version)
    }

    pub(crate) fn at(&self, version: u64) -> Position {
        Position {
            incarnation: self.incarnation,
            version,
        }
    }

    pub(crate) fn snapshot(&self, root: &RootAt) -> SnapshotRef {
        SnapshotRef {
            namespace: self.name.clone(),
            version: root.version,
            root: root.root,
        }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// Shows a version to every reader and notes which watches it concerns. The wakes are to be
    /// called when the caller holds no lock.
    pub(crate) fn publish(&self, publication: Publication, wakes: &mut Vec<Wake>) {
        let Publication {
            record,
            root,
            group,
            bytes,
        } = publication;
        let version = root.version;
        {
            let mut watches = lock(&self.watches);
            {
                let mut history = lock(&self.history);
                history.push(Written {
                    record: record.clone(),
                    group,
                    bytes,
                });
                history.push_root(root.clone());
            }
            self.moved.store(group, Ordering::Release);
            self.published.store(Arc::new(root));
            watches.publish(version, record.effects(), wakes);
        }
        let mut waiters = lock(&self.waiters);
        while let Some(first) = waiters.by_version.first_entry()
            && *first.key() <= version
        {
            for (principal, waiter) in first.remove() {
                waiters.places.give_back(principal);
                // A waiter that went away does not want to know.
                let _ = waiter.send(self.at(version));
            }
        }
    }

    /// Takes versions of the journal in, the last of which has `root`. Nobody watches yet.
    pub(crate) fn replayed(&self, versions: Vec<Written>, root: RootAt) {
        let mut history = lock(&self.history);
        versions
            .into_iter()
            .for_each(|version| history.push(version));
        history.push_root(root.clone());
        self.published.store(Arc::new(root));
    }

    /// Swaps in an equal root that holds less in memory.
    pub(crate) fn replace_root(&self, root: RootAt) {
        self.published.store(Arc::new(root));
    }

    /// Ends the namespace: watches and waiters learn that nothing more will come.
    pub(crate) fn remove(&self, wakes: &mut Vec<Wake>) {
        self.removed.store(true, Ordering::Release);
        wakes.extend(lock(&self.watches).wake_all());
        *lock(&self.waiters) = Waiters::default();
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Waits until `version` is published, or rights have changed: then the version that is told is a lower one.
    pub(crate) async fn wait(
        &self,
        principal: Principal,
        version: u64,
    ) -> Result<Position, EngineError> {
        let receiver = {
            let mut waiters = lock(&self.waiters);
            // Looked at under the lock, so that a publication cannot slip in between.
            let now = self.position();
            if now.version >= version {
                return Ok(now);
            }
            let take = |waiters: &mut Waiters| {
                let places = &mut waiters.places;
                places.take(principal, VERSION_WAITERS, GUEST_VERSION_WAITERS)
            };
            let mut taken = take(&mut waiters);
            if taken.is_err() {
                waiters.tidy();
                taken = take(&mut waiters);
            }
            if let Err(most) = taken {
                return Err(EngineError::new(
                    ErrorKind::Limit,
                    format!("{most} waits on namespace {} already", self.name),
                ));
            }
            let (sender, receiver) = oneshot::channel();
            let waiting = waiters.by_version.entry(version).or_default();
            waiting.push((principal, sender));
            receiver
        };
        receiver
            .await
            .map_err(|_| EngineError::no_namespace(&self.name))
    }

    /// Registers a watch at an exact version: everything after `read` counts as unread; without
    /// `read`, everything after the version that is published at this moment, which is returned.
    pub(crate) fn subscribe(
        &self,
        scopes: &[Scope],
        read: Option<u64>,
        wake: Wake,
    ) -> Result<(WatchId, Arc<RootAt>), EngineError> {
        let mut watches = lock(&self.watches);
        if watches.len() >= WATCHES {
            return Err(EngineError::new(
                ErrorKind::Limit,
                format!("{WATCHES} watches on namespace {} already", self.name),
            ));
        }
        let now = self.published.load_full();
        let hit = read.filter(|&read| read < now.version).map(|read| read + 1);
        Ok((watches.add(scopes, hit, wake), now))
    }

    /// Events that watches of equal scopes share.
    pub(crate) fn shared(&self) -> MutexGuard<'_, SharedEvents> {
        lock(&self.shared)
    }

    /// Whom a watch wakes.
    pub(crate) fn wake_of(&self, id: WatchId) -> Option<Wake> {
        lock(&self.watches).wake_of(id)
    }

    /// The newest version, if nothing up to it waits to be read by the watch.
    pub(crate) fn quiet(&self, id: WatchId) -> Option<Arc<RootAt>> {
        let watches = lock(&self.watches);
        let now = self.published.load_full();
        watches.hit(id).is_none().then_some(now)
    }

    /// Removes a watch that is registered for `scopes`.
    pub(crate) fn unsubscribe(&self, id: WatchId, scopes: &[Scope]) {
        lock(&self.watches).remove(id, scopes);
    }

    /// Exchanges scopes of a watch that has read everything up to `read`: whatever came since counts
    /// as unread, since it was looked at for the old ones.
    pub(crate) fn exchange(&self, id: WatchId, read: u64, old: &[Scope], new: &[Scope]) {
        let mut watches = lock(&self.watches);
        watches.release(id, old);
        watches.hold(id, new);
        watches.settle(id, read, self.published.load().version);
    }

    /// The first version from which the watch has something to read, having read up to `read`; `None` if there is nothing
    /// now, in which case its wake will be called when there is.
    pub(crate) fn next_hit(&self, id: WatchId, read: u64) -> Option<u64> {
        let mut watches = lock(&self.watches);
        let hit = watches.hit(id)?;
        if hit > read {
            return Some(hit);
        }
        watches.settle(id, read, self.published.load().version);
        watches.hit(id)
    }
}
