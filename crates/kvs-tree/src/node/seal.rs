//! Names of nodes in memory.

use crate::TreeError;
use crate::hash::{Blobref, HashAlgorithm, StoreParams};
use crate::node::Node;
use bytes::Bytes;

impl Node {
    /// Decodes a tree object. Refuses bytes that are not the canonical encoding of what they say. Inline values are slices
    /// of `bytes`, not copies.
    pub fn decode(algorithm: HashAlgorithm, bytes: &Bytes) -> Result<Node, TreeError> {
        let _ = (algorithm, bytes);
        todo!()
    }
    /// The canonical encoding. Seals everything below first.
    pub fn encode(&self, params: &StoreParams) -> Bytes {
        let _ = params;
        todo!()
    }
    /// The name of this node; computes the hashes of changed nodes only.
    pub fn seal(&self, params: &StoreParams) -> Blobref {
        let _ = params;
        todo!()
    }
}
