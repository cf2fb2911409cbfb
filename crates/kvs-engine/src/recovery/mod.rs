//! Opens a store: reads the root record, the state and the packs, then replays the journal after
//! the root record's group in batches, each of which must arrive at the recorded root.

mod replay;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use kvs_tree::{HashAlgorithm, StoreParams};
use smol_str::SmolStr;

use crate::archive::Archive;
use crate::bulk::Effort;
use crate::checkpoint::{StoreRoot, Target};
use crate::config::{Durability, EngineConfig};
use crate::env::Environment;
use crate::epoch::Epoch;
use crate::error::{EngineError, ErrorKind};
use crate::journal::{Append, Appended, Journal};
use crate::limits::REPLAY_READ_BYTES;
use crate::objects::Objects;
use crate::owner::Owner;
use crate::pack::{BlobStore, PackId};
use crate::past::{CheckpointRoot, GroupInfo, Past};
use crate::reference::PRIMARY;
use crate::request::Principal;
use crate::root::RootRecord;
use crate::settle;
use crate::slices::Slices;
use crate::state::{Cause, Group, Notice, Record, State};
use crate::storage::Storage;
use crate::store::Store;
use crate::system::{Loaded, Snapshot, System};
use crate::term::Ownership;
use crate::workers::Threads;

use replay::Replay;

/// A store that is ready for its commit task.
pub(crate) struct Recovered {
    pub(crate) epoch: Epoch,
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) target: Target,
    pub(crate) store: Arc<Store>,
    pub(crate) state: State,
    pub(crate) checkpoints: Vec<u64>,
    weak: bool,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) trimmed_to: u64,
    pub(crate) replayed: (u64, u64),
}

/// Acquires a store, creating it if it does not exist. Blocking work of the store runs on
/// `threads`; without them, on the caller.
///
/// # Errors
/// `Busy` if another process has it, `Corrupt` for damage, `Invalid` for a configuration that does
/// not fit it.
pub(crate) fn open(
    storage: &dyn Storage,
    config: &EngineConfig,
    env: &Environment,
    threads: Option<Threads>,
) -> Result<Recovered, EngineError> {
    let owned = storage.acquire()?;
    let ownership = Arc::new(owned.ownership);
    let parts = Parts {
        epoch: owned.epoch,
        ownership: ownership.clone(),
        root: owned.root,
        journal: owned.journal,
        blobs: owned.blobs,
        state: owned.state,
    };
    recover(parts, config, env, threads).inspect_err(|_| ownership.abandon())
}

/// The parts of an acquired store.
struct Parts {
    epoch: Epoch,
    ownership: Arc<Ownership>,
    root: Arc<dyn RootRecord>,
    journal: Box<dyn Journal>,
    blobs: Arc<dyn BlobStore>,
    state: Arc<dyn BlobStore>,
}

