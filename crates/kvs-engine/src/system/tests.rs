//! Writing a state in parts and loading it.

use crate::request::Principal;
use std::sync::Arc;

use kvs_storage::memory::MemoryStorage;
use kvs_storage::{Owned, Storage};
use kvs_tree::HashAlgorithm;

use super::*;
use crate::past::CheckpointRoot;
use crate::past::GroupInfo;
use crate::state::{Notice, Record, VersionRecord};

const PARAMS: StoreParams = StoreParams {
    algorithm: HashAlgorithm::Blake3,
    split_key: [7; 32],
};

fn owned(storage: &MemoryStorage) -> Owned {
    let owned = storage.acquire().unwrap();
    owned.state.adopt(&[]).unwrap();
    owned
}

/// Applies a record. Returns the namespace and its resulting past.
fn apply(state: &mut State, record: &Record) -> (SmolStr, Option<Past>) {
    let info = GroupInfo {
        epoch: 1,
        group: state.group() + 1,
        time_ms: 1,
        age_ms: 1,
    };
    match state.apply(info, record).unwrap() {
        Notice::Began {
            namespace, origin, ..
        } => {
            let origin = CheckpointRoot::origin(&origin, info);
            (namespace, Some(origin.into()))
        }
        Notice::Ended { namespace, .. } => (namespace, None),
        Notice::Moved { record, .. } => {
            let mut past = Past::default();
            past.checkpointed(CheckpointRoot {
                version: record.version,
                group: info.group,
                time_ms: 1,
                age_ms: 1,
                root: record.root,
                stats: Directory::empty().stats(),
                empty: false,
            });
            (record.namespace.clone(), Some(past))
        }
        other => panic!("{other:?}"),
    }
}

fn created(name: &str, incarnation: u64) -> Record {
    Record::Created {
        namespace: name.into(),
        owner: Principal::Uid(1),
        incarnation,
    }
}

fn moved(name: &str, incarnation: u64, version: u64) -> Record {
    Record::Version(Arc::new(VersionRecord {
        namespace: name.into(),
        incarnation,
        version,
        root: Blobref::of(HashAlgorithm::Blake3, &version.to_be_bytes()),
        time_ms: 1,
        stamp: version,
        transactions: Vec::new(),
    }))
}

/// Writes the changes of a record and names them. Returns the bytes written.
fn step(system: &mut System, state: &mut State, record: &Record, packs: &[PackId]) -> u64 {
    let past = apply(state, record);
    let changed = state.take_changed();
    let written = system
        .write(&Snapshot {
            state,
            changed: &changed,
            pasts: &[past],
            packs,
        })
        .unwrap();
    let new: Vec<PackId> = written.pack.into_iter().collect();
    let bytes = system.bytes(&new);
    system.named(written).unwrap();
    bytes
}

fn load(owned: &Owned, system: &System) -> Loaded {
    let root = system.root.clone().unwrap();
    System::load(owned.state.clone(), PARAMS, root).unwrap().1
}

#[test]
fn what_was_written_step_by_step_is_found_again_and_packs_stay_few() {
    let storage = MemoryStorage::new(1);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    step(&mut system, &mut state, &created("job", 5), &[]);
    for version in 1..=300 {
        let packs = [PackId(1), PackId(version as u32)];
        step(&mut system, &mut state, &moved("job", 5, version), &packs);
        assert!(owned.state.packs().len() <= STATE_PACKS);
        if version % 50 == 0 {
            let loaded = load(&owned, &system);
            assert_eq!(loaded.state, state);
            assert_eq!(loaded.packs, packs);
            let newest = loaded.pasts["job"].checkpoints.last();
            assert_eq!(newest.map(|point| point.version), Some(version));
        }
    }
    let removed = Record::Removed {
        namespace: "job".into(),
        incarnation: 5,
        owner: Principal::Uid(1),
        readers: Default::default(),
    };
    step(&mut system, &mut state, &removed, &[]);
    let loaded = load(&owned, &system);
    assert_eq!(loaded.state, state);
    assert!(loaded.pasts.is_empty());
}

#[test]
fn one_change_among_many_namespaces_writes_little() {
    let storage = MemoryStorage::new(2);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    let pasts: Vec<_> = (0..5_000)
        .map(|n| apply(&mut state, &created(&format!("n{n}"), 100 + n)))
        .collect();
    let changed = state.take_changed();
    let whole = system
        .write(&Snapshot {
            state: &state,
            changed: &changed,
            pasts: &pasts,
            packs: &[],
        })
        .unwrap();
    assert!(whole.root.whole_bytes > 500_000);
    system.named(whole).unwrap();
    let bytes = step(&mut system, &mut state, &moved("n77", 177, 1), &[]);
    assert!(bytes < 64 * 1024, "{bytes}");
    assert_eq!(load(&owned, &system).state, state);
}

