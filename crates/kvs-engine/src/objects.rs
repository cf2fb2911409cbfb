//! Tree objects for the pure core: a byte-bounded cache of decoded nodes over the blob store, and
//! the loop that feeds a pure step the objects it reports missing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use bytes::Bytes;
use kvs_tree::{Blobref, Fault, Missing, Node, NodeSource, ObjectKind, StoreParams};
use quick_cache::{Weighter, sync::Cache};

use crate::error::{EngineError, ErrorKind};
use crate::pack::{BlobStore, Staged};

/// An object in memory.
#[derive(Clone)]
pub(crate) enum Object {
    Node(Arc<Node>),
    Blob(Bytes),
}

impl Object {
    pub(crate) fn node(self) -> Option<Arc<Node>> {
        match self {
            Object::Node(node) => Some(node),
            Object::Blob(_) => None,
        }
    }

    pub(crate) fn blob(self) -> Option<Bytes> {
        match self {
            Object::Blob(bytes) => Some(bytes),
            Object::Node(_) => None,
        }
    }
}

#[derive(Clone)]
struct BySize;

impl Weighter<Blobref, Object> for BySize {
    fn weight(&self, _: &Blobref, object: &Object) -> u64 {
        let size = match object {
            Object::Node(node) => node.memory_size(),
            Object::Blob(bytes) => bytes.len(),
        };
        (size + 64) as u64
    }
}

/// The stored objects of one store, with the recently used ones decoded in memory.
pub(crate) struct Objects {
    store: Arc<dyn BlobStore>,
    cache: Cache<Blobref, Object, BySize>,
    params: StoreParams,
    /// Objects of accepted transactions whose group is not written yet. For the commit task: nothing of
    /// theirs is published.
    staged: RwLock<Vec<Arc<Staged>>>,
}

impl Objects {
    /// Objects of `store`, keeping about `cache_bytes` of decoded ones.
    pub(crate) fn new(store: Arc<dyn BlobStore>, params: StoreParams, cache_bytes: u64) -> Self {
        let items = (cache_bytes / 2048).max(64) as usize;
        Self {
            store,
            cache: Cache::with_weighter(items, cache_bytes, BySize),
            params,
            staged: RwLock::default(),
        }
    }

    /// Lets objects be read that wait for a pack.
    pub(crate) fn stage(&self, staged: &[Arc<Staged>]) {
        if !staged.is_empty() {
            self.staged_mut().extend_from_slice(staged);
        }
    }

    /// They are in a pack, or not needed.
    pub(crate) fn unstage(&self, staged: &[Arc<Staged>]) {
        if !staged.is_empty() {
            let gone = |one: &Arc<Staged>| staged.iter().any(|other| Arc::ptr_eq(one, other));
            self.staged_mut().retain(|one| !gone(one));
        }
    }

