//! How pure code gets at stored objects: it asks, and where the answer is "missing" the whole step
//! reports what it needs. The caller loads that and calls again with the same inputs; objects never
//! change, so this is safe.

use crate::error::TreeError;
use crate::hash::{Blobref, StoreParams};
use crate::node::chunk::Chunk;
use crate::node::{Child, ChunkLink, Node, NodeRef, ObjectKind};
use bytes::Bytes;
use std::sync::Arc;
use thiserror::Error;

/// Stored objects: "have it, or missing". Cheap, and never waits, unless the caller of the step
/// chose one that reads. Objects that are only in memory are never asked for.
pub trait NodeSource {
    /// The decoded node of this name, if at hand.
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>>;
    /// The blob of this name, if at hand.
    fn blob(&self, blobref: &Blobref) -> Option<Bytes>;
}

/// A stored object that a step needs and that was not at hand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Missing {
    /// Its name.
    pub blobref: Blobref,
    /// How it is to be read.
    pub kind: ObjectKind,
}

/// Why a pure step did not finish.
#[derive(Clone, Debug, Error)]
pub enum Fault {
    /// Stored objects are needed: load them and call again with the same inputs. Never empty; more
    /// may be missing then.
    #[error("{} stored objects are needed first", .0.len())]
    Missing(Vec<Missing>),
    /// The root of this past version is needed: call again when it is at hand.
    #[error("the root of version {0} is needed first")]
    NeedVersion(u64),
    /// The step is refused.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Fault {
    /// One stored object is missing.
    pub fn missing(blobref: Blobref, kind: ObjectKind) -> Self {
        Fault::Missing(vec![Missing { blobref, kind }])
    }
}

/// What every editing step is given: stored objects and the parameters of the store.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// Asked for stored objects.
    pub source: &'a dyn NodeSource,
    /// The parameters of the store.
    pub params: &'a StoreParams,
}

/// A source that has nothing: for directories that are wholly in memory.
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
    /// The node behind this link.
    pub(crate) fn load(&self, source: &dyn NodeSource) -> Result<Arc<Node>, Fault> {
        match self {
            NodeRef::Loaded(node) => Ok(node.clone()),
            NodeRef::Stored(blobref) => source
                .node(blobref)
                .ok_or_else(|| Fault::missing(*blobref, ObjectKind::Node)),
        }
    }

    /// The node behind this link for a change: loaded if it was stored, copied if it is shared.
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
    /// The node of this child for a change, as [`Link::edit`].
    pub(crate) fn edit(&mut self, source: &dyn NodeSource) -> Result<&mut Node, Fault> {
        self.hash = None;
        self.link.edit(source)
    }
}

impl ChunkLink {
    /// The chunk behind this link.
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
