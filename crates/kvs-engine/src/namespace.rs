//! One namespace as its readers see it: the published root, the past, the watches and whoever waits
//! for a version. The commit task is the only one that publishes.
//!
//! Lock order: `watches` before `history`; neither is held across an await or a disk access.
//!
//! Publishing wakes nobody. Who is to be woken is found behind it, in slices (`advance`), so a
//! commit never waits for those who watch.

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

/// A version that is durable and about to be shown.
pub(crate) struct Publication {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) root: RootAt,
    /// The journal group that holds it.
    pub(crate) group: u64,
    /// About what its record takes in memory.
    pub(crate) bytes: usize,
}

/// The shared, readable side of one incarnation of a namespace.
pub(crate) struct Namespace {
    pub(crate) name: SmolStr,
    /// Those that the published state has.
    terms: ArcSwap<Terms>,
    pub(crate) incarnation: u64,
    published: ArcSwap<RootAt>,
    history: Mutex<History>,
    watches: Mutex<Lanes>,
    waiters: Mutex<Waiters>,
    shared: Mutex<EventCache>,
    removed: AtomicBool,
    /// The group of the newest version, or of the namespace's making.
    moved: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain data, never half an update that matters.
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

    /// The same, made by this group.
    pub(crate) fn made_by(self, group: u64) -> Self {
        Self {
            moved: AtomicU64::new(group),
            ..self
        }
    }

    /// The group of what was published last, at the least; no older than what
    /// [`published`](Self::published) gave before.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    /// Its terms, as published. For a moment: not to be held across an await.
    pub(crate) fn terms(&self) -> Guard<Arc<Terms>> {
        self.terms.load()
    }

    /// Puts other terms of the same incarnation in force. If somebody lost a right by them, watches
    /// and waits look at theirs again.
    pub(crate) fn change_terms(&self, terms: Arc<Terms>) {
        let before = self.terms.swap(terms.clone());
        if before.owner != terms.owner || !before.readers.is_subset(&terms.readers) {
            self.look_again();
        }
    }

    /// Has everybody who watches or waits look whether they may.
    fn look_again(&self) {
        self.wake_watches();
        lock(&self.waiters).dismiss(Some(self.position()));
    }

    /// The newest durable version.
    pub(crate) fn published(&self) -> Arc<RootAt> {
        self.published.load_full()
    }

    /// What `see` makes of the newest durable version. For a moment: a version that is published
    /// meanwhile may have to wait.
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

    /// Shows a version to every reader. Who is to be woken for it is found afterwards
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
        // Last: whoever looks for the record of a published version finds it.
        self.published.store(Arc::new(root));
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
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
        self.wake_watches();
        lock(&self.waiters).dismiss(None);
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Waits until `version` is published, or rights have changed: then the version that is told is
    /// a lower one.
    pub(crate) async fn wait(&self, tenant: Tenant, version: u64) -> Result<Position, EngineError> {
        let receiver = {
            let mut waiters = lock(&self.waiters);
            // Looked at under the lock, so that a publication cannot slip in between.
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

    /// Events that watches of equal scopes share.
    pub(crate) fn shared(&self) -> MutexGuard<'_, EventCache> {
        lock(&self.shared)
    }
}
