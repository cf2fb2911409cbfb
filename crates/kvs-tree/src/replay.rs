//! Replaying recorded effects: what recovery and copies on other machines do.

use crate::edit::{edit, with_more};
use crate::effect::Effect;
use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::limits::REPLAY_MISSING;
use crate::lookup::{Resolved, lookup};
use crate::node::{Directory, Entry, Value};
use crate::source::{Ctx, Fault};

/// Does again what the effects say, in order. From the root that they were made from this leads to
/// the root that they led to.
///
/// # Errors
/// `Corrupt` if an effect does not fit the tree. Messages name the effect (counted from 0) and its
/// key.
pub fn replay(root: &Directory, ctx: &Ctx<'_>, effects: &[Effect]) -> Result<Directory, Fault> {
    let mut tree = root.clone();
    for (index, effect) in effects.iter().enumerate() {
        redo(&mut tree, ctx, effect).map_err(|fault| match fault {
            Fault::Tree(error) => {
                let message = format!("effect {index} on {}: {}", effect.key(), error.message);
                TreeError::new(TreeErrorKind::Corrupt, message).into()
            }
            fault => {
                // In the order of keys: neighbours then find each other's nodes still close at hand.
                let mut rest: Vec<_> = effects.iter().skip(index + 1).collect();
                rest.sort_unstable_by_key(|effect| effect.key());
                rest.dedup_by_key(|effect| effect.key());
                with_more(
                    fault,
                    REPLAY_MISSING,
                    rest.into_iter().map(|effect| touch(root, ctx, effect)),
                )
            }
        })?;
    }
    Ok(tree)
}

/// Reads what `effect` is going to change, without changing it: asks for the nodes on the way, at a
/// fraction of the cost of doing it. What it finds there does not matter, effects before it may change that.
fn touch(root: &Directory, ctx: &Ctx<'_>, effect: &Effect) -> Result<(), Fault> {
    if let Effect::Append { .. } = effect {
        // The end of the value is needed as well.
        return redo(&mut root.clone(), ctx, effect);
    }
    if let Effect::Copy { from, .. } = effect {
        lookup(root, ctx.source, from, false, 0)?;
    }
    lookup(root, ctx.source, effect.key(), false, 0).map(drop)
}

fn redo(root: &mut Directory, ctx: &Ctx<'_>, effect: &Effect) -> Result<(), Fault> {
    match effect {
        Effect::Put { key, value, .. } => place(
            root,
            ctx,
            key,
            Entry::Value(Value::new(ctx.params, value.clone())),
        ),
        Effect::PutStored {
            key, len, blobref, ..
        } => place(root, ctx, key, Entry::Value(Value::stored(*len, *blobref))),
        Effect::Append { key, value: more } => edit(root, ctx, key, None, &mut |slot| match slot {
            Some(Entry::Value(value)) => value.append(ctx, more),
            _ => mismatch("there is no value to append to"),
        }),
        Effect::Unlink { key, .. } => edit(root, ctx, key, None, &mut |slot| match slot.take() {
            Some(_) => Ok(()),
            None => mismatch("there is nothing to remove"),
        }),
        Effect::Mkdir { key, .. } => place(root, ctx, key, Entry::Directory(Directory::empty())),
        Effect::Link { key, target, .. } => place(root, ctx, key, Entry::Symlink(target.clone())),
        Effect::Copy { from, to, .. } => match lookup(root, ctx.source, from, false, 0)? {
            Resolved::Found { entry, links, .. } if links.is_empty() => place(root, ctx, to, entry),
            _ => mismatch(format!("there is no {from} to copy")),
        },
        Effect::Graft { key, entry, .. } => {
            let directory = Directory::stored(entry.blobref, entry.stats);
            place(root, ctx, key, Entry::Directory(directory))
        }
    }
}

fn place(root: &mut Directory, ctx: &Ctx<'_>, key: &Key, entry: Entry) -> Result<(), Fault> {
    let mut entry = Some(entry);
    edit(root, ctx, key, None, &mut |slot| {
        *slot = entry.take();
        Ok(())
    })
}

fn mismatch<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(TreeError::new(TreeErrorKind::Corrupt, message).into())
}
