//! Fast path for reading a small current value: without a view, and without waiting, counting or
//! copying.

use kvs_tree::{Blobref, Key, try_get_inline};

use super::Engine;
use crate::reference::{Position, SnapshotRef};
use crate::request::Principal;

/// A value in memory and the state that contains it.
#[derive(Debug)]
pub struct Glimpse<'a> {
    /// The bytes of the value.
    pub value: &'a [u8],
    /// The namespace that was read.
    pub namespace: &'a str,
    /// The version that was read.
    pub position: Position,
    /// The root of that version.
    pub root: &'a Blobref,
}

impl Glimpse<'_> {
    /// The snapshot reference of this state.
    pub fn snapshot(&self) -> SnapshotRef {
        SnapshotRef {
            namespace: self.namespace.into(),
            version: self.position.version,
            root: *self.root,
        }
    }
}

impl Engine {
    /// Calls `see` with the value at `key` in the newest version. `None` if there is no immediate
    /// result: the value is missing or not small, part of the path is not in memory or is a link,
    /// or the caller may not read it. Use a [`View`](crate::View) then.
    pub fn glimpse<T>(
        &self,
        caller: Principal,
        namespace: &str,
        key: &Key,
        see: impl FnOnce(Glimpse<'_>) -> T,
    ) -> Option<T> {
        let namespace = self.store.readable(caller, namespace).ok()?;
        let source = &*self.store.objects;
        let seen = namespace.with_published(|root| {
            try_get_inline(&root.directory, source, key, |value| {
                Some(see(Glimpse {
                    value: value.in_place()?,
                    namespace: &namespace.name,
                    position: namespace.at(root.version),
                    root: &root.root,
                }))
            })
        });
        seen.ok()??
    }
}
