//! Checkpoints. A checkpoint writes the new objects under the roots of one group into a pack, and
//! the changed parts of the state into another; then a root record that names both replaces the
//! previous one. After that, the journal before it may be dropped.
//!
//! The commit task makes the plan between two groups, without I/O. Carrying it out may take long
//! and runs concurrently with commits. Objects are durable before the root record that names them.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kvs_tree::{Blobref, Directory, HashAlgorithm, StoreParams};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::env::Environment;
use crate::error::{EngineError, ErrorKind};
use crate::namespace::Namespace;
use crate::pack::{BlobStore, PackId};
use crate::past::{CheckpointRoot, Past};
use crate::root::{RootError, RootRecord};
use crate::state::{Changed, State};
use crate::system::{Snapshot, System, SystemRoot, Written, write_new};
use crate::whole_value;

/// The contents of a root record: the parameters of a store, and where everything else is found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoreRoot {
    pub(crate) params: StoreParams,
    /// The last group that is included.
    pub(crate) group: u64,
    pub(crate) system: SystemRoot,
    /// Groups of the retained checkpoints, ascending; the journal may be dropped before any of
    /// them.
    pub(crate) checkpoints: Vec<u64>,
    /// The store is open with weak durability, or was and did not stop cleanly.
    pub(crate) weak: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    algorithm: String,
    split_key: [u8; 32],
    group: u64,
    state: Blobref,
    local: Blobref,
    state_packs: Vec<PackId>,
    whole_bytes: u64,
    checkpoints: Vec<u64>,
    weak: bool,
}

impl StoreRoot {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EngineError> {
        let stored = Stored {
            algorithm: self.params.algorithm.to_string(),
            split_key: self.params.split_key,
            group: self.group,
            state: self.system.state,
            local: self.system.local,
            state_packs: self.system.packs.clone(),
            whole_bytes: self.system.whole_bytes,
            checkpoints: self.checkpoints.clone(),
            weak: self.weak,
        };
        rmp_serde::to_vec(&stored)
            .map_err(|e| EngineError::corrupt(format!("the root record does not encode: {e}")))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let wrong =
            |e: String| EngineError::corrupt(format!("the root record does not decode: {e}"));
        let stored: Stored = whole_value::decode(bytes).map_err(wrong)?;
        let algorithm = HashAlgorithm::from_str(&stored.algorithm)
            .map_err(|_| wrong(format!("unknown hash {:?}", stored.algorithm)))?;
        Ok(Self {
            params: StoreParams {
                algorithm,
                split_key: stored.split_key,
            },
            group: stored.group,
            system: SystemRoot {
                state: stored.state,
                local: stored.local,
                packs: stored.state_packs,
                whole_bytes: stored.whole_bytes,
            },
            checkpoints: stored.checkpoints,
            weak: stored.weak,
        })
    }
}

/// Everything that a checkpoint needs, as of one group.
pub(crate) struct Plan {
    pub(crate) state: State,
    /// The parts of the state that changed since the last checkpoint.
    pub(crate) changed: Changed,
    /// The pasts of changed namespaces; `None` if the namespace is gone.
    pub(crate) pasts: Vec<(SmolStr, Option<Past>)>,
    pub(crate) checkpoints: Vec<u64>,
    pub(crate) weak: bool,
    /// The roots to write: those of changed namespaces and of new pins.
    pub(crate) roots: Vec<Directory>,
    /// The checkpoint to add to the history of each of those namespaces.
    pub(crate) points: Vec<(Arc<Namespace>, CheckpointRoot)>,
    /// Thread time spent on the plan, in nanoseconds.
    pub(crate) held_ns: u64,
}

/// A durable checkpoint.
pub(crate) struct Finished {
    /// Objects that are now in packs and may be evicted from memory.
    pub(crate) written: HashSet<Blobref>,
    /// The root of the state.
    pub(crate) state_root: Blobref,
    /// Bytes of packs and root record.
    pub(crate) bytes: u64,
    pub(crate) plan: Plan,
}

/// The result of a checkpoint. After a failure, the changes must be written by the next one.
pub(crate) type Outcome = Result<Box<Finished>, (EngineError, Changed)>;

