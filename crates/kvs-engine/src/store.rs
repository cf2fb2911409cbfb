//! What all readers of a store share: its objects, history, namespaces and pins. Readers hold it
//! through an `Arc`; the commit task is the only writer.

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
use crate::past::{CheckpointRoot, GroupInfo, Origin};
use crate::quota::ScopeQuota;
use crate::reference::SnapshotRef;
use crate::request::{Pin, PinInfo, Principal, Tenant};
use crate::slices::Slices;
use crate::state::{Authority, Terms, not_allowed};
use crate::workers::{Threads, Workers};

/// Entries whose references were shown to clients, for later use. Bounded.
#[derive(Default)]
struct Remembered {
    entries: HashMap<Blobref, (Entry, SnapshotRef)>,
    order: VecDeque<Blobref>,
}

/// A pin for readers: as in the published state, with the root that it keeps.
#[derive(Clone)]
pub(crate) struct Pinned {
    pub(crate) pin: Arc<Pin>,
    pub(crate) root: RootAt,
    /// When its lease expires, in lease time.
    pub(crate) deadline: Option<u64>,
}

/// The shared, readable side of a store.
pub(crate) struct Store {
    pub(crate) objects: Arc<Objects>,
    pub(crate) archive: Archive,
    pub(crate) feed: Arc<Notifier>,
    /// Scopes held by each user's watches.
    pub(crate) scopes: ScopeQuota,
    /// Costs of matching.
    pub(crate) matched: Matched,
    /// Costs of checkpoints.
    pub(crate) checkpoints: CheckpointCounters,
    pub(crate) slices: Arc<Slices>,
    namespaces: RwLock<BTreeMap<SmolStr, Arc<Namespace>>>,
    pins: Mutex<BTreeMap<u64, Pinned>>,
    /// The time in which leases are counted; advanced by the commit task.
    pub(crate) lease_time: Arc<AtomicU64>,
    remembered: Mutex<Remembered>,
    /// Packs known to a restart, or registered by the group that is being written.
    registered: Mutex<BTreeSet<PackId>>,
    /// Namespaces removed since the store was opened.
    removals: AtomicU64,
    owner: Owner,
    authority: Authority,
    /// Threads for blocking work; without them, it runs on the caller's thread.
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

    /// Packs in use that a restart would not know yet. They count as registered from now on, unless
    /// [taken back](Self::unregister).
    pub(crate) fn new_packs(&self) -> Vec<PackId> {
        let packs = self.objects.store().packs();
        let mut registered = self.registered();
        let new = packs.iter().map(|pack| pack.id);
        new.filter(|id| registered.insert(*id)).collect()
    }

    /// Marks packs as known to a restart.
    pub(crate) fn register(&self, packs: &[PackId]) {
        self.registered().extend(packs);
    }

    /// Takes packs back whose registering group was not written.
    pub(crate) fn unregister(&self, packs: &[PackId]) {
        let mut registered = self.registered();
        registered.retain(|pack| !packs.contains(pack));
    }

    fn registered(&self) -> MutexGuard<'_, BTreeSet<PackId>> {
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work`, which may read the disk, without blocking other tasks.
    pub(crate) async fn offload<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.run_on(|threads| &threads.reads, work).await
    }

    /// Runs `work`, which may write and sync, without blocking other tasks or reads.
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

    /// Runs `job` in the background, after the jobs before it.
    pub(crate) fn in_background(&self, job: impl FnOnce() + Send + 'static) {
        match &self.threads {
            Some(threads) => threads.background.queue(job),
            None => job(),
        }
    }

    /// Runs a pure step: on the spot if memory has all that it needs, else where it may read the
    /// disk.
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

    /// The same for a step that continues from the state of earlier steps.
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

    /// Refuses to read the newest state of a store that may have another owner.
    pub(crate) fn check_owned(&self) -> Result<(), EngineError> {
        self.owner.check()
    }

    /// The namespace, if the caller may read it. For a guest, the error for a missing namespace is
    /// the same as for one that is not shared with it, so that names are not disclosed.
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

    /// Refuses callers who neither own the namespace nor have read access to it.
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

    /// Refuses callers who may not change the namespace: neither the instance owner nor the
    /// namespace's owner.
    pub(crate) fn check_owner(
        &self,
        caller: Principal,
        namespace: &Namespace,
    ) -> Result<(), EngineError> {
        let owner = namespace.terms().owner;
        self.authority.check_use(caller, owner, &namespace.name)
    }

    /// The rules of access.
    pub(crate) fn authority(&self) -> Authority {
        self.authority
    }

    /// The tenant that is charged for the caller's work.
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

    /// Adds a new namespace at version 0.
    pub(crate) fn begin(
        &self,
        info: GroupInfo,
        name: SmolStr,
        terms: Arc<Terms>,
        origin: &Origin,
    ) -> Arc<Namespace> {
        let origin = CheckpointRoot::origin(origin, info);
        let root = RootAt::checkpoint(&origin);
        let history = History::new(origin.into());
        let namespace = Namespace::new(name, terms, root, history).made_by(info.group);
        let namespace = Arc::new(namespace);
        self.insert_namespace(namespace.clone());
        namespace
    }

    /// Removes a namespace and the pins on it.
    pub(crate) fn end(&self, name: &str) -> Option<Arc<Namespace>> {
        self.pins()
            .retain(|_, pinned| pinned.pin.snapshot.namespace != name);
        // Counted first: a reader that does not find the namespace also sees the new count.
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

    /// Namespaces removed since the store was opened.
    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    pub(crate) fn pins(&self) -> MutexGuard<'_, BTreeMap<u64, Pinned>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current description of a pin. `deadline` is the end of its lease.
    pub(crate) fn pin_info(&self, pin: &Pin, deadline: Option<u64>) -> PinInfo {
        let now = self.lease_time.load(Ordering::Relaxed);
        PinInfo {
            id: pin.id,
            snapshot: pin.snapshot.clone(),
            principal: pin.principal,
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

    /// Remembers an entry whose reference was shown to a client.
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

    /// Evicts stored nodes from remembered and pinned directories.
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
