//! Differences between two trees, in pages, each with a bounded number of visits.

use crate::hash::StoreParams;
use crate::key::Key;
use crate::node::{Directory, Entry};
use crate::scope::{Scope, any_matches, any_may_match_below, literal_names_in};
use crate::source::{Ctx, Fault, NodeSource};
use crate::walk::{Bounds, Effort, Page, Walk, ahead};

/// A key whose entry differs between two trees.
#[derive(Clone, Debug)]
pub struct Change {
    /// The key of both entries.
    pub key: Key,
    /// The entry in the first tree, if any.
    pub before: Option<Entry>,
    /// The entry in the second tree, if any.
    pub after: Option<Entry>,
}

/// A page of the differences between two trees, in walk order, starting after `after`. It ends at
/// the number of items or visits in `bounds`. Equal parts are not visited.
///
/// Reports only keys strictly below `below` (a resolved key; `.` for all) and in one of the scopes
/// (an empty list selects all). A directory is reported if it was created, removed, replaced or
/// took the place of another entry, and then everything below it as well; not if only its content
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
    bounds: Bounds,
) -> Result<Page<Change>, Fault> {
    let limit = bounds.items;
    if limit == 0 {
        return Ok(Page::empty());
    }
    let ctx = Ctx { source, params };
    let walk = Walk {
        names: &|key| literal_names_in(scopes, key),
        ahead: ahead(limit),
        effort: Effort::of(scopes),
        page: &|(a, b): &Pair, after, limit| {
            let changes = a.changes(b, &ctx, after, limit)?;
            let sides = changes
                .into_iter()
                .map(|one| (one.name, (one.before, one.after)));
            Ok(sides.collect())
        },
        get: &|(a, b), name| {
            let sides = (a.get(source, name)?, b.get(source, name)?);
            Ok((!same(&sides, params)).then_some(sides))
        },
        enter: &|key, sides| below_sides(sides).filter(|_| any_may_match_below(scopes, key)),
    };
    let top = (
        directory_at(a, source, below)?,
        directory_at(b, source, below)?,
    );
    let mut changes = Vec::new();
    let walked = walk.run(
        below,
        top,
        after,
        bounds.visits,
        &mut |key, (before, after)| {
            let inside = matches!(
                (&before, &after),
                (Some(Entry::Directory(_)), Some(Entry::Directory(_)))
            );
            if !inside && any_matches(scopes, &key) {
                changes.push(Change { key, before, after });
            }
            changes.len() < limit
        },
    )?;
    Ok(Page {
        items: changes,
        next: walked.next,
        visits: walked.visits,
    })
}

type Pair = (Directory, Directory);
type Sides = (Option<Entry>, Option<Entry>);

fn same(sides: &Sides, params: &StoreParams) -> bool {
    match sides {
        (None, None) => true,
        (Some(a), Some(b)) => a.same(b, params),
        _ => false,
    }
}

/// The directories at two entries; an entry that is not a directory counts as empty.
fn below_sides(sides: &Sides) -> Option<Pair> {
    match sides {
        (Some(Entry::Directory(a)), Some(Entry::Directory(b))) => Some((a.clone(), b.clone())),
        (Some(Entry::Directory(a)), _) => Some((a.clone(), Directory::empty())),
        (_, Some(Entry::Directory(b))) => Some((Directory::empty(), b.clone())),
        _ => None,
    }
}

/// The directory at a resolved key; an empty one if there is none.
fn directory_at(root: &Directory, source: &dyn NodeSource, key: &Key) -> Result<Directory, Fault> {
    let mut directory = root.clone();
    for name in key.names() {
        match directory.get(source, name)? {
            Some(Entry::Directory(next)) => directory = next,
            _ => return Ok(Directory::empty()),
        }
    }
    Ok(directory)
}
