//! A store on storage that loses answers, delays appends, and changes its owner; and bugs planted
//! into that storage, which must be detected.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kvs_engine::memory::{MemoryStorage, Weather};
use kvs_engine::{
    At, CommitRequest, CrashVariant, Durability, Engine, EngineConfig, Environment, ErrorKind,
    Group, Record, SimClock, SimDisk,
};
use kvs_engine::{Prepared, Storage, TransactionId};
use kvs_storage::journal::{Append, Appended, GroupNumber, Journal, JournalError, JournalReader};
use kvs_storage::root::{Root, RootError, RootRecord, Slots};
use kvs_storage::term::{Ownership, Term};
use kvs_storage::{AcquireError, Owned};
use kvs_tree::Transaction;

use crate::support::{NS, OWNER, Sim, put, read, trimming};

/// A bug planted into the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A deposed owner learns that its term lasts.
    EndlessTerm,
    /// Settling reports an append as done without performing it.
    SettledForgotten,
    /// An append whose answer was lost counts as done.
    UnknownTakenForDone,
    /// The root record of an older epoch is returned as the current one.
    OlderSlot,
    /// Recovery sees only the versions in groups, not other records.
    FoldedDifferently,
}

#[derive(Debug)]
struct Planted {
    storage: MemoryStorage,
    bug: Bug,
    /// The first root record of the store.
    first: Arc<Mutex<Option<Root>>>,
}

impl Storage for Planted {
    fn acquire(&self) -> Result<Owned, AcquireError> {
        let owned = self.storage.acquire()?;
        let ownership = match self.bug {
            Bug::EndlessTerm => {
                let inner = owned.ownership;
                Ownership::new(Term::new(|_| Ok(())), move || drop(inner))
            }
            _ => owned.ownership,
        };
        let (bug, first) = (self.bug, self.first.clone());
        let found = owned.journal.newest();
        Ok(Owned {
            ownership,
            journal: Box::new(PlantedJournal(owned.journal, bug, found)),
            root: Arc::new(PlantedRoot(owned.root, bug, first)),
            ..owned
        })
    }
}

/// With the newest group at the time of opening.
struct PlantedJournal(Box<dyn Journal>, Bug, GroupNumber);

/// Omits all records but versions when a group that recovery replays is read for the first time.
struct Forgetful {
    reader: Arc<dyn JournalReader>,
    /// The next group that recovery has to read, once it has begun, and the last.
    replayed: Mutex<(Option<GroupNumber>, GroupNumber)>,
}

impl JournalReader for Forgetful {
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError> {
        let mut groups = self.reader.read(from, max_bytes)?;
        let (next, last) = &mut *self.replayed.lock().unwrap();
        if *next.get_or_insert(from) != from || from > *last {
            return Ok(groups);
        }
        for (number, payload) in &mut groups {
            let mut group = Group::decode(*number, payload).unwrap();
            let version = |record: &Record| matches!(record, Record::Version(_));
            group.records.retain(version);
            *payload = group.encode().unwrap().into();
            *next = Some(*number + 1);
        }
        Ok(groups)
    }

    fn look(
        &self,
        from: GroupNumber,
        max_bytes: usize,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(GroupNumber, &[u8]) -> bool,
    ) -> Result<(), JournalError> {
        self.reader.look(from, max_bytes, buffer, each)
    }

    fn oldest(&self) -> GroupNumber {
        self.reader.oldest()
    }

    fn newest(&self) -> GroupNumber {
        self.reader.newest()
    }
}

impl Journal for PlantedJournal {
    fn append(&mut self, append: Append<'_>) -> Appended {
        match self.0.append(append) {
            Appended::Unknown(_) if self.1 == Bug::UnknownTakenForDone => {
                Appended::Done(append.after + 1)
            }
            other => other,
        }
    }

    fn settle(&mut self, append: Append<'_>) -> Appended {
        match self.1 {
            Bug::SettledForgotten => Appended::Done(append.after + 1),
            _ => self.0.settle(append),
        }
    }

    fn sync(&mut self) -> Result<GroupNumber, JournalError> {
        self.0.sync()
    }

    fn newest(&self) -> GroupNumber {
        self.0.newest()
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        let reader = self.0.reader();
        match self.1 {
            Bug::FoldedDifferently => Arc::new(Forgetful {
                reader,
                replayed: Mutex::new((None, self.2)),
            }),
            _ => reader,
        }
    }

