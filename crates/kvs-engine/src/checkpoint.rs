//! A checkpoint: the objects that are new under the roots of one group go into a pack, and a root
//! record that names those roots replaces the last one. Then the journal before it may be dropped.
//!
//! The plan is made by the commit task between two groups, which costs no I/O; carrying it out may
//! take long and runs beside further commits. Objects are durable before the root record that
//! names them.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kvs_tree::{Blobref, Directory, HashAlgorithm, StoreParams};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::env::Environment;
use crate::error::{EngineError, ErrorKind};
use crate::limits::RECORD_DEPTH;
use crate::pack::{BlobStore, PackId};
use crate::past::{CheckpointRoot, Past};
use crate::root::{RootError, RootRecord};
use crate::state::State;

/// What a manifest holds: the store's parameters, its state, and what of its past can be read.
#[derive(Clone)]
pub(crate) struct Manifest {
    pub(crate) params: StoreParams,
    pub(crate) state: State,
    /// By namespace.
    pub(crate) pasts: BTreeMap<SmolStr, Past>,
    /// Live packs.
    pub(crate) packs: Vec<PackId>,
    /// Groups up to which checkpoints reach, ascending; the journal may be dropped before any of them.
    pub(crate) checkpoints: Vec<u64>,
    /// A daemon with a weak durability mode is (or was, and did not stop cleanly) at work.
    pub(crate) weak: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    algorithm: String,
    split_key: [u8; 32],
    state: State,
    pasts: BTreeMap<SmolStr, Past>,
    packs: Vec<PackId>,
    checkpoints: Vec<u64>,
    weak: bool,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EngineError> {
        let stored = Stored {
            algorithm: self.params.algorithm.to_string(),
            split_key: self.params.split_key,
            state: self.state.clone(),
            pasts: self.pasts.clone(),
            packs: self.packs.clone(),
            checkpoints: self.checkpoints.clone(),
            weak: self.weak,
        };
        rmp_serde::to_vec(&stored)
            .map_err(|e| EngineError::corrupt(format!("the manifest does not encode: {e}")))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let wrong = |e: String| EngineError::corrupt(format!("the manifest does not decode: {e}"));
        let mut decoder = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
        decoder.set_max_depth(RECORD_DEPTH);
        let stored = Stored::deserialize(&mut decoder).map_err(|e| wrong(e.to_string()))?;
        if decoder.position() != bytes.len() as u64 {
            return Err(wrong("it has trailing bytes".into()));
        }
        let algorithm = HashAlgorithm::from_str(&stored.algorithm)
            .map_err(|_| wrong(format!("unknown hash {:?}", stored.algorithm)))?;
        let params = StoreParams {
            algorithm,
            split_key: stored.split_key,
        };
        Ok(Self {
            params,
            state: stored.state,
            pasts: stored.pasts,
            packs: stored.packs,
            checkpoints: stored.checkpoints,
            weak: stored.weak,
        })
    }
}

/// Everything that a checkpoint needs, as it was after one group.
pub(crate) struct Plan {
    pub(crate) manifest: Manifest,
    /// The roots to write: of the namespaces, and of pins.
    pub(crate) roots: Vec<Directory>,
    /// What each namespace's history gains.
    pub(crate) points: Vec<(Arc<crate::namespace::Namespace>, CheckpointRoot)>,
}

/// A checkpoint that is durable.
pub(crate) struct Finished {
    /// Objects that only packs need to hold from now on.
    pub(crate) written: HashSet<Blobref>,
    pub(crate) plan: Plan,
}

/// Where checkpoints go.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) env: Environment,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) root: Arc<dyn RootRecord>,
    /// Of the current root record.
    pub(crate) revision: Arc<AtomicU64>,
}

impl Target {
    /// Carries out a plan. A pack or root record that could not be written is written again once; on a
    /// full disk the reserve is spent.
    ///
    /// # Errors
    /// `NoSpace`: nothing was lost, try again later. Anything else must stop the store.
    pub(crate) fn write(&self, mut plan: Plan) -> Result<Finished, EngineError> {
        let written = match self.write_all(&mut plan) {
            Err(error) if error.kind == ErrorKind::NoSpace && self.blobs.relieve() => {
                tracing::warn!("a checkpoint spends the reserve of disk space: {error}");
                self.write_all(&mut plan)
            }
            other => other,
        }?;
        self.blobs.hold_back();
        Ok(Finished { written, plan })
    }

    fn write_all(&self, plan: &mut Plan) -> Result<HashSet<Blobref>, EngineError> {
        let written = match self.write_objects(plan) {
            Err(error) if error.kind != ErrorKind::NoSpace => {
                tracing::warn!("a pack is written anew: {error}");
                self.write_objects(plan)?
            }
            other => other?,
        };
        plan.manifest.packs = self.blobs.packs().iter().map(|p| p.id).collect();
        self.write_manifest(&plan.manifest)?;
        Ok(written)
    }

    /// Replaces the manifest: the root record gets another payload.
    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<(), EngineError> {
        let bytes = manifest.encode()?;
        let (before, group) = (
            self.revision.load(Ordering::Acquire),
            manifest.state.group(),
        );
        let swapped = match self.root.swap(before, group, &bytes) {
            Err(error @ RootError::NotSwapped(_)) => {
                tracing::warn!("the root record is written again: {error}");
                self.root.swap(before, group, &bytes)
            }
            other => other,
        };
        self.revision.store(swapped?, Ordering::Release);
        Ok(())
    }

    fn write_objects(&self, plan: &Plan) -> Result<HashSet<Blobref>, EngineError> {
        let mut written = HashSet::new();
        let mut pack = self.blobs.begin_pack()?;
        for root in &plan.roots {
            let mut failed = None;
            let mut new = Vec::new();
            let known = |reference: &Blobref| written.contains(reference);
            root.unwritten(&plan.manifest.params, &known, &mut |reference, _, bytes| {
                new.push(reference);
                if failed.is_none() {
                    failed = pack.add(&reference, &bytes).err();
                }
            });
            if let Some(error) = failed {
                return Err(error.into());
            }
            written.extend(new);
        }
        let _: Option<PackId> = pack.finish()?;
        Ok(written)
    }
}
