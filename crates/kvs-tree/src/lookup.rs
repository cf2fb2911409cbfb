//! Finding what stands at a key, through symbolic links.

use smol_str::SmolStr;

use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::limits::LINK_DEPTH;
use crate::node::{Directory, Entry, Symlink};
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
    let mut links = Vec::new();
    let mut key = key.clone();
    loop {
        let (at, link) = match walk(root, source, &key, follow_last)? {
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
) -> Result<Step, Fault> {
    let mut directory = root.clone();
    let mut names = key.names().enumerate().peekable();
    while let Some((index, name)) = names.next() {
        let last = names.peek().is_none();
        match directory.get(source, name)? {
            Some(Entry::Symlink(link)) if follow_last || !last => {
                return Ok(Step::Link {
                    at: index + 1,
                    link,
                });
            }
            Some(entry) if last => return Ok(Step::Found(entry)),
            Some(Entry::Directory(next)) => directory = next,
            _ => return Ok(Step::Absent),
        }
    }
    Ok(Step::Found(Entry::Directory(directory)))
}