fn recover(
    parts: Parts,
    config: &EngineConfig,
    env: &Environment,
    threads: Option<Threads>,
) -> Result<Recovered, EngineError> {
    let Parts {
        epoch,
        ownership,
        root,
        journal,
        blobs,
        state,
    } = parts;
    let slots = root.load()?;
    let current = slots.current.as_ref();
    let revision = Arc::new(AtomicU64::new(current.map_or(0, |root| root.revision)));
    let current = current
        .map(|root| StoreRoot::decode(&root.payload))
        .transpose()?;
    let previous = slots.previous.as_ref();
    let previous = previous
        .map(|root| StoreRoot::decode(&root.payload))
        .transpose()?;
    let named = current.iter().chain(&previous);
    let named: Vec<PackId> = named
        .flat_map(|root| root.system.packs.iter().copied())
        .collect();
    let is_new = current.is_none();
    let (system, at, loaded) = match current {
        Some(at) => {
            check_algorithm(config, at.params.algorithm)?;
            state.adopt(&at.system.packs)?;
            let (system, loaded) = System::load(state.clone(), at.params, at.system.clone())?;
            (system, at, loaded)
        }
        None => {
            // Remove what an interrupted start left.
            state.adopt(&[])?;
            state.retain(&[])?;
            first_state(config, env, epoch, state.clone())?
        }
    };
    let target = Target {
        env: env.clone(),
        blobs: blobs.clone(),
        system: Arc::new(Mutex::new(system)),
        root,
        revision,
    };
    if is_new {
        // Into both slots, so that damage of one does not lose the store.
        target.write_root(&at)?;
        target.write_root(&at)?;
    }
    let mut groups: Vec<(u64, Group)> = Vec::new();
    let mut bytes = 0;
    let reader = journal.reader();
    let mut next = loaded.state.group() + 1;
    while next <= journal.newest() {
        for (number, payload) in reader.read(next, REPLAY_READ_BYTES)? {
            bytes += payload.len() as u64;
            groups.push((number, Group::decode(number, &payload)?));
            next = number + 1;
        }
    }
    let mut packs = loaded.packs;
    packs.extend(groups.iter().flat_map(|(_, group)| group.packs()));
    packs.sort_unstable();
    packs.dedup();
    blobs.adopt(&packs)?;
    // Packs that neither a root record nor a group names were left by an interrupted request.
    let previous = previous.map(|root| target.system().packs_of(&root.system));
    match previous.transpose() {
        Ok(previous) => {
            packs.extend(previous.into_iter().flatten());
            blobs.retain(&packs)?;
        }
        // Nothing that it may name may be deleted.
        Err(error) => tracing::warn!("the previous root record cannot be used: {error}"),
    }
    let kept: Vec<PackId> = match is_new {
        true => at.system.packs.clone(),
        false => named,
    };
    state.retain(&kept)?;
    let params = at.params;
    let objects = Arc::new(Objects::new(blobs.clone(), params, config.cache_bytes));
    let oldest = reader.oldest();
    let archive = Archive::new(objects.clone(), reader);
    let slices = Slices::new(
        env.clock.clone(),
        config.slice_visits,
        config.instance_owner,
    );
    let store = Arc::new(Store::new(
        objects,
        archive,
        slices,
        Owner::new(ownership.term(), env.clock.clone()),
        config.instance_owner,
        threads,
    ));
    let mut replay = Replay::new(&store, loaded.state, Effort::alone(env.inline));
    let mut checkpoints = at.checkpoints;
    let reached = |group: &u64| oldest > 1 && group + 1 >= oldest;
    let trimmed_to = checkpoints.iter().copied().filter(reached).min();
    replay.start(loaded.pasts, trimmed_to);
    for (number, group) in groups {
        replay.group(number, group)?;
    }
    replay.finish()?;
    replay.pins()?;
    let Replay {
        state, versions, ..
    } = replay;
    let trimmed_to = trimmed_to.unwrap_or(0);
    checkpoints.retain(|&group| group >= trimmed_to);
    blobs.hold_back();
    let replayed = (bytes, versions);
    let mut recovered = Recovered {
        epoch,
        ownership,
        target,
        store,
        state,
        checkpoints,
        weak: at.weak,
        journal,
        trimmed_to,
        replayed,
    };
    recovered.enter_durability(config)?;
    Ok(recovered)
}

