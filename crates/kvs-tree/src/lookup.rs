//! Lookup of the entry at a key, through symbolic links.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::error::{TreeError, TreeErrorKind};
use crate::hash::Blobref;
use crate::key::{Key, first_name};
use crate::limits::LINK_DEPTH;
use crate::node::{Directory, Entry, Node, NodeRef, Symlink, Value};
use crate::source::{Ctx, Fault, NodeSource};

/// The result of a lookup.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// There is an entry.
    Found {
        /// The entry itself.
        entry: Entry,
        /// Its key, with links resolved.
        key: Key,
        /// The links that were followed, in order.
        links: Vec<Key>,
    },
    /// There is no entry, or the path leads through a value.
    Absent {
        /// The key that a write would go to.
        key: Key,
        /// The links that were followed, in order.
        links: Vec<Key>,
    },
    /// A link leads into another namespace, where the lookup must continue.
    Elsewhere {
        /// The other namespace.
        namespace: SmolStr,
        /// The key to look up in it.
        key: Key,
        /// The number of links followed so far, to pass to the next lookup.
        followed: usize,
        /// The links that were followed in this namespace, in order.
        links: Vec<Key>,
    },
}

/// The entry at `key`, following no links: `None` if a link or a value is on the path. The root is
/// a directory.
pub fn entry_at(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
) -> Result<Option<Entry>, Fault> {
    let mut entry = Entry::Directory(root.clone());
    for name in key.names() {
        let Entry::Directory(directory) = entry else {
            return Ok(None);
        };
        match directory.get(source, name)? {
            Some(next) => entry = next,
            None => return Ok(None),
        }
    }
    Ok(Some(entry))
}

/// Calls `see` with the value at `key` without copying it or pinning nodes in memory. The fast
/// path: `None` if there is no value, or only through a link; use [`lookup`] to find out.
pub fn try_get_inline<T>(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
    see: impl FnOnce(&Value) -> T,
) -> Result<Option<T>, Fault> {
    // `.`, the name of the root, is not an entry name.
    glimpse_below(root, source, key.as_str(), see)
}

/// Recurses once for each name of a key.
fn glimpse_below<T>(
    directory: &Directory,
    source: &dyn NodeSource,
    names: &str,
    see: impl FnOnce(&Value) -> T,
) -> Result<Option<T>, Fault> {
    let (name, rest) = first_name(names);
    directory.descend(source, name, &|_, _| (), |entry| match (entry, rest) {
        (Some(Entry::Value(value)), None) => Ok(Some(see(value))),
        (Some(Entry::Directory(next)), Some(rest)) => glimpse_below(next, source, rest, see),
        _ => Ok(None),
    })
}

/// Looks up `key` from the root. Links in the middle of a key are always followed, the last one
/// only with `follow_last`. `followed` is the number of links followed so far, in other namespaces.
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
    find(root, source, key, follow_last, followed, &|_, _| ())
}

/// The directory nodes that a lookup reads.
#[derive(Debug)]
pub struct Path {
    /// Names and nodes, each once, in the order in which the lookup reads them.
    pub nodes: Vec<(Blobref, Arc<Node>)>,
    /// The result of the lookup, or why it ended at these nodes.
    pub end: Result<Resolved, Fault>,
}

/// Looks up `key`, following links, and records the nodes read. With all of them a client can
/// repeat the lookup itself. With only the first n of them it gets exactly that far, so n
/// identifies the nodes that it lacks.
pub fn path(root: &Directory, ctx: &Ctx<'_>, key: &Key) -> Path {
    let nodes = RefCell::new(Vec::new());
    let seen = RefCell::new(HashSet::new());
    let visit = |link: &NodeRef, node: &Arc<Node>| {
        let blobref = link.seal(ctx.params);
        if seen.borrow_mut().insert(blobref) {
            nodes.borrow_mut().push((blobref, node.clone()));
        }
    };
    let end = find(root, ctx.source, key, true, 0, &visit);
    let nodes = nodes.into_inner();
    Path { nodes, end }
}

fn find(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
    follow_last: bool,
    followed: usize,
    visit: &impl Fn(&NodeRef, &Arc<Node>),
) -> Result<Resolved, Fault> {
    let mut links = Vec::new();
    let mut key = key.clone();
    loop {
        let (at, link) = match walk(root, source, &key, follow_last, visit)? {
            Step::Found(entry) => return Ok(Resolved::Found { entry, key, links }),
            Step::Absent => return Ok(Resolved::Absent { key, links }),
            Step::Link { at, link } => (at, link),
        };
        links.push(key.prefix(at));
        if followed + links.len() > LINK_DEPTH {
            let message = format!("more than {LINK_DEPTH} links on the way to {key}");
            return Err(TreeError::new(TreeErrorKind::LinkLoop, message).into());
        }
        key = Key::parse(&link.target)?.join(&key.suffix(at))?;
        if let Some(namespace) = link.namespace {
            let followed = followed + links.len();
            return Ok(Resolved::Elsewhere {
                namespace,
                key,
                followed,
                links,
            });
        }
    }
}

enum Step {
    Found(Entry),
    Absent,
    /// The first `at` names of the key lead to a link that must be followed.
    Link {
        at: usize,
        link: Symlink,
    },
}

/// Descends from the root up to the first link to follow.
fn walk(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
    follow_last: bool,
    visit: &impl Fn(&NodeRef, &Arc<Node>),
) -> Result<Step, Fault> {
    if key.is_root() {
        return Ok(Step::Found(Entry::Directory(root.clone())));
    }
    walk_below(root, source, (1, key.as_str()), follow_last, visit)
}

/// Continues with the names of a key from the `at`-th on. Recurses once for each name.
fn walk_below(
    directory: &Directory,
    source: &dyn NodeSource,
    (at, names): (usize, &str),
    follow_last: bool,
    visit: &impl Fn(&NodeRef, &Arc<Node>),
) -> Result<Step, Fault> {
    let (name, rest) = first_name(names);
    directory.descend(source, name, visit, |entry| match (entry, rest) {
        (Some(Entry::Symlink(link)), rest) if follow_last || rest.is_some() => {
            let link = link.clone();
            Ok(Step::Link { at, link })
        }
        (Some(entry), None) => Ok(Step::Found(entry.clone())),
        (Some(Entry::Directory(next)), Some(rest)) => {
            walk_below(next, source, (at + 1, rest), follow_last, visit)
        }
        _ => Ok(Step::Absent),
    })
}
