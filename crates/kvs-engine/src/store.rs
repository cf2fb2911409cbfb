//! What every reader of a store shares: its objects, its past, its namespaces and pins. Readers
//! hold it through an `Arc`; the commit task is the only writer.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kvs_tree::{Blobref, Detacher, Entry, Fault, NodeSource, StoreParams};
use smol_str::SmolStr;

use crate::archive::Archive;
use crate::checkpoint_counts::CheckpointCounters;
use crate::error::EngineError;
use crate::history::{History, RootAt};
use crate::limits::REMEMBERED_REFERENCES;
use crate::matched::Matched;
use crate::namespace::Namespace;
use crate::notifier::Notifier;
use crate::objects::Objects;
use crate::owner::Owner;
use crate::pack::PackId;
use crate::past::{CheckpointRoot, Origin, Stamp};
use crate::quota::ScopeQuota;
use crate::reference::SnapshotRef;
use crate::request::{Pin, PinInfo, Principal, Tenant};
use crate::slices::Slices;
use crate::state::{Authority, Terms, not_allowed};
use crate::workers::{Threads, Workers};

/// Entries whose references were shown to a client, so that they can be used again. Bounded.
#[derive(Default)]
struct Remembered {
    entries: HashMap<Blobref, (Entry, SnapshotRef)>,
    order: VecDeque<Blobref>,
}

/// A pin as readers see it: as it stands in the published state, and the root that it keeps.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub(crate) pin: Arc<Pin>,
    pub(crate) root: RootAt,
    /// When its lease ends, in lease time.
    pub(crate) deadline: Option<u64>,
}

/// The shared, readable side of a store.
pub(crate) struct Store {
    pub(crate) objects: Arc<Objects>,
    pub(crate) archive: Archive,
    pub(crate) feed: Arc<Notifier>,
    /// What the watches of each user hold.
    pub(crate) scopes: ScopeQuota,
    /// What matching has cost.
    pub(crate) matched: Matched,
    /// What checkpoints have cost.
    pub(crate) checkpoints: CheckpointCounters,
    pub(crate) slices: Arc<Slices>,
    namespaces: RwLock<BTreeMap<SmolStr, Arc<Namespace>>>,
    pins: Mutex<BTreeMap<u64, Pinned>>,
    /// The time that leases are counted in; the commit task lets it go on.
    pub(crate) lease_time: Arc<AtomicU64>,
    remembered: Mutex<Remembered>,
    /// Packs that a restart knows, or that the group registers that is being written.
    registered: Mutex<BTreeSet<PackId>>,
    /// How many namespaces were removed since the store was opened.
    removals: AtomicU64,
    owner: Owner,
    authority: Authority,
    /// Threads for what blocks; without, it is done where it is asked for.
    threads: Option<Threads>,
}

impl Store {
    pub(crate) fn new(
        objects: Arc<Objects>,
        archive: Archive,
        slices: Slices,
        owner: Owner,
        instance_owner: u32,
        threads: Option<Threads>,
    ) -> Self {
        let listed = objects.store().packs().iter().map(|p| p.id).collect();
        Self {
            objects,
            archive,
            feed: Arc::default(),
            scopes: ScopeQuota::default(),
            matched: Matched::default(),
            checkpoints: CheckpointCounters::default(),
            slices: Arc::new(slices),
            namespaces: RwLock::default(),
            pins: Mutex::default(),
            lease_time: Arc::default(),
            remembered: Mutex::default(),
            registered: Mutex::new(listed),
            removals: AtomicU64::new(0),
            owner,
            authority: Authority::new(instance_owner),
            threads,
        }
    }

    /// The packs in use that a restart would not know yet. They count as known from now on, unless
    /// they are [given back](Self::unregister).
    pub(crate) fn new_packs(&self) -> Vec<PackId> {
        let packs = self.objects.store().packs();
        let mut registered = self.registered();
        let new = packs.iter().map(|pack| pack.id);
        new.filter(|id| registered.insert(*id)).collect()
    }

    /// Packs that a restart knows from now on.
    pub(crate) fn register(&self, packs: &[PackId]) {
        self.registered().extend(packs);
    }

