//! Basic writes at a resolved key, each with its effect.

use bytes::Bytes;
use smol_str::SmolStr;

use super::draft::{Draft, invalid, refused};
use crate::effect::Effect;
use crate::error::TreeErrorKind;
use crate::key::Key;
use crate::limits::VALUE_BYTES;
use crate::node::{Directory, Entry, Symlink, Value};
use crate::source::Fault;

/// Puts a value at a resolved key.
pub(super) fn put(draft: &mut Draft<'_>, key: Key, value: &Bytes) -> Result<(), Fault> {
    let entry = Entry::Value(Value::new(draft.ctx.params, value.clone()));
    let subtree = draft.place(&key, entry)?;
    draft.effects.push(Effect::Put {
        key,
        value: value.clone(),
        subtree,
    });
    Ok(())
}

/// Puts an empty directory at a resolved key.
pub(super) fn mkdir(draft: &mut Draft<'_>, key: Key) -> Result<(), Fault> {
    let subtree = draft.place(&key, Entry::Directory(Directory::empty()))?;
    draft.effects.push(Effect::Mkdir { key, subtree });
    Ok(())
}

/// Puts a link at a resolved key.
pub(super) fn link(draft: &mut Draft<'_>, key: Key, target: Symlink) -> Result<(), Fault> {
    let subtree = draft.place(&key, Entry::Symlink(target.clone()))?;
    draft.effects.push(Effect::Link {
        key,
        target,
        subtree,
    });
    Ok(())
}

/// The link with a normalised target; refuses an empty namespace.
pub(super) fn checked_link(link: &Symlink) -> Result<Symlink, Fault> {
    if link.namespace.as_ref().is_some_and(SmolStr::is_empty) {
        return invalid("the target namespace has no name");
    }
    let target = SmolStr::new(Key::parse(&link.target)?.as_str());
    Ok(Symlink {
        namespace: link.namespace.clone(),
        target,
    })
}

/// Refuses a value longer than [`VALUE_BYTES`].
pub(super) fn check_len(len: u64) -> Result<(), Fault> {
    if len > VALUE_BYTES {
        let message = format!("a value of {len} bytes; the limit is {VALUE_BYTES}");
        return refused(TreeErrorKind::TooBig, message);
    }
    Ok(())
}
