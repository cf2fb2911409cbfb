//! Performs operations.

use bytes::Bytes;

use super::draft::{Draft, has_keys_below, invalid, refused};
use super::object;
use super::write::{check_len, checked_link, link, mkdir, put};
use crate::effect::Effect;
use crate::error::TreeErrorKind;
use crate::key::Key;
use crate::node::{Entry, Value};
use crate::source::Fault;
use crate::transaction::{Operation, OperationResult};
use crate::treeobj::from_json;

/// The operation's title in messages; `index` is its position in the transaction.
pub(super) fn title(index: usize, operation: &Operation) -> String {
    format!(
        "operation {index}: {} {}",
        operation.verb(),
        operation.key()
    )
}

/// Performs one operation.
pub(super) fn perform(
    draft: &mut Draft<'_>,
    operation: &Operation,
) -> Result<OperationResult, Fault> {
    match operation {
        Operation::Copy { from, to } => {
            check_key(operation)?;
            copy(draft, from, to)?;
        }
        Operation::Move { from, to } => {
            check_key(operation)?;
            rename(draft, from, to)?;
        }
        Operation::PutObject { key, object } => {
            check_key(operation)?;
            let object = from_json(object)?;
            let (key, _) = draft.resolve(key)?;
            object::put(draft, key, &object)?;
        }
        _ => {
            let (key, before) = locate(draft, operation)?;
            return write(draft, operation, key, before.as_ref());
        }
    }
    Ok(OperationResult::Done)
}

fn check_key(operation: &Operation) -> Result<(), Fault> {
    if operation.key().is_root() {
        return invalid("the root cannot be written");
    }
    Ok(())
}

/// Locates the target of an operation on a single key, and the entry there. Refuses what can be
/// refused without knowing the entry.
pub(super) fn locate(
    draft: &mut Draft<'_>,
    operation: &Operation,
) -> Result<(Key, Option<Entry>), Fault> {
    check_key(operation)?;
    match operation {
        Operation::Put { value, .. } => check_len(value.len() as u64)?,
        Operation::PutStored { value, .. } => check_len(value.len())?,
        Operation::Link { target, .. } => drop(checked_link(target)?),
        _ => {}
    }
    draft.resolve(operation.key())
}

/// Performs an operation at its [located](locate) target.
pub(super) fn write(
    draft: &mut Draft<'_>,
    operation: &Operation,
    key: Key,
    before: Option<&Entry>,
) -> Result<OperationResult, Fault> {
    match operation {
        Operation::Put { value, .. } => put(draft, key, value)?,
        Operation::Append { value, .. } => append(draft, key, before, value)?,
        Operation::Unlink { .. } if before.is_none() => {}
        Operation::Unlink { .. } => unlink(draft, key, before)?,
        // An existing directory is left as it is, including its content.
        Operation::Mkdir { .. } if matches!(before, Some(Entry::Directory(_))) => {}
        Operation::Mkdir { .. } => mkdir(draft, key)?,
        Operation::Link { target, .. } => link(draft, key, checked_link(target)?)?,
        Operation::Add { delta, .. } => return add(draft, key, before, *delta),
        Operation::PutStored { value, .. } => put_stored(draft, key, value)?,
        Operation::Copy { .. } | Operation::Move { .. } | Operation::PutObject { .. } => {
            return invalid("it does not work at one key alone");
        }
    }
    Ok(OperationResult::Done)
}

fn put_stored(draft: &mut Draft<'_>, key: Key, value: &Value) -> Result<(), Fault> {
    match (value.inline(), value.blobref(draft.ctx.params)) {
        (None, Some(blobref)) => {
            let subtree = draft.place(&key, Entry::Value(value.clone()))?;
            let len = value.len();
            draft.effects.push(Effect::PutStored {
                key,
                len,
                blobref,
                subtree,
            });
            Ok(())
        }
        (inline, _) => put(draft, key, &inline.unwrap_or_default()),
    }
}

fn unlink(draft: &mut Draft<'_>, key: Key, before: Option<&Entry>) -> Result<(), Fault> {
    draft.edit(&key, &mut |slot| {
        slot.take();
        Ok(())
    })?;
    draft.effects.push(Effect::Unlink {
        key,
        subtree: has_keys_below(before),
    });
    Ok(())
}

