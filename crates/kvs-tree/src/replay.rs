//! Replays recorded effects, for recovery and for copies on other machines.
//!
//! Effects on two keys are independent unless one key is below the other. So they are not replayed
//! in recorded order, but directory by directory: each directory is looked up once, each name in it
//! is changed once, and effects at or below one name keep their order. A copy reads another entry,
//! so it is a barrier: it runs after all effects before it and before all effects after it.

use std::cell::Cell;

use crate::edit::edit;
use crate::effect::Effect;
use crate::error::{TreeError, TreeErrorKind};
use crate::lookup::{Resolved, lookup};
use crate::node::{Directory, Entry, Value};
use crate::prefetch::ReplayPrefetch;
use crate::source::{Ctx, Fault};

/// Applies recorded effects. Applied to the root that they were recorded for, they produce the root
/// that was recorded.
///
/// Missing objects are reported level by level. With many effects, use [`ReplayPrefetch`] first.
///
/// # Errors
/// `Corrupt` if an effect does not fit the tree. Messages name the effect (counted from 0) and its
/// key.
pub fn replay(root: &Directory, ctx: &Ctx<'_>, effects: &[Effect]) -> Result<Directory, Fault> {
    let mut tree = root.clone();
    let doing = Cell::new(0);
    redo_all(&mut tree, ctx, effects, &doing).map_err(|fault| match fault {
        Fault::Tree(error) => {
            let index = doing.get();
            let key = effects.get(index).map_or("", |e| e.key().as_str());
            let message = format!("effect {index} on {key}: {}", error.message);
            TreeError::new(TreeErrorKind::Corrupt, message).into()
        }
        Fault::Missing(missing) => {
            let wanted = ReplayPrefetch::new(root, effects).next(ctx);
            Fault::Missing(if wanted.is_empty() { missing } else { wanted })
        }
        fault => fault,
    })?;
    Ok(tree)
}

/// An effect on the way down to the entry that it changes.
struct Step<'a> {
    index: usize,
    effect: &'a Effect,
    /// The name in the current directory.
    name: &'a str,
    /// The remaining names; empty at the last.
    below: &'a str,
}

impl Step<'_> {
    fn is_here(&self) -> bool {
        self.below.is_empty()
    }

    /// Proceeds to the next name.
    fn descend(&mut self) {
        (self.name, self.below) = self.below.split_once('.').unwrap_or((self.below, ""));
    }
}

fn redo_all(
    tree: &mut Directory,
    ctx: &Ctx<'_>,
    effects: &[Effect],
    doing: &Cell<usize>,
) -> Result<(), Fault> {
    let is_copy = |effect: &Effect| matches!(effect, Effect::Copy { .. });
    let mut done = 0;
    for run in effects.chunk_by(|one, two| !is_copy(one) && !is_copy(two)) {
        doing.set(done);
        if let Some(Effect::Copy { from, to, .. }) = run.first() {
            let entry = match lookup(tree, ctx.source, from, false, 0)? {
                Resolved::Found { entry, links, .. } if links.is_empty() => entry,
                _ => return mismatch(format!("there is no {from} to copy")),
            };
            let mut entry = Some(entry);
            edit(tree, ctx, to, None, &mut |slot| {
                *slot = entry.take();
                Ok(())
            })?;
        } else {
            let steps = run.iter().zip(done..).map(|(effect, index)| Step {
                index,
                effect,
                name: "",
                below: effect.key().as_str(),
            });
            let mut steps: Vec<Step<'_>> = steps.collect();
            in_directory(tree, ctx, &mut steps, doing)?;
        }
        done += run.len();
    }
    Ok(())
}

/// Performs the steps below a directory. [`crate::KEY_NAMES`] bounds the recursion.
fn in_directory(
    directory: &mut Directory,
    ctx: &Ctx<'_>,
    steps: &mut [Step<'_>],
    doing: &Cell<usize>,
) -> Result<(), Fault> {
    steps.iter_mut().for_each(Step::descend);
    // Stable: steps at or below one name keep their order.
    steps.sort_by(|one, two| one.name.cmp(two.name));
    for same in steps.chunk_by_mut(|one, two| one.name == two.name) {
        let Some((name, index)) = same.first().map(|step| (step.name, step.index)) else {
            continue;
        };
        doing.set(index);
        directory.update(ctx, name, &mut |slot| in_entry(slot, ctx, same, doing))?;
    }
    Ok(())
}

/// Performs the steps at an entry and below it.
fn in_entry(
    slot: &mut Option<Entry>,
    ctx: &Ctx<'_>,
    steps: &mut [Step<'_>],
    doing: &Cell<usize>,
) -> Result<(), Fault> {
    for part in steps.chunk_by_mut(|one, two| one.is_here() == two.is_here()) {
        if part.first().is_some_and(Step::is_here) {
            for step in part {
                doing.set(step.index);
                redo(slot, ctx, step.effect)?;
            }
            continue;
        }
        doing.set(part.first().map_or(0, |step| step.index));
        let Some(Entry::Directory(mut directory)) = slot.take() else {
            let name = part.first().map_or("", |step| step.name);
            return mismatch(format!("'{}' is not a directory", name.escape_debug()));
        };
        in_directory(&mut directory, ctx, part, doing)?;
        *slot = Some(Entry::Directory(directory));
    }
    Ok(())
}

/// Performs one effect that needs no other entry.
fn redo(slot: &mut Option<Entry>, ctx: &Ctx<'_>, effect: &Effect) -> Result<(), Fault> {
    let entry = match effect {
        Effect::Put { value, .. } => Entry::Value(Value::new(ctx.params, value.clone())),
        Effect::PutStored { len, blobref, .. } => Entry::Value(Value::stored(*len, *blobref)),
        Effect::Append { value: more, .. } => {
            return match slot {
                Some(Entry::Value(value)) => value.append(ctx, more),
                _ => mismatch("there is no value to append to"),
            };
        }
        Effect::Unlink { .. } => {
            return match slot.take() {
                Some(_) => Ok(()),
                None => mismatch("there is nothing to remove"),
            };
        }
        Effect::Mkdir { .. } => Entry::Directory(Directory::empty()),
        Effect::Link { target, .. } => Entry::Symlink(target.clone()),
        Effect::Graft { entry, .. } => {
            Entry::Directory(Directory::stored(entry.blobref, entry.stats))
        }
        Effect::Copy { .. } => return mismatch("a copy is done on its own"),
    };
    *slot = Some(entry);
    Ok(())
}

fn mismatch<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(TreeError::new(TreeErrorKind::Corrupt, message).into())
}
