//! Finding what stands at a key, through symbolic links.

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

/// What stands at a key as it is, no link followed: nothing, where a link or a value is on its way.
/// The root is a directory.
///
/// # Errors
/// Only `Missing` and `Corrupt`.
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

/// What `see` makes of the value at a key, which is neither copied nor are nodes in memory held:
/// for readers in a hurry. `None` if no value stands there, or none but behind a link: then
/// [`lookup`] tells what does.
///
/// # Errors
/// Only `Missing` and `Corrupt`.
pub fn try_get_inline<T>(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
    see: impl FnOnce(&Value) -> T,
) -> Result<Option<T>, Fault> {
    // The name of the root is no name of an entry.
    glimpse_below(root, source, key.as_str(), see)
}

/// Calls itself once for each name of a key.
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
    find(root, source, key, follow_last, followed, &|_, _| ())
}

/// The nodes of directories that a lookup reads.
#[derive(Debug)]
pub struct Path {
    /// Their names and themselves, each once, in the order in which the lookup comes to them.
    pub nodes: Vec<(Blobref, Arc<Node>)>,
    /// What the lookup came to, or why it did not get further than these nodes.
    pub end: Result<Resolved, Fault>,
}

/// Looks a key up, links followed, and tells which nodes that takes. Whoever has these can look the
/// key up himself; who has only the first of them gets exactly so far, and so can tell by their
/// number which he lacks.
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
    /// A link that is to be followed stands at the first `at` names of the key.
    Link {
        at: usize,
        link: Symlink,
    },
}

/// Goes down from the root as far as there is no link to be followed.
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

/// Goes on with the rest of a key, the first name of which is the so-many-th. Calls itself once for
/// each name.
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