fn append(
    draft: &mut Draft<'_>,
    key: Key,
    before: Option<&Entry>,
    more: &Bytes,
) -> Result<(), Fault> {
    match before {
        None => {
            check_len(more.len() as u64)?;
            return put(draft, key, more);
        }
        Some(Entry::Directory(_)) => {
            return refused(
                TreeErrorKind::IsDirectory,
                "nothing can be appended to a directory",
            );
        }
        Some(Entry::Symlink(_)) => {
            return refused(
                TreeErrorKind::LinkAppend,
                "nothing can be appended to a link; append to what it leads to",
            );
        }
        Some(Entry::Value(value)) => check_len(value.len().saturating_add(more.len() as u64))?,
    }
    let ctx = draft.ctx;
    draft.edit(&key, &mut |slot| match slot {
        Some(Entry::Value(value)) => {
            let mut longer = value.clone();
            longer.append(ctx, more)?;
            *value = longer;
            Ok(())
        }
        _ => refused(TreeErrorKind::Corrupt, "the value is gone"),
    })?;
    draft.effects.push(Effect::Append {
        key,
        value: more.clone(),
    });
    Ok(())
}

fn add(
    draft: &mut Draft<'_>,
    key: Key,
    before: Option<&Entry>,
    delta: i64,
) -> Result<OperationResult, Fault> {
    let sum = match before {
        None => Some(delta),
        Some(Entry::Directory(_)) => {
            return refused(
                TreeErrorKind::IsDirectory,
                "nothing can be added to a directory",
            );
        }
        Some(Entry::Symlink(_)) => {
            return refused(
                TreeErrorKind::LinkAppend,
                "nothing can be added to a link; add to what it leads to",
            );
        }
        Some(Entry::Value(value)) => {
            let Some(number) = read_integer(draft, value)? else {
                return invalid("value is not a 64-bit decimal integer");
            };
            number.checked_add(delta)
        }
    };
    let Some(sum) = sum else {
        return refused(TreeErrorKind::Limit, "the sum does not fit into 64 bits");
    };
    put(draft, key, &Bytes::from(sum.to_string()))?;
    Ok(OperationResult::Added(sum))
}

/// Maximum length of the text of a 64-bit integer: 19 digits and a sign.
pub(super) const INTEGER_BYTES: u64 = 20;

fn read_integer(draft: &Draft<'_>, value: &Value) -> Result<Option<i64>, Fault> {
    if value.len() > INTEGER_BYTES {
        return Ok(None);
    }
    let bytes = value.read(draft.ctx.source, 0..value.len())?;
    Ok(str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.parse().ok()))
}

fn copy(draft: &mut Draft<'_>, from: &Key, to: &Key) -> Result<(), Fault> {
    let (from, mut entry) = source(draft, from)?;
    let (to, _) = draft.resolve(to)?;
    if to.is_below(&from) {
        let Entry::Directory(_) = entry else {
            return invalid("a value cannot be copied below itself");
        };
        // The directories on the path are effects before the copy, so the copy includes them.
        if let Some(parent) = to.parent() {
            draft.make_directories(&parent)?;
        }
        entry = source(draft, &from)?.1;
    }
    duplicate(draft, from, to, entry)
}

fn rename(draft: &mut Draft<'_>, from: &Key, to: &Key) -> Result<(), Fault> {
    let (from, entry) = source(draft, from)?;
    let (to, _) = draft.resolve(to)?;
    if from == to {
        return Ok(());
    }
    if to.is_below(&from) {
        return invalid("it cannot be moved below itself");
    }
    let inside = from.is_below(&to);
    duplicate(draft, from.clone(), to, entry.clone())?;
    if inside {
        // The destination was a directory above the source, so the source is gone already.
        return Ok(());
    }
    unlink(draft, from, Some(&entry))
}

/// The source entry of a copy or move.
fn source(draft: &mut Draft<'_>, from: &Key) -> Result<(Key, Entry), Fault> {
    if from.is_root() {
        return invalid("the root cannot be copied or moved");
    }
    match draft.resolve(from)? {
        (key, Some(entry)) => Ok((key, entry)),
        (key, None) => refused(TreeErrorKind::NotFound, format!("there is no {key}")),
    }
}

fn duplicate(draft: &mut Draft<'_>, from: Key, to: Key, entry: Entry) -> Result<(), Fault> {
    match &entry {
        Entry::Symlink(target) => return link(draft, to, target.clone()),
        Entry::Directory(directory) if directory.is_empty() => return mkdir(draft, to),
        Entry::Value(value) => {
            if let Some(bytes) = value.inline() {
                return put(draft, to, &bytes);
            }
        }
        Entry::Directory(_) => {}
    }
    let copied = has_keys_below(Some(&entry));
    let subtree = draft.place(&to, entry)? || copied;
    draft.effects.push(Effect::Copy { from, to, subtree });
    Ok(())
}
