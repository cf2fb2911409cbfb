//! Reading a small current value without a view: what readers ask for most, and nothing is waited
//! for, counted or copied.

use kvs_tree::{Blobref, Key, try_get_inline};

use super::Engine;
use crate::reference::{Position, SnapshotRef};
use crate::request::Principal;

/// A value in memory, with the state that it was seen in.
#[derive(Debug)]
pub struct Glimpse<'a> {
    /// Its bytes.
    pub value: &'a [u8],
    /// The namespace.
    pub namespace: &'a str,
    /// The version that was read.
    pub position: Position,
    /// The root of that version.
    pub root: &'a Blobref,
}

impl Glimpse<'_> {
    /// The reference under which this state can be read again.
    pub fn snapshot(&self) -> SnapshotRef {
        SnapshotRef {
            namespace: self.namespace.into(),
            version: self.position.version,
            root: *self.root,
        }
    }
}

impl Engine {
    /// What `see` makes of the value at `key` in the newest version. `None` if that cannot be told
    /// at once: there is no small value, not all is in memory, a link is on the way, or the caller
    /// may not read. Then a [`View`](crate::View) tells.
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
