//! What a client asks for: conditions, operations, and what each operation answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::node::{Symlink, Value};

/// Conditions and operations that take effect together or not at all.
///
/// All conditions are judged on the tree that the first operation finds; each operation then sees
/// what the ones before it did.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// What must hold, in any order.
    pub conditions: Vec<Condition>,
    /// What is done, in this order.
    pub operations: Vec<Operation>,
}

/// A demand on one key, judged on tree objects.
///
/// Links in the middle of a key are followed. The last name is not: the condition is about the
/// very entry that a write to the same key would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing stands at the key.
    Absent {
        /// The key.
        key: Key,
    },
    /// A value, a directory or a link stands at the key.
    Present {
        /// The key.
        key: Key,
    },
    /// A value of exactly these bytes stands at the key. Needs no read of the stored value.
    Equals {
        /// The key.
        key: Key,
        /// The bytes.
        value: Bytes,
    },
    /// The key holds the same tree object as in version `since`, or stands in neither.
    Unchanged {
        /// The key.
        key: Key,
        /// A version of the same namespace.
        since: u64,
    },
}

/// One step of a transaction.
///
/// Links in the middle of a key are followed, the last name never. A link that leads into another
/// namespace, and the root as the target of a write, are `Invalid`.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Stores a value, in place of whatever stood there. Directories on the way are made, also in
    /// place of values.
    Put {
        /// Where.
        key: Key,
        /// The bytes.
        value: Bytes,
    },
    /// Adds bytes to the end of a value; an absent one counts as empty.
    Append {
        /// Where.
        key: Key,
        /// The bytes to add.
        value: Bytes,
    },
    /// Removes whatever stands there with all that is below it; nothing there is no error.
    Unlink {
        /// Where.
        key: Key,
    },
    /// Makes an empty directory; a value or link that stood there is replaced, a directory is left
    /// as it is, with all that is in it.
    Mkdir {
        /// Where.
        key: Key,
    },
    /// Puts a link in place of whatever stood there. The target need not exist.
    Link {
        /// Where.
        key: Key,
        /// Where it leads to.
        target: Symlink,
    },
    /// Puts what stands at `from` also at `to`; a link is copied as a link. O(1) in its size.
    Copy {
        /// What to copy.
        from: Key,
        /// Where to put it.
        to: Key,
    },
    /// Puts what stands at `from` at `to` instead. O(1) in its size.
    Move {
        /// What to move.
        from: Key,
        /// Where to.
        to: Key,
    },
    /// Adds to a decimal integer; an absent one counts as 0.
    Add {
        /// Where.
        key: Key,
        /// What to add.
        delta: i64,
    },
    /// Stores what a tree object in RFC 11 JSON describes.
    PutObject {
        /// Where.
        key: Key,
        /// The JSON text.
        object: Bytes,
    },
    /// Stores a value whose bytes are in the store already. Not for clients: whoever builds it
    /// vouches for the object.
    PutStored {
        /// Where.
        key: Key,
        /// The value.
        value: Value,
    },
}

impl Transaction {
    /// The names in all of its keys: what it costs to apply grows with them.
    #[must_use]
    pub fn names(&self) -> usize {
        let sources = self.operations.iter().filter_map(|one| match one {
            Operation::Copy { from, .. } | Operation::Move { from, .. } => Some(from),
            _ => None,
        });
        let conditions = self.conditions.iter().map(Condition::key);
        let keys = self.operations.iter().map(Operation::key);
        keys.chain(sources).chain(conditions).map(Key::depth).sum()
    }
}

impl Operation {
    /// The key that the operation writes.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Operation::Put { key, .. }
            | Operation::Append { key, .. }
            | Operation::Unlink { key }
            | Operation::Mkdir { key }
            | Operation::Link { key, .. }
            | Operation::Add { key, .. }
            | Operation::PutObject { key, .. }
            | Operation::PutStored { key, .. } => key,
            Operation::Copy { to, .. } | Operation::Move { to, .. } => to,
        }
    }

    /// The operation's name, as in messages.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Operation::Put { .. } | Operation::PutStored { .. } => "put",
            Operation::Append { .. } => "append",
            Operation::Unlink { .. } => "unlink",
            Operation::Mkdir { .. } => "mkdir",
            Operation::Link { .. } => "link",
            Operation::Copy { .. } => "copy",
            Operation::Move { .. } => "move",
            Operation::Add { .. } => "add",
            Operation::PutObject { .. } => "put object",
        }
    }
}

impl Condition {
    /// The key that the condition is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Condition::Absent { key }
            | Condition::Present { key }
            | Condition::Equals { key, .. }
            | Condition::Unchanged { key, .. } => key,
        }
    }

    /// The condition's name, as in messages.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Condition::Absent { .. } => "absent",
            Condition::Present { .. } => "present",
            Condition::Equals { .. } => "equals",
            Condition::Unchanged { .. } => "unchanged",
        }
    }
}

/// What an operation answers, in the order of the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationResult {
    /// It was done.
    #[serde(rename = "d")]
    Done,
    /// An add was done, and this is the sum.
    #[serde(rename = "a")]
    Added(i64),
}
