//! Changing one entry anywhere below a root; shared by apply and replay.
//!
//! Keys are resolved here: a link on the way is a contradiction. Recursion is bounded by
//! [`crate::KEY_NAMES`].

use std::collections::HashSet;

use crate::error::{TreeError, TreeErrorKind};
use crate::key::{Key, first_name};
use crate::node::{Directory, Entry};
use crate::source::{Ctx, Fault, Missing};

/// What is left in an entry's place by an edit. On an error it leaves what was there.
pub(crate) type Edit<'a> = &'a mut dyn FnMut(&mut Option<Entry>) -> Result<(), Fault>;

/// Edits the entry at `key`. With `made`, directories on the way are made where there is none,
/// also in place of values, and `made` is told how many names lead to each; without, each must be
/// there. After an error `root` is as it was, unless `f` took an entry away.
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
        // What is made a directory is put back if nothing comes of it.
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

/// Collects what is missing from several attempts, so that the caller loads it in one go.
#[derive(Default)]
pub(crate) struct Wanted {
    missing: Vec<Missing>,
    known: HashSet<Missing>,
}

impl Wanted {
    /// Takes in what an attempt missed; whatever else came of it does not matter.
    pub(crate) fn add<T>(&mut self, attempt: Result<T, Fault>) {
        if let Err(Fault::Missing(missing)) = attempt {
            for one in missing {
                if self.known.insert(one) {
                    self.missing.push(one);
                }
            }
        }
    }

    /// How many are missing.
    pub(crate) fn len(&self) -> usize {
        self.missing.len()
    }

    /// The fault that asks for all of it, if anything is missing.
    pub(crate) fn fault(self) -> Option<Fault> {
        (!self.missing.is_empty()).then_some(Fault::Missing(self.missing))
    }
}

/// `fault`, and if it asks for objects, also for those that the further attempts miss, until there
/// are `most`.
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
