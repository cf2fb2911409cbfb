//! Test helpers: parameters, and a source backed by a map whose loaded objects can be forgotten.

use crate::hash::{Blobref, HashAlgorithm, StoreParams};
use crate::node::{Directory, Node, ObjectKind, Value};
use crate::source::{Fault, NodeSource};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(crate) const PARAMS: StoreParams = StoreParams {
    algorithm: HashAlgorithm::Blake3,
    split_key: [7; 32],
};

/// Written objects, at hand only once loaded.
#[derive(Default)]
pub(crate) struct MapSource {
    pub(crate) written: RefCell<HashMap<Blobref, (ObjectKind, Bytes)>>,
    pub(crate) loaded: RefCell<HashSet<Blobref>>,
}

impl MapSource {
    /// Writes the new objects of a directory and evicts them.
    pub(crate) fn write(&self, directory: &Directory, params: &StoreParams) -> Directory {
        let mut new = Vec::new();
        let is_written = |blobref: &Blobref| self.written.borrow().contains_key(blobref);
        directory.unwritten(params, &is_written, &mut |blobref, kind, bytes| {
            new.push((blobref, kind, bytes));
        });
        self.add(new, params);
        let is_written = |blobref: &Blobref| self.written.borrow().contains_key(blobref);
        directory.detach(params, &is_written)
    }

    pub(crate) fn write_value(&self, value: &Value, params: &StoreParams) -> Value {
        let mut new = Vec::new();
        let is_written = |blobref: &Blobref| self.written.borrow().contains_key(blobref);
        value.unwritten(params, &is_written, &mut |blobref, kind, bytes| {
            new.push((blobref, kind, bytes));
        });
        self.add(new, params);
        let is_written = |blobref: &Blobref| self.written.borrow().contains_key(blobref);
        value.detach(params, &is_written)
    }

    fn add(&self, new: Vec<(Blobref, ObjectKind, Bytes)>, params: &StoreParams) {
        for (blobref, kind, bytes) in new {
            assert_eq!(
                blobref,
                Blobref::of(params.algorithm, &bytes),
                "named by its hash"
            );
            if kind == ObjectKind::Node {
                let node = Node::decode(params.algorithm, &bytes).unwrap();
                for (child, _) in node.children() {
                    let known = self.written.borrow().contains_key(&child);
                    assert!(known, "children are written before their parents");
                }
            }
            let old = self.written.borrow_mut().insert(blobref, (kind, bytes));
            assert!(old.is_none(), "an object is written once");
        }
    }

    /// Runs a step as the engine does: loads missing objects and calls again.
    pub(crate) fn run<T>(&self, mut step: impl FnMut() -> Result<T, Fault>) -> T {
        for _ in 0..10_000 {
            match step() {
                Ok(done) => return done,
                Err(Fault::Missing(missing)) => {
                    assert!(!missing.is_empty());
                    let mut progress = false;
                    for object in missing {
                        let kind = self.written.borrow()[&object.blobref].0;
                        assert_eq!(object.kind, kind);
                        progress |= self.loaded.borrow_mut().insert(object.blobref);
                    }
                    assert!(progress, "only what is not at hand is missing");
                }
                Err(fault) => panic!("{fault}"),
            }
        }
        panic!("no end");
    }

    pub(crate) fn forget(&self) {
        self.loaded.borrow_mut().clear();
    }

    fn bytes(&self, blobref: &Blobref) -> Option<Bytes> {
        let at_hand = self.loaded.borrow().contains(blobref);
        at_hand.then(|| self.written.borrow()[blobref].1.clone())
    }
}

impl NodeSource for MapSource {
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>> {
        let bytes = self.bytes(blobref)?;
        Some(Arc::new(Node::decode(blobref.algorithm(), &bytes).unwrap()))
    }

    fn blob(&self, blobref: &Blobref) -> Option<Bytes> {
        self.bytes(blobref)
    }
}
