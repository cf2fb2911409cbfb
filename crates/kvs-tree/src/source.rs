//! Access of pure code to stored objects. A step asks its source; if objects are missing, the step
//! fails with the list of them. The caller loads these and calls again with the same inputs, which
//! is safe as objects are immutable.

use crate::error::TreeError;
use crate::hash::{Blobref, StoreParams};
use crate::node::chunk::Chunk;
use crate::node::{Child, ChunkLink, Node, NodeRef, ObjectKind};
use bytes::Bytes;
use std::sync::Arc;
use thiserror::Error;

/// A source of stored objects that returns what it has at hand. Cheap and non-blocking, unless the
/// caller of the step chose one that reads. Never asked for objects that are only in memory.
pub trait NodeSource {
    /// The decoded node with this name, if at hand.
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>>;
    /// The blob with this name, if at hand.
    fn blob(&self, blobref: &Blobref) -> Option<Bytes>;
}

/// A stored object that a step needs and that is not at hand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Missing {
    /// The object's name.
    pub blobref: Blobref,
    /// How to decode it.
    pub kind: ObjectKind,
}

/// Why a pure step did not finish.
#[derive(Clone, Debug, Error)]
pub enum Fault {
    /// Stored objects are needed: load them and call again with the same inputs. Never empty. The
    /// next call may report more.
    #[error("{} stored objects are needed first", .0.len())]
    Missing(Vec<Missing>),
    /// The root of this past version is needed: call again when it is available.
    #[error("the root of version {0} is needed first")]
    NeedVersion(u64),
    /// The step was refused.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Fault {
    /// A fault for one missing object.
    pub fn missing(blobref: Blobref, kind: ObjectKind) -> Self {
        Fault::Missing(vec![Missing { blobref, kind }])
    }
}

/// The context of every editing step: stored objects and store parameters.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The source of stored objects.
    pub source: &'a dyn NodeSource,
    /// The parameters of the store.
    pub params: &'a StoreParams,
}

/// An empty source, for directories that are entirely in memory.
pub struct NoSource;

impl NodeSource for NoSource {
    fn node(&self, _: &Blobref) -> Option<Arc<Node>> {
        None
    }

    fn blob(&self, _: &Blobref) -> Option<Bytes> {
        None
    }
}

impl NodeRef {
    /// Loads the node.
    pub(crate) fn load(&self, source: &dyn NodeSource) -> Result<Arc<Node>, Fault> {
        match self {
            NodeRef::Loaded(node) => Ok(node.clone()),
            NodeRef::Stored(blobref) => source
                .node(blobref)
                .ok_or_else(|| Fault::missing(*blobref, ObjectKind::Node)),
        }
    }

    /// The node for editing: loaded if stored, copied if shared.
    pub(crate) fn edit(&mut self, source: &dyn NodeSource) -> Result<&mut Node, Fault> {
        if let NodeRef::Stored(_) = self {
            *self = NodeRef::Loaded(self.load(source)?);
        }
        match self {
            NodeRef::Loaded(node) => Ok(Arc::make_mut(node)),
            NodeRef::Stored(blobref) => Err(Fault::missing(*blobref, ObjectKind::Node)),
        }
    }
}

impl Child {
    /// The child's node for editing, as by [`NodeRef::edit`].
    pub(crate) fn edit(&mut self, source: &dyn NodeSource) -> Result<&mut Node, Fault> {
        self.hash = None;
        self.link.edit(source)
    }
}

impl ChunkLink {
    /// Loads the chunk.
    pub(crate) fn load(&self, source: &dyn NodeSource) -> Result<Arc<Chunk>, Fault> {
        match self {
            ChunkLink::Loaded(chunk) => Ok(chunk.clone()),
            ChunkLink::Stored(blobref) => match source.blob(blobref) {
                Some(bytes) => Ok(Arc::new(Chunk::new(bytes))),
                None => Err(Fault::missing(*blobref, ObjectKind::Blob)),
            },
        }
    }
}