    fn drop_before(&mut self, keep_from: GroupNumber) -> Result<(), JournalError> {
        self.0.drop_before(keep_from)
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

struct PlantedRoot(Arc<dyn RootRecord>, Bug, Arc<Mutex<Option<Root>>>);

impl RootRecord for PlantedRoot {
    fn load(&self) -> Result<Slots, RootError> {
        let mut slots = self.0.load()?;
        let mut first = self.2.lock().unwrap();
        if first.is_none() {
            *first = slots.current.clone();
        }
        if self.1 == Bug::OlderSlot && first.is_some() {
            slots.current = first.clone();
        }
        Ok(slots)
    }

    fn swap(&self, expected: u64, group: GroupNumber, payload: &[u8]) -> Result<u64, RootError> {
        self.0.swap(expected, group, payload)
    }
}

/// Engines on one store, one after another and at the same time.
struct World {
    storage: Arc<Planted>,
    config: EngineConfig,
    clock: Arc<SimClock>,
    seed: u64,
    number: u64,
    complaints: Vec<String>,
}

impl World {
    fn new(bug: Bug, seed: u64) -> Self {
        let storage = MemoryStorage::new(seed);
        storage.set_weather(Weather {
            answer_lost: 12,
            late: 12,
            lost: 15,
        });
        Self {
            storage: Arc::new(Planted {
                storage,
                bug,
                first: Arc::default(),
            }),
            config: trimming(1),
            clock: Arc::new(SimClock::new(1_700_000_000_000)),
            seed,
            number: 0,
            complaints: Vec::new(),
        }
    }

    async fn open(&mut self) -> Option<Engine> {
        self.seed += 1;
        let mut env = Environment::simulated(SimDisk::unrecorded(), self.seed);
        env.clock = self.clock.clone();
        // The previous owner must not rely on an old check any more.
        self.clock.advance(20);
        let opened = Engine::open_on(self.storage.clone(), self.config.clone(), env).await;
        opened
            .inspect_err(|error| self.complaints.push(format!("does not open: {error}")))
            .ok()
    }

    /// Puts the next number; an error if that was not acknowledged.
    async fn put(&mut self, engine: &Engine) -> Result<(), String> {
        let number = self.number + 1;
        let request = CommitRequest {
            namespace: NS.into(),
            caller: OWNER,
            id: TransactionId {
                client: [5; 16],
                number,
            },
            acknowledged: number - 1,
            repeat: None,
            name: None,
            no_merge: false,
            prepared: Prepared::default(),
            transaction: Transaction {
                conditions: Vec::new(),
                operations: vec![put("a", number.to_string())],
            },
        };
        let answer = engine.commit(request).await;
        answer.map_err(|error| format!("a put is refused: {error}"))?;
        self.number = number;
        Ok(())
    }

    async fn get(&self, engine: &Engine) -> Option<Bytes> {
        let view = engine.view(OWNER, NS, At::Current).await.ok()?;
        read(&view, "a").await
    }

    async fn expect(&mut self, engine: &Engine, when: &str) {
        let found = self.get(engine).await;
        let expected = Bytes::from(self.number.to_string());
        if found.as_ref() != Some(&expected) {
            let what = format!("{when}: {found:?} instead of {expected:?}");
            self.complaints.push(what);
        }
    }

    async fn run(&mut self) -> Option<()> {
        let mut engine = self.open().await?;
        for round in 0..6 {
            for _ in 0..25 {
                if let Err(refusal) = self.put(&engine).await {
                    self.complaints.push(refusal);
                    return None;
                }
                self.expect(&engine, "right after").await;
            }
            if round % 2 == 0
                && let Err(error) = engine.checkpoint().await
            {
                let what = format!("a checkpoint fails: {error}");
                self.complaints.push(what);
            }
            // Another owner takes the store over while this engine runs.
            let old = engine;
            engine = self.open().await?;
            self.expect(&engine, "after another owner came").await;
            if let Err(refusal) = self.put(&engine).await {
                self.complaints.push(refusal);
            }
            if self.get(&old).await.is_some() {
                let what = "a deposed owner answers a read".to_owned();
                self.complaints.push(what);
            }
            if let Err(error) = engine.check_state(OWNER).await {
                let what = format!("recovery folds differently: {error}");
                self.complaints.push(what);
            }
            let newest = self.number;
            if self.put(&old).await.is_ok() {
                let what = "a deposed owner acknowledges a put".to_owned();
                self.complaints.push(what);
                self.number = newest;
            }
            let versions = self.number;
            let info = engine.namespaces(OWNER).into_iter();
            let found = info.map(|info| info.position.version).max();
            if found != Some(versions) {
                let what = format!("{found:?} versions of {versions} puts");
                self.complaints.push(what);
            }
            if engine
                .log(OWNER, NS, versions, versions, &[], 10)
                .await
                .is_err()
            {
                self.complaints
                    .push("the newest version is not in the journal".to_owned());
            }
        }
        Some(())
    }
}

async fn complaints(bug: Bug, seed: u64) -> Vec<String> {
    let mut world = World::new(bug, seed);
    let _ = world.run().await;
    world.complaints
}

#[tokio::test(start_paused = true)]
async fn acknowledged_commits_survive_lost_answers_and_changes_of_owner() {
    for seed in 0..12 {
        let found = complaints(Bug::None, 100 * seed).await;
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_bug_that_is_planted_into_storage_is_noticed() {
    for (bug, says) in [
        (Bug::EndlessTerm, "a deposed owner answers a read"),
        // Detected as a lost commit, or by a root record that names a missing group.
        (Bug::SettledForgotten, ""),
        (Bug::UnknownTakenForDone, ""),
        (Bug::OlderSlot, "the root record has revision"),
        (Bug::FoldedDifferently, "recovery folds differently"),
    ] {
        let mut noticed = 0;
        let mut all = Vec::new();
        for seed in 0..6 {
            let found = complaints(bug, 100 * seed).await;
            noticed += usize::from(found.iter().any(|what| what.contains(says)));
            all.extend(found);
        }
        assert!(
            noticed >= 4,
            "{bug:?} is noticed in {noticed} runs of 6: {all:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposed_owner_answers_no_read() {
    let mut world = World::new(Bug::None, 9);
    let old = world.open().await.unwrap();
    world.put(&old).await.unwrap();
    assert!(world.get(&old).await.is_some());
    let _new = world.open().await.unwrap();
    assert!(old.view(OWNER, NS, At::Current).await.is_err());
    let version = old.view(OWNER, NS, At::Version(1)).await;
    assert_eq!(
        version.map(|_| ()).unwrap_err().kind,
        kvs_engine::ErrorKind::Unavailable
    );
}

const SLOTS: [&str; 2] = ["/store/root.0", "/store/root.1"];

/// The disk after a power cut, with a flipped bit in some slots of the root record.
fn damaged(disk: &SimDisk, slots: &[&str]) -> SimDisk {
    let image = disk.images_after(disk.operations(), CrashVariant::Lost);
    for slot in slots {
        assert!(image.flip(std::path::Path::new(slot), 80, 1));
    }
    image
}

#[tokio::test(start_paused = true)]
async fn either_slot_of_the_root_record_leads_to_the_same_state() {
    let sim = Sim::with(trimming(0), SimDisk::new()).await;
    for round in 0..8_u64 {
        for number in 0..40_u64 {
            let key = format!("d{}.k{}", round % 3, number % 20);
            sim.put(&key, vec![round as u8; 100]).await;
        }
        sim.put("large", vec![round as u8; 100_000]).await;
        sim.engine.checkpoint().await.unwrap();
        sim.put("after", round.to_string()).await;
        let expected = sim.view(At::Current).await.snapshot();
        for slot in SLOTS {
            let image = damaged(&sim.disk, &[slot]);
            let again = Sim::with(trimming(0), image).await;
            assert_eq!(again.view(At::Current).await.snapshot(), expected);
            let large = again.get("large").await.unwrap();
            assert!(large.len() == 100_000 && large.iter().all(|byte| *byte == round as u8));
            // It continues from there, and so does the next start.
            again.forget_numbers();
            again.put("after", "x").await;
            again.engine.checkpoint().await.unwrap();
            let again = again.restart().await;
            assert_eq!(again.get("after").await.unwrap(), "x");
        }
        let both = Sim::try_open(trimming(0), damaged(&sim.disk, &SLOTS)).await;
        assert_eq!(both.err().unwrap().kind, ErrorKind::Corrupt);
    }
}

#[tokio::test(start_paused = true)]
async fn that_a_weaker_mode_was_at_work_is_known_from_either_slot() {
    let mut config = trimming(3);
    let sim = Sim::with(config.clone(), SimDisk::new()).await;
    sim.put("a", "1").await;
    let before = sim.position().await.incarnation;
    sim.engine.shutdown().await.unwrap();
    config.durability = Durability::None;
    let weak = Sim::with(config.clone(), sim.disk.clone()).await;
    assert_eq!(weak.position().await.incarnation, before);
    for slot in SLOTS {
        let again = Sim::with(config.clone(), damaged(&weak.disk, &[slot])).await;
        assert_ne!(again.position().await.incarnation, before, "{slot}");
    }
}