/// The state of a new store, which contains `primary`. It is written, but no root record names it
/// yet.
fn first_state(
    config: &EngineConfig,
    env: &Environment,
    epoch: Epoch,
    blobs: Arc<dyn BlobStore>,
) -> Result<(System, StoreRoot, Loaded), EngineError> {
    let mut split_key = [0; 32];
    env.entropy
        .fill(&mut split_key)
        .map_err(|e| no_entropy(&e))?;
    let algorithm = config.algorithm.unwrap_or(HashAlgorithm::Blake3);
    let params = StoreParams {
        algorithm,
        split_key,
    };
    let mut state = State::new(&params);
    let created = Record::Created {
        namespace: PRIMARY.into(),
        owner: Principal::Uid(config.instance_owner),
        incarnation: incarnation(env)?,
    };
    let info = GroupInfo {
        group: 0,
        epoch: epoch.number,
        time_ms: env.clock.now_ms(),
        age_ms: 0,
    };
    state.apply(info, &Record::epoch(epoch))?;
    let mut pasts = BTreeMap::new();
    if let Notice::Began {
        namespace, origin, ..
    } = state.apply(info, &created)?
    {
        let origin = CheckpointRoot::origin(&origin, info);
        pasts.insert(namespace, Past::from(origin));
    }
    let mut system = System::new(blobs, params);
    let changed = state.take_changed();
    let written = pasts.iter();
    let written: Vec<_> = written
        .map(|(name, past)| (name.clone(), Some(past.clone())))
        .collect();
    let written = system.write(&Snapshot {
        state: &state,
        changed: &changed,
        pasts: &written,
        packs: &[],
    })?;
    let root = StoreRoot {
        params,
        group: 0,
        system: written.root.clone(),
        checkpoints: Vec::new(),
        weak: false,
    };
    system.named(written)?;
    let loaded = Loaded {
        state,
        pasts,
        packs: Vec::new(),
    };
    Ok((system, root, loaded))
}

fn no_entropy(error: &std::io::Error) -> EngineError {
    EngineError::new(
        ErrorKind::Unavailable,
        format!("no random numbers: {error}"),
    )
}

fn incarnation(env: &Environment) -> Result<u64, EngineError> {
    let mut bytes = [0; 8];
    env.entropy.fill(&mut bytes).map_err(|e| no_entropy(&e))?;
    Ok(u64::from_be_bytes(bytes).max(1))
}

fn check_algorithm(config: &EngineConfig, found: HashAlgorithm) -> Result<(), EngineError> {
    match config.algorithm {
        Some(wanted) if wanted != found => Err(EngineError::new(
            ErrorKind::Invalid,
            format!(
                "the store {} was made with {found}, it cannot be opened with {wanted}",
                config.dir.display()
            ),
        )),
        _ => Ok(()),
    }
}

impl Recovered {
    /// Records the durability mode durably. If the last daemon ran in a weaker mode and did not
    /// stop cleanly, acknowledged versions may be lost: every namespace then starts a new
    /// incarnation, so that a lost version is not confused with a later one of equal number.
    fn enter_durability(&mut self, config: &EngineConfig) -> Result<(), EngineError> {
        let weak = config.durability != Durability::Commit;
        if self.weak {
            let names = self.state.namespaces().map(|(name, _)| name.clone());
            let names: Vec<SmolStr> = names.collect();
            let mut group = Group {
                age_ms: self.state.age_ms(),
                time_ms: self.target.env.clock.now_ms(),
                epoch: self.epoch.number,
                records: vec![Record::epoch(self.epoch)],
            };
            for namespace in names {
                let incarnation = incarnation(&self.target.env)?;
                group.records.push(Record::Reincarnated {
                    namespace,
                    incarnation,
                    cause: Cause::MayHaveLost,
                });
            }
            let after = self.state.group();
            let payload = group.encode()?;
            let append = Append {
                after,
                id: 0,
                payload: &payload,
                sync: true,
            };
            match settle::append(&mut *self.journal, append) {
                Appended::Done(number) => {
                    let mut replay = Replay::new(&self.store, self.state.clone(), Effort::BESIDE);
                    replay.group(number, group)?;
                    self.state = replay.state;
                }
                Appended::NotWritten(error)
                | Appended::Fenced(error)
                | Appended::Unknown(error) => return Err(error.into()),
            }
        }
        if self.weak != weak {
            self.rewrite_root(weak)?;
        }
        Ok(())
    }

    /// Rewrites the root record with another mode: same group, same roots. In both slots, because
    /// either may be the one that is found.
    fn rewrite_root(&mut self, weak: bool) -> Result<(), EngineError> {
        let Some(root) = self.target.root.load()?.current else {
            return Ok(());
        };
        let root = StoreRoot {
            weak,
            ..StoreRoot::decode(&root.payload)?
        };
        self.weak = weak;
        self.target.write_root(&root)?;
        self.target.write_root(&root)?;
        Ok(())
    }
}
