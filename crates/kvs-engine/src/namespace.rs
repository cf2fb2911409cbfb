//! The shared, readable side of a namespace: its published root, its history, its watches, and the
//! clients that wait for a version. Only the commit task publishes.
//!
//! Lock order: `watches` before `history`; neither is held across an await or a disk access.
//!
//! Publishing wakes no watch. The watches to wake are found afterwards, in slices (`advance`), so a
//! commit never waits for its watchers.

mod watchers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use smol_str::SmolStr;

use crate::error::{EngineError, ErrorKind};
use crate::event_cache::EventCache;
use crate::history::{History, RootAt, Written};
use crate::lanes::Lanes;
use crate::reference::{Position, SnapshotRef};
use crate::request::Tenant;
use crate::state::{Terms, VersionRecord};
use crate::waiters::Waiters;

pub(crate) use watchers::{Advanced, Part};

/// A durable version that is about to be published.
pub(crate) struct Publication {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) root: RootAt,
    /// The journal group that contains it.
    pub(crate) group: u64,
    /// Approximate size of its record in memory.
    pub(crate) bytes: usize,
}

/// One incarnation of a namespace, as its readers share it.
pub(crate) struct Namespace {
    pub(crate) name: SmolStr,
    /// The terms in the published state.
    terms: ArcSwap<Terms>,
    pub(crate) incarnation: u64,
    published: ArcSwap<RootAt>,
    history: Mutex<History>,
    watches: Mutex<Lanes>,
    waiters: Mutex<Waiters>,
    shared: Mutex<EventCache>,
    removed: AtomicBool,
    /// The group of the newest version, or of the namespace's creation.
    moved: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The data stays usable after a panic: no update is left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Namespace {
    pub(crate) fn new(name: SmolStr, terms: Arc<Terms>, root: RootAt, history: History) -> Self {
        Self {
            name,
            incarnation: terms.incarnation,
            terms: ArcSwap::new(terms),
            published: ArcSwap::from_pointee(root),
            history: Mutex::new(history),
            watches: Mutex::default(),
            waiters: Mutex::default(),
            shared: Mutex::default(),
            removed: AtomicBool::new(false),
            moved: AtomicU64::new(0),
        }
    }

    /// The same namespace, created by `group`.
    pub(crate) fn made_by(self, group: u64) -> Self {
        Self {
            moved: AtomicU64::new(group),
            ..self
        }
    }

    /// The group of the newest version: at least that of any version that
    /// [`published`](Self::published) has returned before.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    /// The published terms. Keep the guard briefly, never across an await.
    pub(crate) fn terms(&self) -> Guard<Arc<Terms>> {
        self.terms.load()
    }

    /// Applies new terms of the same incarnation. If they revoke a right, all watches and waiters
    /// check theirs again.
    pub(crate) fn change_terms(&self, terms: Arc<Terms>) {
        let before = self.terms.swap(terms.clone());
        if before.owner != terms.owner || !before.readers.is_subset(&terms.readers) {
            self.look_again();
        }
    }

    /// Wakes all watches and waiters, so that they check their rights.
    fn look_again(&self) {
        self.wake_watches();
        lock(&self.waiters).dismiss(Some(self.position()));
    }

    /// The newest published version.
    pub(crate) fn published(&self) -> Arc<RootAt> {
        self.published.load_full()
    }

    /// Calls `see` with the newest published version, without copying it. `see` must be brief:
    /// publishing may have to wait for it.
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

    /// Publishes a version to all readers. The watches to wake are found afterwards
    /// ([`due`](Self::due)).
    pub(crate) fn publish(&self, publication: Publication) {
        let Publication {
            record,
            root,
            group,
            bytes,
        } = publication;
        {
            let mut history = lock(&self.history);
            history.push(Written {
                record,
                group,
                bytes,
            });
            history.push_root(root.clone());
        }
        self.moved.store(group, Ordering::Release);
        // Last, so that a reader who sees the version also finds its record.
        self.published.store(Arc::new(root));
    }

    /// Adds versions replayed from the journal; `root` is the last one's. There are no watches yet.
    pub(crate) fn replayed(&self, versions: Vec<Written>, root: RootAt) {
        let mut history = lock(&self.history);
        versions
            .into_iter()
            .for_each(|version| history.push(version));
        history.push_root(root.clone());
        self.published.store(Arc::new(root));
    }

    /// Replaces the root by an equal one that uses less memory.
    pub(crate) fn replace_root(&self, root: RootAt) {
        self.published.store(Arc::new(root));
    }

    /// Marks the namespace as removed and wakes its watches and waiters.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
        self.wake_watches();
        lock(&self.waiters).dismiss(None);
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Waits until `version` is published. Returns a lower position if rights changed meanwhile:
    /// the caller must check them and wait again.
    pub(crate) async fn wait(&self, tenant: Tenant, version: u64) -> Result<Position, EngineError> {
        let receiver = {
            let mut waiters = lock(&self.waiters);
            // Read under the lock, so that no publication is missed in between.
            let now = self.position();
            if now.version >= version {
                return Ok(now);
            }
            waiters.add(tenant, version).map_err(|most| {
                EngineError::new(
                    ErrorKind::Limit,
                    format!("{most} waits on namespace {} already", self.name),
                )
            })?
        };
        receiver
            .await
            .map_err(|_| EngineError::no_namespace(&self.name))
    }

    /// The events shared by watches with equal scopes.
    pub(crate) fn shared(&self) -> MutexGuard<'_, EventCache> {
        lock(&self.shared)
    }
}