#[test]
fn equal_states_have_equal_roots_however_they_came_about() {
    let root = |whole: bool| {
        let storage = MemoryStorage::new(3);
        let owned = owned(&storage);
        let mut system = System::new(owned.state.clone(), PARAMS);
        let mut state = State::new(&PARAMS);
        let mut pasts = Vec::new();
        for n in 0..200 {
            let record = created(&format!("n{n}"), 100 + n);
            if whole {
                pasts.push(apply(&mut state, &record));
            } else {
                step(&mut system, &mut state, &record, &[]);
            }
        }
        if whole {
            let changed = state.take_changed();
            let written = system.write(&Snapshot {
                state: &state,
                changed: &changed,
                pasts: &pasts,
                packs: &[],
            });
            system.named(written.unwrap()).unwrap();
        }
        system.root.map(|root| root.state)
    };
    assert_eq!(root(true), root(false));
}

#[test]
fn what_no_root_record_names_is_taken_back() {
    let storage = MemoryStorage::new(4);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    step(&mut system, &mut state, &created("job", 5), &[]);
    let before = owned.state.packs();
    let past = apply(&mut state, &moved("job", 5, 1));
    let changed = state.take_changed();
    let snapshot = Snapshot {
        state: &state,
        changed: &changed,
        pasts: &[past],
        packs: &[],
    };
    let written = system.write(&snapshot).unwrap();
    system.take_back(written);
    assert_eq!(owned.state.packs(), before);
    let written = system.write(&snapshot).unwrap();
    system.named(written).unwrap();
    assert_eq!(load(&owned, &system).state, state);
}

#[test]
fn what_is_missing_is_damage() {
    let storage = MemoryStorage::new(5);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    step(&mut system, &mut state, &created("job", 5), &[]);
    let root = system.root.clone().unwrap();
    owned.state.retain(&[]).unwrap();
    let error = System::load(owned.state, PARAMS, root).err().unwrap();
    assert_eq!(error.kind, crate::error::ErrorKind::Corrupt);
}

#[test]
fn nothing_is_relied_on_that_only_an_older_pack_holds() {
    let storage = MemoryStorage::new(6);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    // A pack that no root record names, with an object that the next checkpoint needs.
    let empty = Directory::empty();
    write_new(&*owned.state, &PARAMS, [&empty]).unwrap();
    step(&mut system, &mut state, &created("job", 5), &[]);
    assert_eq!(owned.state.packs().len(), 1);
    assert_eq!(load(&owned, &system).state, state);
}

#[test]
fn packs_that_are_mostly_of_no_use_are_replaced_by_one() {
    let storage = MemoryStorage::new(7);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    let mut most = 0;
    // Each is live until the next: fewer packs than `STATE_PACKS`, but large ones.
    let packs = |n: u32| (n..n + 50_000).map(PackId).collect::<Vec<_>>();
    for n in 0..40_u32 {
        let record = created(&format!("n{n}"), u64::from(n) + 1);
        step(&mut system, &mut state, &record, &packs(n * 7));
        let bytes: u64 = owned.state.packs().iter().map(|pack| pack.bytes).sum();
        most = most.max(bytes);
    }
    let whole = system.root.as_ref().unwrap().whole_bytes;
    assert!(most <= 3 * whole + STATE_WASTE_BYTES, "{most} of {whole}");
    assert_eq!(load(&owned, &system).packs, packs(39 * 7));
}

#[test]
fn epochs_checkpoints_and_trims_are_found_again() {
    let storage = MemoryStorage::new(8);
    let owned = owned(&storage);
    let mut system = System::new(owned.state.clone(), PARAMS);
    let mut state = State::new(&PARAMS);
    let mut number = 0;
    for (round, epochs) in [1, 3, crate::limits::EPOCHS as u64 + 2, 1]
        .iter()
        .enumerate()
    {
        for _ in 0..*epochs {
            number += 1;
            let info = GroupInfo {
                epoch: 1,
                group: state.group() + 1,
                time_ms: 1,
                age_ms: number,
            };
            let id = [u8::try_from(number % 200).unwrap(); 16];
            state.apply(info, &Record::Epoch { number, id }).unwrap();
            let root = Blobref::of(HashAlgorithm::Blake3, &number.to_be_bytes());
            let checkpointed = Record::Checkpointed {
                group: number,
                root,
            };
            state.apply(info, &checkpointed).unwrap();
            state.apply(info, &Record::Trimmed { to: number }).unwrap();
        }
        let record = created(&format!("n{round}"), round as u64 + 1);
        step(&mut system, &mut state, &record, &[]);
        assert_eq!(load(&owned, &system).state, state);
    }
}
