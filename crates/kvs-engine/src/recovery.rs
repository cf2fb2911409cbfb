//! Opening a store: manifest, packs, and the journal behind the manifest's group, replayed with every
//! root recomputed and compared with the recorded one.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Blobref, Directory, HashAlgorithm, StoreParams};
use smol_str::SmolStr;

use crate::archive::Archive;
use crate::catalog::{Catalog, CheckpointRoot};
use crate::checkpoint::{Manifest, Target};
use crate::config::{Durability, EngineConfig};
use crate::env::Environment;
use crate::error::{EngineError, ErrorKind};
use crate::history::{History, RootAt};
use crate::journal::{DiskJournal, Journal, JournalOptions};
use crate::manifest::ManifestFile;
use crate::namespace::{Namespace, Publication};
use crate::objects::Objects;
use crate::pack::{BlobStore, PackStore};
use crate::record::{Group, Record, VersionRecord, effect_bytes};
use crate::store::{Pinned, Store};
use crate::store_dir::StoreDirectory;

/// The namespace that every store has.
pub const PRIMARY: &str = "primary";

/// A store that is ready for its commit task.
pub(crate) struct Recovered {
    pub(crate) directory: StoreDirectory,
    pub(crate) target: Target,
    pub(crate) store: Arc<Store>,
    pub(crate) catalog: Catalog,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) trimmed_to: u64,
    pub(crate) replayed: (u64, u64),
}

/// Opens the store of `config`, making it if it is not there. Reads and writes the disk.
///
/// # Errors
/// `Busy` if another daemon has it, `Corrupt` for damage, `Invalid` for a configuration that does not
/// fit it.
pub(crate) fn open(config: &EngineConfig, env: &Environment) -> Result<Recovered, EngineError> {
    config.check()?;
    let directory = StoreDirectory::open(env, &config.dir)?;
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
    };
    let mut groups: Vec<(u64, Group)> = Vec::new();
    let mut bytes = 0;
    let from = manifest.catalog.group;
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
    let mut packs = manifest.catalog.packs.clone();
    for record in groups.iter().flat_map(|(_, group)| &group.records) {
        if let Record::PackAdded { pack } = record
            && !packs.contains(pack)
        {
            packs.push(*pack);
        }
    }
    let blobs = PackStore::open(env, &directory.packs(), &packs)?;
    // What neither the manifest nor a record names was left by an interrupted request.
    blobs.remove_unlisted(&packs)?;
    let blobs: Arc<dyn BlobStore> = Arc::new(blobs);
    let Manifest { params, catalog } = manifest;
    let objects = Arc::new(Objects::new(blobs.clone(), params, config.cache_bytes));
    let reader = journal.reader();
    let oldest = reader.oldest();
    let archive = Archive::new(objects.clone(), reader);
    let store = Arc::new(Store::new(
        objects,
        archive,
        config.instance_owner,
        env.inline,
    ));
    let mut replay = Replay {
        store: &store,
        catalog,
        pinned: BTreeMap::new(),
        versions: 0,
    };
    let checkpoints = replay.catalog.checkpoints.iter().copied();
    let trimmed_to = checkpoints
        .filter(|&group| oldest > 1 && group + 1 >= oldest)
        .min();
    replay.start(trimmed_to);
    for (number, group) in groups {
        replay.group(number, group)?;
    }
    replay.pins()?;
    let Replay {
        mut catalog,
        versions,
        ..
    } = replay;
    let trimmed_to = trimmed_to.unwrap_or(0);
    catalog.checkpoints.retain(|&group| group >= trimmed_to);
    let target = Target {
        env: env.clone(),
        dir: directory.path().to_path_buf(),
        blobs,
    };
    let journal: Box<dyn Journal> = Box::new(journal);
    let replayed = (bytes, versions);
    let mut recovered = Recovered {
        directory,
        target,
        store,
        catalog,
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
    let mut catalog = Catalog::default();
    let time_ms = env.clock.now_ms();
    let created = Record::Created {
        namespace: PRIMARY.into(),
        owner: config.instance_owner,
        incarnation: incarnation(env)?,
    };
    catalog.apply(0, time_ms, &created)?;
    if let Some(primary) = catalog.namespaces.get_mut(PRIMARY) {
        primary
            .checkpoints
            .push(CheckpointRoot::origin(&params, 0, time_ms));
    }
    Ok(Manifest { params, catalog })
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

/// The state while the journal is replayed.
struct Replay<'a> {
    store: &'a Arc<Store>,
    catalog: Catalog,
    /// Roots of pins, as replay passed them.
    pinned: BTreeMap<u64, RootAt>,
    versions: u64,
}

