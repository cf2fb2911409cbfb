//! Opening a store: manifest, packs, and the journal behind the manifest's group, replayed in batches,
//! each of which must arrive at the recorded root.

mod replay;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{HashAlgorithm, StoreParams};
use smol_str::SmolStr;

use crate::archive::Archive;
use crate::bulk::Effort;
use crate::checkpoint::{Manifest, Target};
use crate::config::{Durability, EngineConfig};
use crate::env::Environment;
use crate::error::{EngineError, ErrorKind};
use crate::journal::{DiskJournal, Journal, JournalOptions};
use crate::manifest::ManifestFile;
use crate::objects::Objects;
use crate::pack::{BlobStore, PackStore};
use crate::past::{CheckpointRoot, Past};
use crate::reference::PRIMARY;
use crate::reserve::{Reserve, StagingSpace};
use crate::slices::Slices;
use crate::state::{Group, Notice, Record, Stamp, State};
use crate::store::Store;
use crate::store_dir::StoreDirectory;
use crate::workers::Threads;

use replay::Replay;

/// A store that is ready for its commit task.
pub(crate) struct Recovered {
    pub(crate) directory: StoreDirectory,
    pub(crate) target: Target,
    pub(crate) store: Arc<Store>,
    pub(crate) state: State,
    pub(crate) checkpoints: Vec<u64>,
    weak: bool,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) trimmed_to: u64,
    pub(crate) replayed: (u64, u64),
}

/// Opens the store of `config`, making it if it is not there. Reads and writes the disk. The store does what blocks on
/// `threads`, without them where it is asked for.
///
/// # Errors
/// `Busy` if another daemon has it, `Corrupt` for damage, `Invalid` for a configuration that does not
/// fit it.
pub(crate) fn open(
    config: &EngineConfig,
    env: &Environment,
    threads: Option<Threads>,
) -> Result<Recovered, EngineError> {
    config.check()?;
    let directory = StoreDirectory::open(env, &config.dir)?;
    let made = directory.made();
    recover(directory, config, env, threads).inspect_err(|_| made.undo(&*env.disk))
}

fn recover(
    directory: StoreDirectory,
    config: &EngineConfig,
    env: &Environment,
    threads: Option<Threads>,
) -> Result<Recovered, EngineError> {
    let loaded = match ManifestFile::load(env, directory.path())? {
        Some(bytes) => Some(Manifest::decode(&bytes)?),
        None => None,
    };
    let is_new = loaded.is_none();
    let manifest = loaded.map_or_else(|| new_manifest(config, env), Ok)?;
    check_algorithm(config, manifest.params.algorithm)?;
    if is_new {
        ManifestFile::replace(env, directory.path(), &manifest.encode()?)?;
    }
    let options = JournalOptions {
        segment_bytes: config.segment_bytes(),
        open_files: config.open_files,
    };
    let mut groups: Vec<(u64, Group)> = Vec::new();
    let mut bytes = 0;
    let from = manifest.state.group();
    let journal = DiskJournal::open(
        env,
        &directory.journal(),
        options,
        from,
        &mut |number, payload| {
            bytes += payload.len() as u64;
            groups.push((number, Group::decode(number, &payload)?));
            Ok::<(), EngineError>(())
        },
    )?;
    let mut packs = manifest.packs.clone();
    packs.extend(groups.iter().flat_map(|(_, group)| group.packs()));
    packs.sort_unstable();
    packs.dedup();
    let blobs = PackStore::open(env, &directory.packs(), &packs, config.open_files)?;
    // What neither the manifest nor a record names was left by an interrupted request.
    blobs.remove_unlisted(&packs)?;
    let blobs: Arc<dyn BlobStore> = Arc::new(blobs);
    let params = manifest.params;
    let objects = Arc::new(Objects::new(blobs.clone(), params, config.cache_bytes));
    let reader = journal.reader();
    let oldest = reader.oldest();
    let archive = Archive::new(objects.clone(), reader);
    let slices = Slices::new(env.clock.clone(), config.slice_visits);
    let store = Arc::new(Store::new(
        objects,
        archive,
        StagingSpace::new(env, &directory.packs()),
        slices,
        config.instance_owner,
        threads,
    ));
    let mut replay = Replay::new(&store, manifest.state, Effort::alone(env.inline));
    let mut checkpoints = manifest.checkpoints;
    let reached = |group: &u64| oldest > 1 && group + 1 >= oldest;
    let trimmed_to = checkpoints.iter().copied().filter(reached).min();
    replay.start(manifest.pasts, trimmed_to);
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
    let reserve = Reserve::new(env, directory.path(), config.reserve_bytes());
    reserve.keep();
    let target = Target {
        env: env.clone(),
        dir: directory.path().to_path_buf(),
        blobs,
        reserve,
    };
    let journal: Box<dyn Journal> = Box::new(journal);
    let replayed = (bytes, versions);
    let mut recovered = Recovered {
        directory,
        target,
        store,
        state,
        checkpoints,
        weak: manifest.weak,
        journal,
        trimmed_to,
        replayed,
    };
    recovered.enter_durability(config)?;
    Ok(recovered)
}

