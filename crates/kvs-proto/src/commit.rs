//! Transactions on the wire.

use crate::payload;
use crate::position::RepeatFrom;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Commits one transaction atomically: all of its operations, in order, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The namespace.
    pub namespace: SmolStr,
    /// The transaction's number: unique within the client id of `hello`, and rising. A commit whose
    /// number was already committed has no effect and gets the first answer again.
    pub number: u64,
    /// All numbers of this client below this one were answered; the daemon may forget their
    /// answers.
    #[serde(default)]
    pub acknowledged: u64,
    /// Whether the answer carries the root of the version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Present if this may have been sent before: the newest position known when it was first sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatFrom>,
    /// A name, shown in the log and to watchers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SmolStr>,
    /// Whether the transaction must have a version of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_merge: bool,
    /// All must hold; otherwise the answer is `condition-failed` and nothing changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The operations, in order.
    pub operations: Vec<Operation>,
}

impl Commit {
    /// A commit without conditions, sent for the first time, by a client without earlier answers.
    pub fn new(namespace: impl Into<SmolStr>, number: u64, operations: Vec<Operation>) -> Self {
        Self {
            namespace: namespace.into(),
            number,
            acknowledged: 0,
            root: false,
            repeat: None,
            name: None,
            no_merge: false,
            conditions: Vec::new(),
            operations,
        }
    }
}

/// A condition on the state that a transaction is applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// There is no entry at `key`.
    Absent {
        /// The key.
        key: SmolStr,
    },
    /// There is an entry at `key`.
    Present {
        /// The key.
        key: SmolStr,
    },
    /// There is a value at `key`, and it equals `value`.
    Equals {
        /// The key.
        key: SmolStr,
        /// The bytes it must have.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// The entry at `key` is the same as in version `since`.
    Unchanged {
        /// The key.
        key: SmolStr,
        /// A version of the current incarnation.
        since: u64,
    },
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Puts a value. Missing directories on the way are created, and values on the way are replaced
    /// by directories.
    Put {
        /// The key.
        key: SmolStr,
        /// The bytes.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// Puts a value that was uploaded earlier on this connection.
    PutUpload {
        /// The key.
        key: SmolStr,
        /// The id of the upload. The commit consumes it.
        upload: u64,
        /// The total number of bytes sent for it.
        size: u64,
    },
    /// Appends to a value, or creates it.
    Append {
        /// The key.
        key: SmolStr,
        /// The bytes to append.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// Removes the entry at the key; a directory with everything below it. Succeeds if there is
    /// none.
    Unlink {
        /// The key.
        key: SmolStr,
    },
    /// Puts an empty directory, replacing any entry.
    Mkdir {
        /// The key.
        key: SmolStr,
    },
    /// Puts a symbolic link.
    Link {
        /// The key of the link.
        key: SmolStr,
        /// The key it refers to; need not exist.
        target: SmolStr,
        /// The namespace it refers to. Absent: the link's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<SmolStr>,
    },
    /// Copies a value, link or whole directory, at the same cost for each.
    Copy {
        /// The source.
        from: SmolStr,
        /// The destination.
        to: SmolStr,
    },
    /// Moves a value, link or whole directory, at the same cost for each.
    Move {
        /// The source.
        from: SmolStr,
        /// The destination.
        to: SmolStr,
    },
    /// Adds to a decimal integer value; a missing value counts as 0. The result is the sum.
    Add {
        /// The key.
        key: SmolStr,
        /// The summand.
        delta: i64,
    },
    /// Puts a tree object in its JSON form.
    PutObject {
        /// The key.
        key: SmolStr,
        /// The JSON text.
        #[serde(with = "payload")]
        object: Bytes,
    },
}
