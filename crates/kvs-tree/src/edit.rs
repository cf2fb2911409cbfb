//! Edits one entry anywhere below a root; shared by apply and replay.
//!
//! Keys are resolved here: a link on the path is an inconsistency. [`crate::KEY_NAMES`] bounds the
//! recursion.

use std::collections::HashSet;

use crate::error::{TreeError, TreeErrorKind};
use crate::key::{Key, first_name};
use crate::node::{Directory, Entry};
use crate::source::{Ctx, Fault, Missing};

/// Replaces an entry. On an error it leaves the old one.
pub(crate) type Edit<'a> = &'a mut dyn FnMut(&mut Option<Entry>) -> Result<(), Fault>;

/// Edits the entry at `key`. With `made`, missing directories on the path are created, also in
/// place of values, and the depth of each is pushed to `made`; without it, all of them must exist.
/// After an error `root` is unchanged, unless `f` took an entry.
pub(crate) fn edit(
    root: &mut Directory,
    ctx: &Ctx<'_>,
    key: &Key,
    made: Option<&mut Vec<usize>>,
    f: Edit<'_>,
) -> Result<(), Fault> {
    if key.is_root() {
        return Err(TreeError::new(TreeErrorKind::Invalid, "the root is not an entry").into());
    }
    descend(root, ctx, key.as_str(), 1, made, f)
}

fn descend(
    directory: &mut Directory,
    ctx: &Ctx<'_>,
    names: &str,
    depth: usize,
    mut made: Option<&mut Vec<usize>>,
    f: Edit<'_>,
) -> Result<(), Fault> {
    let (name, rest) = first_name(names);
    let Some(rest) = rest else {
        return directory.update(ctx, name, f);
    };
    directory.update(ctx, name, &mut |slot| {
        // An entry replaced by a directory is restored if the edit below fails.
        let (mut child, replaced) = match (slot.take(), made.as_deref_mut()) {
            (Some(Entry::Directory(child)), _) => (child, None),
            (before @ (None | Some(Entry::Value(_))), Some(made)) => {
                made.push(depth);
                (Directory::empty(), Some(before))
            }
            (before, _) => {
                *slot = before;
                let message = format!("'{}' is not a directory", name.escape_debug());
                return Err(TreeError::new(TreeErrorKind::Corrupt, message).into());
            }
        };
        let done = descend(&mut child, ctx, rest, depth + 1, made.as_deref_mut(), f);
        *slot = match (&done, replaced) {
            (Err(_), Some(before)) => before,
            _ => Some(Entry::Directory(child)),
        };
        done
    })
}

/// Collects the missing objects of several attempts, so that the caller loads them all at once.
#[derive(Default)]
pub(crate) struct Wanted {
    missing: Vec<Missing>,
    known: HashSet<Missing>,
}

impl Wanted {
    /// Adds the objects that an attempt is missing; ignores any other outcome.
    pub(crate) fn add<T>(&mut self, attempt: Result<T, Fault>) {
        if let Err(Fault::Missing(missing)) = attempt {
            for one in missing {
                if self.known.insert(one) {
                    self.missing.push(one);
                }
            }
        }
    }

    /// The number of distinct missing objects.
    pub(crate) fn len(&self) -> usize {
        self.missing.len()
    }

    /// The fault that reports all of them; `None` if nothing is missing.
    pub(crate) fn fault(self) -> Option<Fault> {
        (!self.missing.is_empty()).then_some(Fault::Missing(self.missing))
    }
}

/// Returns `fault`. If it reports missing objects, adds those that further attempts are missing,
/// until there are `most`.
pub(crate) fn with_more<T>(
    fault: Fault,
    most: usize,
    attempts: impl Iterator<Item = Result<T, Fault>>,
) -> Fault {
    let Fault::Missing(_) = &fault else {
        return fault;
    };
    let mut wanted = Wanted::default();
    wanted.add(Err::<(), _>(fault.clone()));
    for attempt in attempts {
        if wanted.len() >= most {
            break;
        }
        wanted.add(attempt);
    }
    wanted.fault().unwrap_or(fault)
}