fn new_manifest(config: &EngineConfig, env: &Environment) -> Result<Manifest, EngineError> {
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
    let time_ms = env.clock.now_ms();
    let created = Record::Created {
        namespace: PRIMARY.into(),
        owner: config.instance_owner,
        incarnation: incarnation(env)?,
    };
    let stamp = Stamp { group: 0, time_ms };
    let mut pasts = BTreeMap::new();
    if let Notice::Began {
        namespace, origin, ..
    } = state.apply(stamp, &created)?
    {
        let origin = CheckpointRoot::origin(&origin, stamp.group, stamp.time_ms);
        pasts.insert(namespace, Past::from(origin));
    }
    Ok(Manifest {
        params,
        state,
        pasts,
        packs: Vec::new(),
        checkpoints: Vec::new(),
        weak: false,
    })
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
    /// Notes durably in which mode the store goes on. If the last daemon ran in a weaker mode and
    /// did not stop cleanly, what was acknowledged may be lost: every namespace starts a new
    /// incarnation, so that nobody takes a version number for one that is gone.
    fn enter_durability(&mut self, config: &EngineConfig) -> Result<(), EngineError> {
        let weak = config.durability != Durability::Commit;
        if self.weak {
            let names = self.state.namespaces().map(|(name, _)| name.clone());
            let names: Vec<SmolStr> = names.collect();
            let mut group = Group {
                time_ms: self.state.time_ms(),
                records: Vec::new(),
            };
            for namespace in names {
                let incarnation = incarnation(&self.target.env)?;
                group.records.push(Record::Reincarnated {
                    namespace,
                    incarnation,
                });
            }
            let after = self.state.group();
            match self.journal.append(after, &group.encode()?) {
                crate::journal::Appended::Done(number) => {
                    let mut replay = Replay::new(&self.store, self.state.clone(), Effort::BESIDE);
                    replay.group(number, group)?;
                    self.state = replay.state;
                }
                crate::journal::Appended::NotWritten(error)
                | crate::journal::Appended::Unknown(error) => return Err(error.into()),
            }
        }
        if self.weak != weak {
            self.rewrite_manifest(weak)?;
        }
        Ok(())
    }

    /// Replaces the manifest by one that differs in the mode only: same group, same roots.
    fn rewrite_manifest(&mut self, weak: bool) -> Result<(), EngineError> {
        let env = &self.target.env;
        let Some(bytes) = ManifestFile::load(env, &self.target.dir)? else {
            return Ok(());
        };
        let mut manifest = Manifest::decode(&bytes)?;
        manifest.weak = weak;
        self.weak = weak;
        self.target.write_manifest(&manifest)
    }
}
