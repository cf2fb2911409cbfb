//! Listing directories in pages.

use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::node::{Directory, Entry};
use crate::scope::{Scope, literal_names_in};
use crate::source::{Fault, NodeSource};
use crate::walk::{Walk, ahead};

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
    if limit == 0 {
        return Ok(Vec::new());
    }
    let top = directory_at(root, source, dir)?;
    let walk = Walk {
        names: &|key| literal_names_in(scope.map_or(&[], std::slice::from_ref), key),
        ahead: ahead(limit),
        page: &|directory: &Directory, after, limit| directory.page(source, after, limit),
        get: &|directory, name| directory.get(source, name),
        enter: &|key, entry| match entry {
            Entry::Directory(directory)
                if recursive && scope.is_none_or(|scope| scope.may_match_below(key)) =>
            {
                Some(directory.clone())
            }
            _ => None,
        },
    };
    let mut entries = Vec::new();
    walk.run(dir, top, after, &mut |key, entry| {
        if scope.is_none_or(|scope| scope.matches(&key)) {
            entries.push((key, entry));
        }
        entries.len() < limit
    })?;
    Ok(entries)
}

fn directory_at(root: &Directory, source: &dyn NodeSource, key: &Key) -> Result<Directory, Fault> {
    let mut directory = root.clone();
    for name in key.names() {
        directory = match directory.get(source, name)? {
            Some(Entry::Directory(next)) => next,
            Some(_) => {
                let message = format!("{key} is no directory");
                return Err(TreeError::new(TreeErrorKind::NotDirectory, message).into());
            }
            None => {
                let message = format!("there is no {key}");
                return Err(TreeError::new(TreeErrorKind::NotFound, message).into());
            }
        };
    }
    Ok(directory)
}
