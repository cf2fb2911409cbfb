//! Lists directories in pages, each with a bounded number of visits.

use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::node::{Directory, Entry};
use crate::scope::{Scope, literal_names_in};
use crate::source::{Fault, NodeSource};
use crate::walk::{Bounds, Effort, Page, Walk, ahead};

/// A page of the entries below `dir`, in walk order (a directory before its content, names sorted),
/// starting after `after`. `dir` is a resolved key; no links are followed. Lists only entries in
/// the scope, and does not enter directories that cannot contain any. The page ends at the number
/// of items or visits in `bounds`.
///
/// # Errors
/// `NotFound` or `NotDirectory` if there is no directory at `dir`.
pub fn list(
    root: &Directory,
    source: &dyn NodeSource,
    dir: &Key,
    after: Option<&Key>,
    bounds: Bounds,
    recursive: bool,
    scope: Option<&Scope>,
) -> Result<Page<(Key, Entry)>, Fault> {
    let limit = bounds.items;
    if limit == 0 {
        return Ok(Page::empty());
    }
    let top = directory_at(root, source, dir)?;
    let scopes = scope.map_or(&[][..], std::slice::from_ref);
    let walk = Walk {
        names: &|key| literal_names_in(scopes, key),
        ahead: ahead(limit),
        effort: Effort::of(scopes),
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
    let walked = walk.run(dir, top, after, bounds.visits, &mut |key, entry| {
        if scope.is_none_or(|scope| scope.matches(&key)) {
            entries.push((key, entry));
        }
        entries.len() < limit
    })?;
    Ok(Page {
        items: entries,
        next: walked.next,
        visits: walked.visits,
    })
}

fn directory_at(root: &Directory, source: &dyn NodeSource, key: &Key) -> Result<Directory, Fault> {
    let mut directory = root.clone();
    for name in key.names() {
        directory = match directory.get(source, name)? {
            Some(Entry::Directory(next)) => next,
            Some(_) => {
                let message = format!("{key} is not a directory");
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
