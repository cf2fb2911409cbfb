//! Commands to the commit task.

use std::sync::Arc;

use kvs_tree::{Blobref, Operation, Stats};
use smol_str::SmolStr;
use tokio::sync::oneshot;

use crate::answers::{CommitReply, Wakes};
use crate::error::EngineError;
use crate::history::RootAt;
use crate::pack::Staged;
use crate::reference::SnapshotRef;
use crate::request::{CommitRequest, PinInfo, Principal};

/// The answer to a command other than a commit.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// A command to the commit task.
pub(crate) enum Command {
    Commit {
        request: Box<CommitRequest>,
        reply: CommitReply,
    },
    /// Repeat the recorded outcome of a transaction; refuse it if it was never committed.
    Settle {
        request: Box<CommitRequest>,
        refusal: EngineError,
        reply: CommitReply,
    },
    Create {
        name: SmolStr,
        owner: Principal,
        /// The stored root to start from, if any.
        root: Option<(Blobref, Stats)>,
        /// Objects of that root that are not in a pack yet.
        staged: Vec<Arc<Staged>>,
        reply: Reply<()>,
    },
    /// Grant or revoke a user's right to read a namespace.
    Share {
        caller: Principal,
        name: SmolStr,
        principal: Principal,
        may_read: bool,
        reply: Reply<()>,
    },
    /// Make another user the owner of a namespace.
    Chown {
        name: SmolStr,
        owner: Principal,
        reply: Reply<()>,
    },
    Remove {
        name: SmolStr,
        reply: Reply<()>,
    },
    Pin {
        snapshot: SnapshotRef,
        root: RootAt,
        caller: Principal,
        lease_ms: Option<u64>,
        /// Objects of the root that are not in a pack yet.
        staged: Vec<Arc<Staged>>,
        reply: Reply<PinInfo>,
    },
    Unpin {
        caller: Principal,
        id: u64,
        reply: Reply<()>,
    },
    /// Answered once everything committed before is on disk.
    Sync {
        reply: Reply<()>,
    },
    /// Write a checkpoint now.
    Checkpoint {
        reply: Reply<()>,
    },
    /// Check that a copy that replays the journal arrives at the published state; answers with that
    /// state's root.
    Check {
        reply: Reply<Blobref>,
    },
    /// Finish accepted work, write a checkpoint, stop.
    Shutdown {
        reply: Reply<()>,
    },
}

/// Estimated cost of an operation besides its value, in bytes.
const OPERATION_BYTES: usize = 1024;

impl Command {
    /// The client whose transaction this is; zeros for all other commands.
    pub(super) fn client(&self) -> [u8; 16] {
        match self {
            Self::Commit { request, .. } | Self::Settle { request, .. } => request.id.client,
            _ => [0; 16],
        }
    }

    /// Estimated cost of the command, in bytes.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Commit { request, .. } => Self::bytes(request),
            _ => OPERATION_BYTES as u32,
        }
    }

    /// Estimated cost of a transaction, in bytes.
    pub(super) fn bytes(request: &CommitRequest) -> u32 {
        let transaction = &request.transaction;
        let values = transaction
            .operations
            .iter()
            .map(|operation| match operation {
                Operation::Put { value, .. } | Operation::Append { value, .. } => value.len(),
                Operation::PutObject { object, .. } => object.len(),
                _ => 0,
            });
        let values: usize = values.map(|bytes| OPERATION_BYTES + bytes).sum();
        let conditions = transaction.conditions.len() * OPERATION_BYTES;
        u32::try_from((values + conditions).max(OPERATION_BYTES)).unwrap_or(u32::MAX)
    }
}

/// Answers a command with an error.
pub(super) fn refuse(command: Command, error: EngineError, wakes: &mut Wakes) {
    match command {
        Command::Commit { reply, .. } | Command::Settle { reply, .. } => {
            reply.send(Err(error), wakes);
        }
        Command::Pin { reply, .. } => drop(reply.send(Err(error))),
        Command::Check { reply } => drop(reply.send(Err(error))),
        Command::Create { reply, .. }
        | Command::Share { reply, .. }
        | Command::Chown { reply, .. }
        | Command::Remove { reply, .. }
        | Command::Unpin { reply, .. }
        | Command::Sync { reply }
        | Command::Checkpoint { reply } => drop(reply.send(Err(error))),
        Command::Shutdown { reply } => drop(reply.send(Ok(()))),
    }
}
