//! What differs between two trees.

use crate::hash::StoreParams;
use crate::key::Key;
use crate::node::{Directory, Entry};
use crate::scope::Scope;
use crate::source::{Fault, NodeSource};

/// A key that holds different things in two trees.
#[derive(Clone, Debug)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What stands there in the first tree.
    pub before: Option<Entry>,
    /// What stands there in the second tree.
    pub after: Option<Entry>,
}

/// At most `limit` differences between two trees, in the order of a walk, from the first behind
/// `after`; fewer only at the end.
///
/// Only keys strictly below `below` (a resolved key; `.` for all) and in one of the scopes (no
/// scopes: all) are reported. A directory is reported when it was made, was removed, or took or
/// left the place of something else, and then everything below it too; not when only its content
/// changed.
#[allow(clippy::too_many_arguments)]
pub fn diff(
    a: &Directory,
    b: &Directory,
    source: &dyn NodeSource,
    params: &StoreParams,
    scopes: &[Scope],
    below: &Key,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<Change>, Fault> {
    let _ = (a, b, source, params, scopes, below, after, limit);
    todo!()
}
