//! One step of a transaction, and the verbs that construct it.

use bytes::Bytes;
use kvs_client::{Condition, Operation};
use smol_str::SmolStr;

/// An operation or a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Do(Operation),
    If(Condition),
}

/// A step with its position in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// Line number, from 1; in an array, the number of the item.
    pub(crate) line: usize,
    pub(crate) step: Step,
}

pub(super) fn is_verb(verb: &str) -> bool {
    VERBS.contains(&verb)
}

/// All verbs of a transaction.
pub(super) const VERBS: [&str; 13] = [
    "put",
    "append",
    "unlink",
    "mkdir",
    "link",
    "copy",
    "move",
    "add",
    "put-object",
    "if-absent",
    "if-present",
    "if-equals",
    "if-unchanged",
];

/// The step of a verb that takes only a key.
pub(super) fn with_key(verb: &str, key: SmolStr) -> Option<Step> {
    Some(match verb {
        "unlink" => Step::Do(Operation::Unlink { key }),
        "mkdir" => Step::Do(Operation::Mkdir { key }),
        "if-absent" => Step::If(Condition::Absent { key }),
        "if-present" => Step::If(Condition::Present { key }),
        _ => return None,
    })
}

/// The step of a verb that takes a key and bytes.
pub(super) fn with_bytes(verb: &str, key: SmolStr, value: Bytes) -> Option<Step> {
    Some(match verb {
        "put" => Step::Do(Operation::Put { key, value }),
        "append" => Step::Do(Operation::Append { key, value }),
        "put-object" => Step::Do(Operation::PutObject { key, object: value }),
        "if-equals" => Step::If(Condition::Equals { key, value }),
        _ => return None,
    })
}

/// The step of a verb that takes two keys.
pub(super) fn with_keys(verb: &str, from: SmolStr, to: SmolStr) -> Option<Step> {
    Some(match verb {
        "copy" => Step::Do(Operation::Copy { from, to }),
        "move" => Step::Do(Operation::Move { from, to }),
        _ => return None,
    })
}

impl Step {
    /// The keys named in the step.
    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Step::Do(
                Operation::Put { key, .. }
                | Operation::PutUpload { key, .. }
                | Operation::Append { key, .. }
                | Operation::Unlink { key }
                | Operation::Mkdir { key }
                | Operation::Link { key, .. }
                | Operation::Add { key, .. }
                | Operation::PutObject { key, .. },
            )
            | Step::If(
                Condition::Absent { key }
                | Condition::Present { key }
                | Condition::Equals { key, .. }
                | Condition::Unchanged { key, .. },
            ) => vec![key],
            Step::Do(Operation::Copy { from, to } | Operation::Move { from, to }) => vec![from, to],
        }
    }
}