impl Replay<'_> {
    /// The namespaces as the manifest has them.
    ///
    /// The journal may have been trimmed after the manifest was written: what lies before
    /// `trimmed_to` is not retained any more.
    fn start(&mut self, trimmed_to: Option<u64>) {
        for (name, state) in &self.catalog.namespaces {
            let Some(last) = state.checkpoints.last() else {
                continue;
            };
            let root = RootAt {
                version: last.version,
                time_ms: last.time_ms,
                directory: last.directory(),
                root: last.root,
            };
            let mut history = History::new(state.checkpoints.clone(), state.landmarks.clone());
            if let Some(group) = trimmed_to {
                history.trim(group);
            }
            self.insert(name, state.owner, state.incarnation, root, history);
        }
    }

    fn insert(&self, name: &SmolStr, owner: u32, incarnation: u64, root: RootAt, history: History) {
        let namespace = Namespace::new(name.clone(), owner, incarnation, root, history);
        self.store.insert_namespace(Arc::new(namespace));
    }

    fn group(&mut self, number: u64, group: Group) -> Result<(), EngineError> {
        for record in &group.records {
            self.catalog.apply(number, group.time_ms, record)?;
            match record {
                Record::Version(record) => self.version(number, record)?,
                Record::Created {
                    namespace,
                    owner,
                    incarnation,
                } => {
                    let params = self.store.objects.params();
                    let origin = CheckpointRoot::origin(params, number, group.time_ms);
                    let root = RootAt {
                        version: 0,
                        time_ms: group.time_ms,
                        directory: origin.directory(),
                        root: origin.root,
                    };
                    let history = History::new(vec![origin], Vec::new());
                    self.insert(namespace, *owner, *incarnation, root, history);
                }
                Record::Removed { namespace } => {
                    self.store.remove_namespace(namespace);
                }
                Record::Reincarnated { namespace, .. } => self.reincarnate(namespace)?,
                Record::Pinned(pin) => {
                    let namespace = self.store.namespace(&pin.snapshot.namespace)?;
                    let rebuilt = self.store.archive.root(&namespace, pin.snapshot.version);
                    // Only another pin kept it then, so that its objects are in a pack.
                    let root = rebuilt.or_else(|_| self.pinned_root(pin))?;
                    self.pinned.insert(pin.id, root);
                }
                Record::Unpinned { .. } | Record::PackAdded { .. } => {}
            }
        }
        self.catalog.group = number;
        Ok(())
    }

    fn version(&mut self, number: u64, record: &Arc<VersionRecord>) -> Result<(), EngineError> {
        let namespace = self.store.namespace(&record.namespace)?;
        let effects: Vec<_> = record.effects().cloned().collect();
        let before = namespace.published();
        let directory = self.store.archive.replay(&before.directory, &effects)?;
        let found: Blobref = directory.seal(self.store.objects.params());
        if found != record.root {
            return Err(EngineError::corrupt(format!(
                "replay of version {} of namespace {} gives root {found}, but {} is recorded",
                record.version, record.namespace, record.root
            )));
        }
        let (version, time_ms) = (record.version, record.time_ms);
        let root = RootAt {
            version,
            time_ms,
            directory,
            root: found,
        };
        let bytes = 128 + effects.iter().map(effect_bytes).sum::<usize>();
        self.versions += 1;
        let publication = Publication {
            record: record.clone(),
            root,
            group: number,
            bytes,
        };
        namespace.publish(publication, &mut Vec::new());
        Ok(())
    }

    /// The namespace goes on as another life of itself, its past readable as before.
    fn reincarnate(&self, name: &SmolStr) -> Result<(), EngineError> {
        let old = self.store.namespace(name)?;
        let Some(state) = self.catalog.namespaces.get(name) else {
            return Ok(());
        };
        let root = (*old.published()).clone();
        let history = old.history().clone();
        self.insert(name, state.owner, state.incarnation, root, history);
        Ok(())
    }

    /// The roots of all pins, as a checkpoint wrote them or as they are rebuilt now.
    fn pins(&mut self) -> Result<(), EngineError> {
        for pin in self.catalog.pins.values() {
            let root = match self.pinned.remove(&pin.id) {
                Some(root) => root,
                None => self.pinned_root(pin)?,
            };
            self.store.pins().insert(
                pin.id,
                Pinned {
                    pin: pin.clone(),
                    root,
                },
            );
        }
        Ok(())
    }

    /// A pin from before the manifest: its root is in a pack, since checkpoints write those.
    fn pinned_root(&self, pin: &crate::request::Pin) -> Result<RootAt, EngineError> {
        let snapshot = &pin.snapshot;
        let missing = kvs_tree::Missing {
            blobref: snapshot.root,
            kind: kvs_tree::ObjectKind::Node,
        };
        let node = self.store.objects.read_node(&missing)?;
        let directory = Directory::load_root(snapshot.root, &node);
        Ok(RootAt {
            version: snapshot.version,
            time_ms: 0,
            directory,
            root: snapshot.root,
        })
    }
}

impl Recovered {
    /// Notes durably in which mode the store goes on. If the last daemon ran in a weaker mode and
    /// did not stop cleanly, what was acknowledged may be lost: every namespace starts a new
    /// incarnation, so that nobody takes a version number for one that is gone.
    fn enter_durability(&mut self, config: &EngineConfig) -> Result<(), EngineError> {
        let weak = config.durability != Durability::Commit;
        if self.catalog.weak {
            let names: Vec<SmolStr> = self.catalog.namespaces.keys().cloned().collect();
            let mut group = Group {
                time_ms: self.catalog.time_ms,
                records: Vec::new(),
            };
            for namespace in names {
                let incarnation = incarnation(&self.target.env)?;
                group.records.push(Record::Reincarnated {
                    namespace,
                    incarnation,
                });
            }
            let after = self.catalog.group;
            match self.journal.append(after, &group.encode()?) {
                crate::journal::Appended::Done(number) => {
                    let catalog = std::mem::take(&mut self.catalog);
                    let (store, pinned) = (&self.store, BTreeMap::new());
                    let mut replay = Replay {
                        store,
                        catalog,
                        pinned,
                        versions: 0,
                    };
                    replay.group(number, group)?;
                    self.catalog = replay.catalog;
                }
                crate::journal::Appended::NotWritten(error)
                | crate::journal::Appended::Unknown(error) => return Err(error.into()),
            }
        }
        if self.catalog.weak != weak {
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
        manifest.catalog.weak = weak;
        self.catalog.weak = weak;
        self.target.write_manifest(&manifest)
    }
}
