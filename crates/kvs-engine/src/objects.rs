//! Tree objects for the pure core: a byte-bounded cache of decoded nodes over the blob store, and
//! the loop that loads the objects that a pure step reports missing.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use bytes::Bytes;
use kvs_tree::{
    Blobref, Detached, Directory, Fault, Missing, Node, NodeSource, ObjectKind, StoreParams,
};
use quick_cache::{Weighter, sync::Cache};

use crate::error::{EngineError, ErrorKind};
use crate::pack::{BlobStore, Staged};

/// A decoded object in memory.
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

    /// Approximate memory, in bytes.
    fn size(&self) -> usize {
        let size = match self {
            Object::Node(node) => node.memory_size(),
            Object::Blob(bytes) => bytes.len(),
        };
        size + 64
    }
}

#[derive(Clone)]
struct BySize;

impl Weighter<Blobref, Object> for BySize {
    fn weight(&self, _: &Blobref, object: &Object) -> u64 {
        object.size() as u64
    }
}

/// The stored objects of one store; recently used ones are cached in decoded form.
pub(crate) struct Objects {
    store: Arc<dyn BlobStore>,
    cache: Cache<Blobref, Object, BySize>,
    params: StoreParams,
    /// Objects of accepted transactions whose group is not written yet. Only the commit task needs
    /// them: nothing of them is published.
    staged: RwLock<Vec<Arc<Staged>>>,
}

impl Objects {
    /// Objects of `store`, with a cache of about `cache_bytes`.
    pub(crate) fn new(store: Arc<dyn BlobStore>, params: StoreParams, cache_bytes: u64) -> Self {
        let items = (cache_bytes / 2048).max(64) as usize;
        Self {
            store,
            cache: Cache::with_weighter(items, cache_bytes, BySize),
            params,
            staged: RwLock::default(),
        }
    }

    /// Makes objects readable that are not in a pack yet.
    pub(crate) fn stage(&self, staged: &[Arc<Staged>]) {
        if !staged.is_empty() {
            self.staged_mut().extend_from_slice(staged);
        }
    }

    /// Removes objects that are now in a pack, or not needed.
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
            // Not cached: it is in no pack, and may never be.
            return self.decode(missing, self.read_staged(&missing.blobref)?);
        };
        let object = self.decode(missing, Some(stored))?;
        if keep_blobs || matches!(object, Object::Node(_)) {
            self.keep(missing.blobref, &object);
        }
        Ok(object)
    }

    /// Decodes what the store returned for an object.
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

    /// Puts what trees have in memory, and packs by now, into the cache before the trees evict it:
    /// as much as the cache holds, upper nodes rather than lower ones.
    pub(crate) fn keep_stored<'a>(&self, roots: impl IntoIterator<Item = &'a Directory>) {
        let (mut kept, mut bytes) = (VecDeque::new(), 0);
        for root in roots {
            root.in_memory(&self.params, &mut |name, object| {
                let object = match object {
                    Detached::Node(node) => Object::Node(node),
                    Detached::Blob(blob) => Object::Blob(blob),
                };
                bytes += object.size();
                kept.push_back((name, object));
                while bytes as u64 > self.cache.capacity()
                    && let Some((_, object)) = kept.pop_front()
                {
                    bytes -= object.size();
                }
            });
        }
        kept.iter()
            .for_each(|(name, object)| self.keep(*name, object));
    }

    /// Reads an object from the cache or the disk.
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

    /// Repeats a pure step until it has every object that it needs. Reads the disk: for blocking
    /// contexts. Objects that were loaded for the step are held until it is done, so that a small
    /// cache cannot make it loop forever.
    ///
    /// # Errors
    /// Those of the step, and `Corrupt` or `BadObject` for objects that cannot be read.
    pub(crate) fn complete<T>(
        &self,
        step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        self.run(step, true)
    }

    /// The same for a step that reads much, once: blobs are not cached.
    pub(crate) fn pass<T>(
        &self,
        step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        self.run(step, false)
    }

    /// The same for a step that may need objects that are only in `staged`. Adds the objects that
    /// it loads to `loaded`, for the next step.
    pub(crate) fn gather<T>(
        &self,
        staged: &[Arc<Staged>],
        loaded: &mut Loaded,
        step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        let source = Loading {
            objects: self,
            keep_blobs: true,
            staged,
            loaded: RefCell::new(std::mem::take(loaded)),
        };
        let done = Self::feed(&source, step);
        *loaded = source.loaded.into_inner();
        done
    }

    fn run<T>(
        &self,
        step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
        keep_blobs: bool,
    ) -> Result<T, EngineError> {
        let source = Loading {
            objects: self,
            keep_blobs,
            staged: &[],
            loaded: RefCell::default(),
        };
        Self::feed(&source, step)
    }

    fn feed<T>(
        source: &Loading<'_>,
        mut step: impl FnMut(&dyn NodeSource) -> Result<T, Fault>,
    ) -> Result<T, EngineError> {
        loop {
            match step(source) {
                Ok(done) => return Ok(done),
                Err(Fault::Tree(error)) => return Err(error.into()),
                Err(Fault::NeedVersion(version)) => return Err(need_version(version)),
                Err(Fault::Missing(missing)) => source.load(&missing)?,
            }
        }
    }

    /// Like [`complete`](Self::complete), but uses only memory: `None` if the disk is needed.
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

