//! Evaluates conditions.

use super::draft::{Draft, refused};
use crate::error::TreeErrorKind;
use crate::lookup::{Resolved, lookup};
use crate::node::{Directory, Entry, Value};
use crate::source::Fault;
use crate::transaction::Condition;

/// Past roots of the namespace by version; `None` if the version is not at hand.
pub type PastRoots<'a> = &'a dyn Fn(u64) -> Option<Directory>;

/// Refuses the transaction if the condition does not hold.
pub(super) fn check(
    draft: &mut Draft<'_>,
    past: PastRoots<'_>,
    condition: &Condition,
) -> Result<(), Fault> {
    let (_, entry) = draft.resolve(condition.key())?;
    let params = draft.ctx.params;
    match (condition, entry) {
        (Condition::Absent { .. }, None) | (Condition::Present { .. }, Some(_)) => Ok(()),
        (Condition::Absent { .. }, Some(entry)) => failed(format!("there is {}", kind(&entry))),
        (Condition::Present { .. } | Condition::Equals { .. }, None) => failed("nothing is there"),
        (Condition::Equals { value, .. }, Some(Entry::Value(found))) => {
            if found.len() != value.len() as u64 {
                return failed(format!(
                    "the value has {} bytes, not {}",
                    found.len(),
                    value.len()
                ));
            }
            if !found.same(&Value::new(params, value.clone()), params) {
                return failed("the value differs");
            }
            Ok(())
        }
        (Condition::Equals { .. }, Some(entry)) => failed(format!("there is {}", kind(&entry))),
        (Condition::Unchanged { key, since }, entry) => {
            let root = past(*since).ok_or(Fault::NeedVersion(*since))?;
            let before = match lookup(&root, draft.ctx.source, key, false, 0) {
                Ok(Resolved::Found { entry, key, links }) => {
                    draft.visit(&key, &links)?;
                    Some(entry)
                }
                Ok(Resolved::Absent { key, links }) => {
                    draft.visit(&key, &links)?;
                    None
                }
                Err(fault @ (Fault::Missing(_) | Fault::NeedVersion(_))) => return Err(fault),
                // The key led to another namespace or to an error, and now leads here.
                Ok(Resolved::Elsewhere { .. }) | Err(Fault::Tree(_)) => {
                    return failed(format!("it changed since version {since}"));
                }
            };
            match (&before, &entry) {
                (None, None) => Ok(()),
                (Some(before), Some(entry)) if before.same(entry, params) => Ok(()),
                _ => failed(format!("it changed since version {since}")),
            }
        }
    }
}

fn failed(message: impl Into<String>) -> Result<(), Fault> {
    refused(TreeErrorKind::ConditionFailed, message)
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Value(_) => "a value",
        Entry::Directory(_) => "a directory",
        Entry::Symlink(_) => "a link",
    }
}
