//! Building transactions.

use bytes::Bytes;
use kvs_proto::{Condition, Operation};
use smol_str::SmolStr;

/// What is committed together: all operations, in order, or none. Keys are checked by the daemon.
///
/// ```
/// use kvs_client::Transaction;
///
/// // Finishes a job, but only if it still runs.
/// let finish = Transaction::new()
///     .if_equals("lwj.1.state", "running")
///     .put("lwj.1.state", "complete");
/// assert_eq!((finish.conditions.len(), finish.operations.len()), (1, 1));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// What to do, in order.
    pub operations: Vec<Operation>,
    /// A name for the log and for watchers.
    pub name: Option<SmolStr>,
    /// Whether it must have a version of its own.
    pub no_merge: bool,
}

/// A value that the daemon has, for [`Transaction::put_upload`]. Can be committed once, on the same
/// connection, and within a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Names the upload.
    pub(crate) id: u64,
    pub(crate) size: u64,
}

impl Transaction {
    /// A transaction that does nothing yet.
    pub fn new() -> Self {
        Transaction::default()
    }

    /// Adds any operation.
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Adds any condition.
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Puts a value.
    pub fn put(self, key: impl Into<SmolStr>, value: impl Into<Bytes>) -> Self {
        self.operation(Operation::Put {
            key: key.into(),
            value: value.into(),
        })
    }

    /// Puts a value that was sent before, by [`crate::Namespace::upload`].
    pub fn put_upload(self, key: impl Into<SmolStr>, uploaded: Uploaded) -> Self {
        self.operation(Operation::PutUpload {
            key: key.into(),
            upload: uploaded.id,
            size: uploaded.size,
        })
    }

    /// Appends to a value.
    pub fn append(self, key: impl Into<SmolStr>, value: impl Into<Bytes>) -> Self {
        self.operation(Operation::Append {
            key: key.into(),
            value: value.into(),
        })
    }

    /// Removes what is at a key, with all below it.
    pub fn unlink(self, key: impl Into<SmolStr>) -> Self {
        self.operation(Operation::Unlink { key: key.into() })
    }

    /// Puts an empty directory.
    pub fn mkdir(self, key: impl Into<SmolStr>) -> Self {
        self.operation(Operation::Mkdir { key: key.into() })
    }

    /// Puts a symbolic link inside the namespace.
    pub fn link(self, key: impl Into<SmolStr>, target: impl Into<SmolStr>) -> Self {
        let (key, target) = (key.into(), target.into());
        self.operation(Operation::Link {
            key,
            target,
            namespace: None,
        })
    }

    /// Puts a symbolic link into a namespace.
    pub fn link_into(
        self,
        key: impl Into<SmolStr>,
        namespace: impl Into<SmolStr>,
        target: impl Into<SmolStr>,
    ) -> Self {
        let (key, target, namespace) = (key.into(), target.into(), Some(namespace.into()));
        self.operation(Operation::Link {
            key,
            target,
            namespace,
        })
    }

    /// Copies a value, link or whole directory.
    pub fn copy(self, from: impl Into<SmolStr>, to: impl Into<SmolStr>) -> Self {
        self.operation(Operation::Copy {
            from: from.into(),
            to: to.into(),
        })
    }

    /// Moves a value, link or whole directory.
    pub fn rename(self, from: impl Into<SmolStr>, to: impl Into<SmolStr>) -> Self {
        self.operation(Operation::Move {
            from: from.into(),
            to: to.into(),
        })
    }

    /// Adds to a decimal integer.
    pub fn add(self, key: impl Into<SmolStr>, delta: i64) -> Self {
        self.operation(Operation::Add {
            key: key.into(),
            delta,
        })
    }

    /// Puts a tree object in its JSON form.
    pub fn put_object(self, key: impl Into<SmolStr>, object: impl Into<Bytes>) -> Self {
        self.operation(Operation::PutObject {
            key: key.into(),
            object: object.into(),
        })
    }

    /// Demands that nothing is at a key.
    pub fn if_absent(self, key: impl Into<SmolStr>) -> Self {
        self.condition(Condition::Absent { key: key.into() })
    }

    /// Demands that something is at a key.
    pub fn if_present(self, key: impl Into<SmolStr>) -> Self {
        self.condition(Condition::Present { key: key.into() })
    }

    /// Demands that a key has that value.
    pub fn if_equals(self, key: impl Into<SmolStr>, value: impl Into<Bytes>) -> Self {
        self.condition(Condition::Equals {
            key: key.into(),
            value: value.into(),
        })
    }

    /// Demands that a key is as it was in that version.
    pub fn if_unchanged(self, key: impl Into<SmolStr>, since: u64) -> Self {
        self.condition(Condition::Unchanged {
            key: key.into(),
            since,
        })
    }

    /// Names the transaction.
    pub fn name(mut self, name: impl Into<SmolStr>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives the transaction a version of its own.
    pub fn no_merge(mut self) -> Self {
        self.no_merge = true;
        self
    }
}