pub(crate) fn need_version(version: u64) -> EngineError {
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

/// Objects that were loaded for a step, held in memory until it is done.
#[derive(Default)]
pub(crate) struct Loaded {
    objects: HashMap<Blobref, Object>,
    bytes: usize,
}

impl Loaded {
    /// Approximate memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        match self.objects.get(reference)? {
            Object::Node(node) => Some(node.clone()),
            Object::Blob(_) => None,
        }
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        match self.objects.get(reference)? {
            Object::Blob(bytes) => Some(bytes.clone()),
            Object::Node(_) => None,
        }
    }
}

/// Objects in memory: those loaded for a step, and those in the cache.
pub(crate) struct AtHand<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) loaded: &'a Loaded,
}

impl NodeSource for AtHand<'_> {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        let loaded = self.loaded.node(reference);
        loaded.or_else(|| self.objects.node(reference))
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        let loaded = self.loaded.blob(reference);
        loaded.or_else(|| self.objects.blob(reference))
    }
}

struct Loading<'a> {
    objects: &'a Objects,
    keep_blobs: bool,
    /// Objects that are not in the store yet.
    staged: &'a [Arc<Staged>],
    loaded: RefCell<Loaded>,
}

impl Loading<'_> {
    /// Loads the objects that a step asked for. One object may be requested several times at once.
    fn load(&self, missing: &[Missing]) -> Result<(), EngineError> {
        let mut loaded = self.loaded.borrow_mut();
        let Loaded { objects, bytes } = &mut *loaded;
        let before = objects.len();
        for one in missing {
            if let Entry::Vacant(place) = objects.entry(one.blobref) {
                let object = match self.read_staged(one)? {
                    Some(object) => object,
                    None => self.objects.load(one, self.keep_blobs)?,
                };
                *bytes += object.size();
                place.insert(object);
            }
        }
        match missing.first() {
            Some(one) if objects.len() == before => Err(EngineError::corrupt(format!(
                "object {} is asked for as {:?}, which it is not",
                one.blobref, one.kind
            ))),
            _ => Ok(()),
        }
    }

    fn read_staged(&self, missing: &Missing) -> Result<Option<Object>, EngineError> {
        for staged in self.staged {
            if let Some(bytes) = staged.get(&missing.blobref)? {
                return self.objects.decode(missing, Some(bytes)).map(Some);
            }
        }
        Ok(None)
    }
}

impl NodeSource for Loading<'_> {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        let loaded = self.loaded.borrow().node(reference);
        loaded.or_else(|| self.objects.node(reference))
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        let loaded = self.loaded.borrow().blob(reference);
        loaded.or_else(|| self.objects.blob(reference))
    }
}
