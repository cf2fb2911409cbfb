//! Listing directories in pages.

use crate::key::Key;
use crate::node::{Directory, Entry};
use crate::scope::Scope;
use crate::source::{Fault, NodeSource};

/// At most `limit` entries below `dir`, in the order of a walk (a directory before what is in it,
/// names sorted), from the first behind `after`; fewer only at the end. `dir` is a resolved key,
/// and no link is followed. Only entries in the scope are listed, and directories that can hold
/// none are not entered.
///
/// # Errors
/// `NotFound` or `NotDirectory` if `dir` is no directory.
pub fn list(
    root: &Directory,
    source: &dyn NodeSource,
    dir: &Key,
    after: Option<&Key>,
    limit: usize,
    recursive: bool,
    scope: Option<&Scope>,
) -> Result<Vec<(Key, Entry)>, Fault> {
    let _ = (root, source, dir, after, limit, recursive, scope);
    todo!()
}
