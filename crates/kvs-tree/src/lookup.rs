//! Finding what stands at a key, through symbolic links.

use smol_str::SmolStr;

use crate::key::Key;
use crate::node::{Directory, Entry};
use crate::source::{Fault, NodeSource};

/// What a lookup came to.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// Something stands there.
    Found {
        /// What.
        entry: Entry,
        /// Where, with no link on the way.
        key: Key,
        /// The links that were followed, in order.
        links: Vec<Key>,
    },
    /// Nothing stands there, or the way leads through a value.
    Absent {
        /// Where a write would go.
        key: Key,
        /// The links that were followed, in order.
        links: Vec<Key>,
    },
    /// A link leads into another namespace, where the lookup is to go on.
    Elsewhere {
        /// The other namespace.
        namespace: SmolStr,
        /// The key to look up there.
        key: Key,
        /// Links followed so far, to be handed to the next lookup.
        followed: usize,
        /// The links that were followed here, in order.
        links: Vec<Key>,
    },
}

/// Looks a key up from the root. Links in the middle are always followed, one at the end if
/// `follow_last`; `followed` counts the links that were followed before, in other namespaces.
///
/// # Errors
/// `LinkLoop` beyond [`crate::LINK_DEPTH`] links; `Limit` if a link leads to a key that is too
/// long.
pub fn lookup(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
    follow_last: bool,
    followed: usize,
) -> Result<Resolved, Fault> {
    let _ = (root, source, key, follow_last, followed);
    todo!()
}
