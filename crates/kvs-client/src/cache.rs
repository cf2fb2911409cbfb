//! What a client has read of the tree, decoded, up to a number of bytes.
//!
//! Objects never change and their names are the hashes of what they are, so nothing here is ever
//! out of date: what is not used goes when room is needed, and that is all. Nothing gets in whose
//! hash was not computed here.

use crate::limits::{CACHED_VALUE_BYTES, CACHED_VALUE_SHARE};
use bytes::Bytes;
use kvs_tree::{
    Blobref, Directory, Entry, Fault, HashAlgorithm, Key, Node, NodeSource, Resolved, StoreParams,
    Value, lookup,
};
use quick_cache::{Weighter, sync};
use std::collections::HashMap;
use std::sync::Arc;

/// About what an object takes beside itself, in bytes: its name and its place.
const OVERHEAD_BYTES: u64 = 128;

/// About how many bytes an object has; decides how many the cache is laid out for.
const USUAL_BYTES: u64 = 2048;

/// For how many objects a cache is laid out at most before there are any.
const LAID_OUT_ITEMS: u64 = 65_536;

#[derive(Clone)]
enum Object {
    /// A node of a directory.
    Node(Arc<Node>),
    /// A whole value, under the name of its blob or of the top of its chunk tree.
    Value(Bytes),
}

#[derive(Clone)]
struct BySize;

impl Weighter<Blobref, Object> for BySize {
    fn weight(&self, _: &Blobref, object: &Object) -> u64 {
        OVERHEAD_BYTES
            + match object {
                // The inline values of a decoded node are slices of the bytes that it came in.
                Object::Node(node) => node.memory_size() as u64,
                Object::Value(bytes) => bytes.len() as u64,
            }
    }
}

/// Objects of the tree by name. Shared by all handles of a client; each access is one short lock.
pub(crate) struct Cache {
    objects: sync::Cache<Blobref, Object, BySize>,
    longest_value: u64,
}

impl Cache {
    /// A cache of about so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        // So many it is laid out for at first; it grows.
        let items = (bytes / USUAL_BYTES).clamp(64, LAID_OUT_ITEMS) as usize;
        Cache {
            objects: sync::Cache::with_weighter(items, bytes, BySize),
            longest_value: (bytes / CACHED_VALUE_SHARE).min(CACHED_VALUE_BYTES),
        }
    }

    /// How long a value may be to be kept.
    pub(crate) fn longest_value(&self) -> u64 {
        self.longest_value
    }

    /// What stands at a key below a root, if everything that this takes is here.
    pub(crate) fn look_up(&self, root: &Directory, key: &Key) -> Option<(Found, Option<Way>)> {
        look_up(root, self, key)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("objects", &self.objects.len())
            .field("bytes", &self.objects.weight())
            .finish_non_exhaustive()
    }
}

/// Where a lookup finds nodes and values.
pub(crate) trait Kept: NodeSource + Sized {
    /// The whole value of this name, if at hand.
    fn value(&self, blobref: &Blobref) -> Option<Bytes>;
}

impl NodeSource for Cache {
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>> {
        match self.objects.get(blobref)? {
            Object::Node(node) => Some(node),
            Object::Value(_) => None,
        }
    }

    fn blob(&self, _: &Blobref) -> Option<Bytes> {
        None
    }
}

impl Kept for Cache {
    fn value(&self, blobref: &Blobref) -> Option<Bytes> {
        match self.objects.get(blobref)? {
            Object::Value(bytes) => Some(bytes),
            Object::Node(_) => None,
        }
    }
}

/// What can be told of a key without asking the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// This value.
    Value(Bytes),
    /// Nothing.
    Absent,
    /// A directory.
    Directory,
    /// That the daemon has to be asked: the way leads into another namespace, in a circle, or to a
    /// value that is too long to keep.
    Ask,
}

/// The keys that an answer rests on.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// The key behind all links.
    pub(crate) key: Key,
    /// The links that were followed.
    pub(crate) links: Vec<Key>,
}

/// What stands at a key below a root, and the way there if it could be told; `None` if that takes
/// objects that are not at hand.
pub(crate) fn look_up(
    root: &Directory,
    source: &impl Kept,
    key: &Key,
) -> Option<(Found, Option<Way>)> {
    let (entry, way) = match lookup(root, source, key, true, 0) {
        Ok(Resolved::Found { entry, key, links }) => (entry, Way { key, links }),
        Ok(Resolved::Absent { key, links }) => {
            return Some((Found::Absent, Some(Way { key, links })));
        }
        Ok(Resolved::Elsewhere { .. }) | Err(Fault::Tree(_) | Fault::NeedVersion(_)) => {
            return Some((Found::Ask, None));
        }
        Err(Fault::Missing(_)) => return None,
    };
    let found = match entry {
        Entry::Directory(_) => Found::Directory,
        Entry::Symlink(_) => Found::Ask,
        Entry::Value(value) => Found::Value(match value.inline() {
            Some(bytes) => bytes,
            None => source.value(&name(&value)?)?,
        }),
    };
    Some((found, Some(way)))
}

/// The name of a stored value.
pub(crate) fn name(value: &Value) -> Option<Blobref> {
    // A value that was read is known by its name, which is of whatever algorithm it is.
    value.blobref(&params(HashAlgorithm::Blake3))
}

/// Parameters for objects that are only read: how large directories are split is not asked.
pub(crate) fn params(algorithm: HashAlgorithm) -> StoreParams {
    StoreParams {
        algorithm,
        split_key: [0; 32],
    }
}

/// What one read has been sent, together with the cache: so it comes to an end however small that
/// is.
pub(crate) struct Sent<'a> {
    cache: &'a Cache,
    objects: HashMap<Blobref, Object>,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(cache: &'a Cache) -> Self {
        Sent {
            cache,
            objects: HashMap::new(),
        }
    }

    /// How many objects came.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Takes in the encoding of a node, under the name that it has; nothing if it is none.
    pub(crate) fn add_node(&mut self, algorithm: HashAlgorithm, bytes: &Bytes) {
        // A copy, so that it does not keep all of the frame in memory.
        let bytes = Bytes::copy_from_slice(bytes);
        if let Ok(node) = Node::decode(algorithm, &bytes) {
            let object = Object::Node(Arc::new(node));
            self.add(Blobref::of(algorithm, &bytes), object);
        }
    }

    /// Takes in a value, under the name that it has.
    pub(crate) fn add_value(&mut self, algorithm: HashAlgorithm, bytes: &Bytes) {
        let bytes = Bytes::copy_from_slice(bytes);
        let params = params(algorithm);
        if let Some(blobref) = Value::new(&params, bytes.clone()).blobref(&params) {
            self.add(blobref, Object::Value(bytes));
        }
    }

    fn add(&mut self, blobref: Blobref, object: Object) {
        self.cache.objects.insert(blobref, object.clone());
        self.objects.insert(blobref, object);
    }
}

impl NodeSource for Sent<'_> {
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>> {
        match self.objects.get(blobref) {
            Some(Object::Node(node)) => Some(node.clone()),
            _ => self.cache.node(blobref),
        }
    }

    fn blob(&self, _: &Blobref) -> Option<Bytes> {
        None
    }
}

impl Kept for Sent<'_> {
    fn value(&self, blobref: &Blobref) -> Option<Bytes> {
        match self.objects.get(blobref) {
            Some(Object::Value(bytes)) => Some(bytes.clone()),
            _ => self.cache.value(blobref),
        }
    }
}