    /// Packs that a restart would not know after all: the group that registers them was not
    /// written.
    pub(crate) fn unregister(&self, packs: &[PackId]) {
        let mut registered = self.registered();
        registered.retain(|pack| !packs.contains(pack));
    }

    fn registered(&self) -> MutexGuard<'_, BTreeSet<PackId>> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, which may read the disk, where it does not hold up other tasks.
    pub(crate) async fn offload<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.run_on(|threads| &threads.reads, work).await
    }

    /// Runs `work`, which may write and sync, where it holds up neither other tasks nor reads.
    pub(crate) async fn offload_write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.run_on(|threads| &threads.writes, work).await
    }

    async fn run_on<T: Send + 'static>(
        self: &Arc<Self>,
        on: impl FnOnce(&Threads) -> &Workers,
        work: impl FnOnce(&Arc<Self>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let Some(threads) = &self.threads else {
            return work(self);
        };
        let store = self.clone();
        on(threads).run(move || work(&store)).await
    }

    /// Runs `job` beside everything else, behind the ones before it.
    pub(crate) fn in_background(&self, job: impl FnOnce() + Send + 'static) {
        match &self.threads {
            Some(threads) => threads.background.queue(job),
            None => job(),
        }
    }

    /// Runs a pure step: here if memory has all that it needs, else where it may read the disk.
    pub(crate) async fn step<T: Send + 'static>(
        self: &Arc<Self>,
        step: impl Fn(&dyn NodeSource, &StoreParams) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, EngineError> {
        let params = *self.objects.params();
        if let Some(done) = self.objects.at_once(|source| step(source, &params)) {
            return done;
        }
        self.offload(move |store| store.objects.complete(|source| step(source, &params)))
            .await
    }

    /// The same for a step that goes on from what steps before it came to.
    pub(crate) async fn advance<S: Send + 'static, T: Send + 'static>(
        self: &Arc<Self>,
        mut state: S,
        step: impl Fn(&mut S, &dyn NodeSource, &StoreParams) -> Result<T, Fault> + Send + 'static,
    ) -> Result<(S, T), EngineError> {
        let params = *self.objects.params();
        let at_once = self
            .objects
            .at_once(|source| step(&mut state, source, &params));
        if let Some(done) = at_once {
            return done.map(|done| (state, done));
        }
        self.offload(move |store| {
            let step = |source: &dyn NodeSource| step(&mut state, source, &params);
            let done = store.objects.complete(step)?;
            Ok((state, done))
        })
        .await
    }

    pub(crate) fn namespace(&self, name: &str) -> Result<Arc<Namespace>, EngineError> {
        let namespaces = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces
            .get(name)
            .cloned()
            .ok_or_else(|| EngineError::no_namespace(name))
    }

    /// Refuses to tell of the newest state of a store that somebody else may own.
    pub(crate) fn check_owned(&self) -> Result<(), EngineError> {
        self.owner.check()
    }

    /// The namespace, if the caller may read it. A guest is refused one that does not exist as one
    /// that is not shared with it, so that nobody learns which names are in use.
    pub(crate) fn readable(
        &self,
        caller: Principal,
        name: &str,
    ) -> Result<Arc<Namespace>, EngineError> {
        self.owner.check()?;
        let found = self.namespace(name);
        let namespace = found.map_err(|_| self.authority.no_namespace(caller, name))?;
        self.may_read(caller, &namespace)?;
        Ok(namespace)
    }

    /// Refuses callers who neither own the namespace nor were given the right to read it.
    pub(crate) fn may_read(
        &self,
        caller: Principal,
        namespace: &Namespace,
    ) -> Result<(), EngineError> {
        if self.authority.may_read(caller, &namespace.terms()) {
            return Ok(());
        }
        Err(not_allowed(caller, &namespace.name))
    }

    /// Refuses callers who may not change the namespace: who are neither the instance owner nor the
    /// namespace's.
    pub(crate) fn check_owner(
        &self,
        caller: Principal,
        namespace: &Namespace,
    ) -> Result<(), EngineError> {
        let owner = namespace.terms().owner;
        self.authority.check_use(caller, owner, &namespace.name)
    }

    /// Who may do what.
    pub(crate) fn authority(&self) -> Authority {
        self.authority
    }

    /// On whose account the caller's work is done.
    pub(crate) fn tenant(&self, caller: Principal) -> Tenant {
        self.authority.tenant(caller)
    }

    pub(crate) fn namespaces(&self) -> Vec<Arc<Namespace>> {
        let namespaces = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces.values().cloned().collect()
    }

    /// Whether the caller owns a namespace.
    pub(crate) fn owns_any(&self, caller: Principal) -> bool {
        let namespaces = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces
            .values()
            .any(|namespace| namespace.terms().owner == caller.uid())
    }

    /// A namespace is there, at version 0.
    pub(crate) fn begin(
        &self,
        stamp: Stamp,
        name: SmolStr,
        terms: Arc<Terms>,
        origin: &Origin,
    ) -> Arc<Namespace> {
        let origin = CheckpointRoot::origin(origin, stamp);
        let root = RootAt::checkpoint(&origin);
        let history = History::new(origin.into());
        let namespace = Namespace::new(name, terms, root, history).made_by(stamp.group);
        let namespace = Arc::new(namespace);
        self.insert_namespace(namespace.clone());
        namespace
    }

    /// A namespace is gone, and the pins on it.
    pub(crate) fn end(&self, name: &str) -> Option<Arc<Namespace>> {
        self.pins()
            .retain(|_, pinned| pinned.pin.snapshot.namespace != name);
        // Counted first: whoever does not find it any more finds that one was removed.
        self.removals.fetch_add(1, Ordering::AcqRel);
        let removed = self
            .namespaces
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name)?;
        removed.remove();
        Some(removed)
    }

    pub(crate) fn insert_namespace(&self, namespace: Arc<Namespace>) {
        let mut namespaces = self
            .namespaces
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces.insert(namespace.name.clone(), namespace);
    }

    /// How many namespaces were removed since the store was opened.
    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    pub(crate) fn pins(&self) -> MutexGuard<'_, BTreeMap<u64, Pinned>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pin as it stands now. `deadline` is that of its lease.
    pub(crate) fn pin_info(&self, pin: &Pin, deadline: Option<u64>) -> PinInfo {
        let now = self.lease_time.load(Ordering::Relaxed);
        PinInfo {
            id: pin.id,
            snapshot: pin.snapshot.clone(),
            uid: pin.uid,
            lease_ms: pin.lease_ms,
            left_ms: deadline.map(|at| at.saturating_sub(now)),
        }
    }

    /// The pinned root of a version, if there is one.
    pub(crate) fn pinned_root(&self, namespace: &str, version: u64) -> Option<RootAt> {
        let pins = self.pins();
        let mut matching = pins
            .values()
            .filter(|p| p.pin.snapshot.namespace == namespace && p.pin.snapshot.version == version);
        matching.next().map(|p| p.root.clone())
    }

    /// Keeps an entry that a client was shown the reference of.
    pub(crate) fn remember(&self, reference: Blobref, entry: Entry, snapshot: SnapshotRef) {
        let mut table = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if table.entries.insert(reference, (entry, snapshot)).is_none() {
            table.order.push_back(reference);
        }
        while table.order.len() > REMEMBERED_REFERENCES {
            if let Some(old) = table.order.pop_front() {
                table.entries.remove(&old);
            }
        }
    }

    pub(crate) fn remembered(&self, reference: &Blobref) -> Option<(Entry, SnapshotRef)> {
        let table = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.entries.get(reference).cloned()
    }

    /// Swaps remembered and pinned directories for equal ones that hold less in memory.
    pub(crate) fn detach<W: Fn(&Blobref) -> bool>(&self, detacher: &mut Detacher<W>) {
        for pinned in self.pins().values_mut() {
            pinned.root.directory = detacher.directory(&pinned.root.directory);
        }
        let mut table = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (entry, _) in table.entries.values_mut() {
            match entry {
                Entry::Directory(directory) => *directory = detacher.directory(directory),
                Entry::Value(value) => *value = detacher.value(value),
                Entry::Symlink(_) => {}
            }
        }
    }
}
