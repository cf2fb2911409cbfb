//! Transactions as they travel.

use crate::payload;
use crate::position::RepeatFrom;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Asks for one transaction to be committed: all of its operations, in order, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The namespace.
    pub namespace: SmolStr,
    /// The transaction's number, unique within the client id of `hello` and rising. A commit with a
    /// number that was already committed has no effect and gets the first answer.
    pub number: u64,
    /// All numbers of this client below this one were answered; the daemon may forget those
    /// answers.
    #[serde(default)]
    pub acknowledged: u64,
    /// Whether the answer tells the root of the version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Set when this may have been sent before: the newest position known when it was first sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatFrom>,
    /// A name for the log and for watchers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SmolStr>,
    /// Whether the transaction must have a version of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_merge: bool,
    /// All must hold, or the answer is `condition-failed` and nothing changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What to do, in order.
    pub operations: Vec<Operation>,
}

impl Commit {
    /// Operations without conditions, sent for the first time, of a client that has no answers yet.
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

/// A demand on the state that a transaction is applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing is at `key`.
    Absent {
        /// The key.
        key: SmolStr,
    },
    /// Something is at `key`.
    Present {
        /// The key.
        key: SmolStr,
    },
    /// A value is at `key` and equals `value`.
    Equals {
        /// The key.
        key: SmolStr,
        /// The bytes it must have.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// What is at `key` is the same as in version `since`.
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
    /// Puts a value; directories on the way are made, and values on the way replaced by
    /// directories.
    Put {
        /// The key.
        key: SmolStr,
        /// The bytes.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// Puts the value that was uploaded on this connection before.
    PutUpload {
        /// The key.
        key: SmolStr,
        /// The id of the upload; the commit takes it, so that no other can.
        upload: u64,
        /// How many bytes were sent for it.
        size: u64,
    },
    /// Appends to a value, or puts it.
    Append {
        /// The key.
        key: SmolStr,
        /// The bytes to add.
        #[serde(with = "payload")]
        value: Bytes,
    },
    /// Removes what is at the key, directories with all below them. Succeeds when nothing is there.
    Unlink {
        /// The key.
        key: SmolStr,
    },
    /// Puts an empty directory, whatever was there.
    Mkdir {
        /// The key.
        key: SmolStr,
    },
    /// Puts a symbolic link.
    Link {
        /// The key of the link.
        key: SmolStr,
        /// The key that it leads to; need not exist.
        target: SmolStr,
        /// The namespace that it leads into; the link's own if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<SmolStr>,
    },
    /// Copies a value, link or whole directory; costs the same for each.
    Copy {
        /// The source.
        from: SmolStr,
        /// The destination.
        to: SmolStr,
    },
    /// Moves a value, link or whole directory; costs the same for each.
    Move {
        /// The source.
        from: SmolStr,
        /// The destination.
        to: SmolStr,
    },
    /// Adds to a value that is a decimal integer; a missing one counts as 0. The result tells the
    /// sum.
    Add {
        /// The key.
        key: SmolStr,
        /// What to add.
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