/// Where checkpoints are written.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) env: Environment,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) system: Arc<Mutex<System>>,
    pub(crate) root: Arc<dyn RootRecord>,
    /// Revision of the current root record.
    pub(crate) revision: Arc<AtomicU64>,
}

impl Target {
    /// Carries out a plan. If writing a pack or the root record fails, tries once more; on a full
    /// disk, releases the reserve first.
    ///
    /// # Errors
    /// `NoSpace`: nothing was lost, try again later. Any other error must stop the store.
    pub(crate) fn write(&self, plan: Plan) -> Outcome {
        let written = match self.write_all(&plan) {
            Err(error) if error.kind == ErrorKind::NoSpace && self.blobs.relieve() => {
                tracing::warn!("a checkpoint spends the reserve of disk space: {error}");
                self.write_all(&plan)
            }
            other => other,
        };
        match written {
            Ok((written, state_root, bytes)) => {
                self.blobs.hold_back();
                Ok(Box::new(Finished {
                    written,
                    state_root,
                    bytes,
                    plan,
                }))
            }
            Err(error) => Err((error, plan.changed)),
        }
    }

    fn write_all(&self, plan: &Plan) -> Result<(HashSet<Blobref>, Blobref, u64), EngineError> {
        let mut system = self.system();
        let params = *system.params();
        let objects = || write_new(&*self.blobs, &params, &plan.roots);
        let (pack, written) = again("a pack", objects)?;
        let in_use = self.blobs.packs();
        let new = in_use.iter().find(|info| Some(info.id) == pack);
        let bytes = new.map_or(0, |info| info.bytes);
        let packs: Vec<PackId> = in_use.iter().map(|pack| pack.id).collect();
        let snapshot = Snapshot {
            state: &plan.state,
            changed: &plan.changed,
            pasts: &plan.pasts,
            packs: &packs,
        };
        let state = again("a pack of the state", || system.write(&snapshot))?;
        let state_root = state.root.state;
        let bytes = bytes + system.new_bytes(&state) + self.name(&mut system, state, plan)?;
        Ok((written, state_root, bytes))
    }

    /// Writes a root record that names what was written. Returns its size in bytes.
    fn name(&self, system: &mut System, state: Written, plan: &Plan) -> Result<u64, EngineError> {
        let root = StoreRoot {
            params: *system.params(),
            group: plan.state.group(),
            system: state.root.clone(),
            checkpoints: plan.checkpoints.clone(),
            weak: plan.weak,
        };
        let bytes = match self.write_root(&root) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind == ErrorKind::NoSpace {
                    system.take_back(state);
                }
                return Err(error);
            }
        };
        // If it replaces all previous packs, write it to both slots, so that neither names them.
        let alone = match state.replaces {
            true => self.write_root(&root).map(drop),
            false => Ok(()),
        };
        match alone {
            Ok(()) => system.named(state)?,
            Err(error) if error.kind == ErrorKind::NoSpace => system.named_beside(state),
            Err(error) => return Err(error),
        }
        Ok(bytes)
    }

    /// Locks the writer of the state.
    pub(crate) fn system(&self) -> MutexGuard<'_, System> {
        // A panic elsewhere ends the process.
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the root record. Returns its size in bytes.
    pub(crate) fn write_root(&self, root: &StoreRoot) -> Result<u64, EngineError> {
        let bytes = root.encode()?;
        let before = self.revision.load(Ordering::Acquire);
        let swapped = match self.root.swap(before, root.group, &bytes) {
            Err(error @ RootError::NotSwapped(_)) => {
                tracing::warn!("the root record is written again: {error}");
                self.root.swap(before, root.group, &bytes)
            }
            other => other,
        };
        self.revision.store(swapped?, Ordering::Release);
        Ok(bytes.len() as u64)
    }
}

/// Tries once more after a failure, except for lack of space.
fn again<T>(
    what: &str,
    mut write: impl FnMut() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    match write() {
        Err(error) if error.kind != ErrorKind::NoSpace => {
            tracing::warn!("{what} is written again: {error}");
            write()
        }
        other => other,
    }
}
