//! Client requests: conditions, operations, and the result of each operation.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::node::{Symlink, Value};

/// Conditions and operations that take effect atomically.
///
/// All conditions are evaluated on the tree before the first operation; each operation then sees
/// the effects of those before it.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Conditions that must all hold; their order does not matter.
    pub conditions: Vec<Condition>,
    /// Operations, performed in this order.
    pub operations: Vec<Operation>,
}

/// A requirement on one key, evaluated on tree objects.
///
/// Links in the middle of a key are followed. The last name is not: the condition is about the
/// entry that a write to the same key would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no entry at the key.
    Absent {
        /// The key.
        key: Key,
    },
    /// There is a value, a directory or a link at the key.
    Present {
        /// The key.
        key: Key,
    },
    /// There is a value of exactly these bytes at the key. Does not read the stored value.
    Equals {
        /// The key.
        key: Key,
        /// The expected bytes.
        value: Bytes,
    },
    /// The entry at the key is the same tree object as in version `since`, or is absent in both.
    Unchanged {
        /// The key.
        key: Key,
        /// A version of the same namespace.
        since: u64,
    },
}

/// One step of a transaction.
///
/// Links in the middle of a key are followed, the last name never. A link into another namespace,
/// and the root as the target of a write, are `Invalid`.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Stores a value and replaces any entry at the key. Creates the directories on the path, also
    /// in place of values.
    Put {
        /// The key to write.
        key: Key,
        /// The value.
        value: Bytes,
    },
    /// Appends bytes to a value; an absent value counts as empty.
    Append {
        /// The key to write.
        key: Key,
        /// The bytes to append.
        value: Bytes,
    },
    /// Removes the entry and everything below it. It is not an error if there is none.
    Unlink {
        /// The key to remove.
        key: Key,
    },
    /// Creates an empty directory. Replaces a value or link; leaves an existing directory,
    /// including its content, as it is.
    Mkdir {
        /// The key to write.
        key: Key,
    },
    /// Stores a link and replaces any entry at the key. The target need not exist.
    Link {
        /// The key to write.
        key: Key,
        /// The target of the link.
        target: Symlink,
    },
    /// Copies the entry at `from` to `to`; a link is copied as a link. Costs O(1) in the size of
    /// the entry.
    Copy {
        /// The key to copy.
        from: Key,
        /// The key to write.
        to: Key,
    },
    /// Moves the entry at `from` to `to`. Costs O(1) in the size of the entry.
    Move {
        /// The key to move.
        from: Key,
        /// The key to write.
        to: Key,
    },
    /// Adds to a decimal integer; an absent value counts as 0.
    Add {
        /// The key to write.
        key: Key,
        /// The number to add.
        delta: i64,
    },
    /// Stores the tree object described by RFC 11 JSON.
    PutObject {
        /// The key to write.
        key: Key,
        /// The JSON text.
        object: Bytes,
    },
    /// Stores a value whose bytes are already in the store. Not for clients: the code that builds
    /// this operation must ensure that the object exists.
    PutStored {
        /// The key to write.
        key: Key,
        /// The stored value.
        value: Value,
    },
}

impl Transaction {
    /// The total number of names in all keys. The cost of applying the transaction grows with it.
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

    /// The operation's name in messages.
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
    /// The key that the condition constrains.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Condition::Absent { key }
            | Condition::Present { key }
            | Condition::Equals { key, .. }
            | Condition::Unchanged { key, .. } => key,
        }
    }

    /// The condition's name in messages.
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

/// The result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationResult {
    /// The operation was performed.
    #[serde(rename = "d")]
    Done,
    /// The sum that an add stored.
    #[serde(rename = "a")]
    Added(i64),
}