    fn staged_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<Staged>>> {
        self.staged.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_staged(&self, blobref: &Blobref) -> Result<Option<Bytes>, EngineError> {
        let staged = self
            .staged
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for staged in staged.iter().rev() {
            if let Some(bytes) = staged.get(blobref)? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    pub(crate) fn params(&self) -> &StoreParams {
        &self.params
    }

    pub(crate) fn store(&self) -> &Arc<dyn BlobStore> {
        &self.store
    }

    fn load(&self, missing: &Missing, keep_blobs: bool) -> Result<Object, EngineError> {
        let Some(stored) = self.store.get(&missing.blobref)? else {
            // Not kept: it is in no pack, and may never be.
            return self.decode(missing, self.read_staged(&missing.blobref)?);
        };
        let object = self.decode(missing, Some(stored))?;
        if keep_blobs || matches!(object, Object::Node(_)) {
            self.keep(missing.blobref, &object);
        }
        Ok(object)
    }

    /// What the store gave for an object.
    pub(crate) fn decode(
        &self,
        missing: &Missing,
        bytes: Option<Bytes>,
    ) -> Result<Object, EngineError> {
        let bytes = bytes.ok_or_else(|| {
            EngineError::new(
                ErrorKind::BadObject,
                format!("no object {} in this store", missing.blobref),
            )
        })?;
        Ok(match missing.kind {
            ObjectKind::Node => {
                Object::Node(Arc::new(Node::decode(self.params.algorithm, &bytes)?))
            }
            ObjectKind::Blob => Object::Blob(bytes),
        })
    }

    /// Puts an object into the cache.
    pub(crate) fn keep(&self, reference: Blobref, object: &Object) {
        self.cache.insert(reference, object.clone());
    }

    /// An object out of the cache or from the disk.
    pub(crate) fn read(&self, missing: &Missing) -> Result<Object, EngineError> {
        match self.cache.get(&missing.blobref) {
            Some(object) => Ok(object),
            None => self.load(missing, true),
        }
    }

    /// Reads a stored node.
    pub(crate) fn read_node(&self, missing: &Missing) -> Result<Arc<Node>, EngineError> {
        match self.load(missing, true)? {
            Object::Node(node) => Ok(node),
            Object::Blob(_) => Err(EngineError::corrupt(format!(
                "{} is not a node",
                missing.blobref
            ))),
        }
    }

    /// Runs a pure step until it has every object that it needs. Reads the disk: for blocking
    /// contexts. What was loaded for this step stays at hand until it is done, so that a small
    /// cache cannot make it go round for ever.
    ///
    /// # Errors
    /// Those of the step, and `Corrupt` or `BadObject` for objects that cannot be read.
    pub(crate) fn complete<T>(
        &self,
        step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        self.run(step, true)
    }

    /// The same, for a step that reads much and once: the blobs that it loads are not kept.
    pub(crate) fn pass<T>(
        &self,
        step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        self.run(step, false)
    }

    fn run<T>(
        &self,
        mut step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
        keep_blobs: bool,
    ) -> Result<T, EngineError> {
        let source = Loading {
            objects: self,
            keep_blobs,
            loaded: RefCell::default(),
        };
        loop {
            match step(&source) {
                Ok(done) => return Ok(done),
                Err(Fault::Tree(error)) => return Err(error.into()),
                Err(Fault::NeedVersion(version)) => return Err(need_version(version)),
                Err(Fault::Missing(missing)) => source.load(&missing)?,
            }
        }
    }

    /// Like [`complete`](Self::complete), but only with what is in memory: `None` if the disk is
    /// needed.
    pub(crate) fn at_once<T>(
        &self,
        step: impl FnOnce(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Option<Result<T, EngineError>> {
        match step(self) {
            Ok(done) => Some(Ok(done)),
            Err(Fault::Tree(error)) => Some(Err(error.into())),
            Err(Fault::NeedVersion(version)) => Some(Err(need_version(version))),
            Err(Fault::Missing(_)) => None,
        }
    }
}

fn need_version(version: u64) -> EngineError {
    EngineError::new(
        ErrorKind::Compacted,
        format!("version {version} is not retained any more"),
    )
}

impl NodeSource for Objects {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        self.cache.get(reference)?.node()
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        self.cache.get(reference)?.blob()
    }
}

struct Loading<'a> {
    objects: &'a Objects,
    keep_blobs: bool,
    loaded: RefCell<HashMap<Blobref, Object>>,
}

impl Loading<'_> {
    /// Loads what a step asked for. The same object may be asked for several times at once.
    fn load(&self, missing: &[Missing]) -> Result<(), EngineError> {
        let mut loaded = self.loaded.borrow_mut();
        let before = loaded.len();
        for one in missing {
            if let Entry::Vacant(place) = loaded.entry(one.blobref) {
                place.insert(self.objects.load(one, self.keep_blobs)?);
            }
        }
        match missing.first() {
            Some(one) if loaded.len() == before => Err(EngineError::corrupt(format!(
                "object {} is asked for as {:?}, which it is not",
                one.blobref, one.kind
            ))),
            _ => Ok(()),
        }
    }
}

impl NodeSource for Loading<'_> {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        if let Some(Object::Node(node)) = self.loaded.borrow().get(reference) {
            return Some(node.clone());
        }
        self.objects.node(reference)
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        if let Some(Object::Blob(bytes)) = self.loaded.borrow().get(reference) {
            return Some(bytes.clone());
        }
        self.objects.blob(reference)
    }
}
