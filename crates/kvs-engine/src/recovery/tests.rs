//! Recovery of journals whose records differ from what was done.

use crate::request::Principal;
use std::sync::Arc;

use kvs_tree::{Ctx, Effect, Key, replay};

use crate::archive::Rebuild;
use crate::config::EngineConfig;
use crate::env::Environment;
use crate::error::EngineError;
use crate::journal::{Append, Appended};
use crate::limits::REPLAY_BATCH;
use crate::reference::PRIMARY;
use crate::state::{Group, Record, TransactionRecord, VersionRecord};
use kvs_storage::{LocalStorage, SimDisk};

fn open(config: &EngineConfig, env: &Environment) -> Result<super::Recovered, EngineError> {
    super::open(&LocalStorage::new(env, config.local()), config, env, None)
}

fn transaction(number: u64) -> TransactionRecord {
    TransactionRecord {
        principal: Principal::Uid(0),
        client: [1; 16],
        number,
        acknowledged: 0,
        name: None,
        results: Vec::new(),
        operations: 1,
        effects: vec![Effect::Put {
            key: Key::parse(&format!("a{}", number % 7)).unwrap(),
            value: number.to_string().into(),
            subtree: false,
        }],
    }
}

/// A journal of `versions` puts, in which the record of `wrong` has a wrong root.
fn store(versions: u64, wrong: Option<u64>) -> (EngineConfig, Environment) {
    let env = Environment::simulated(SimDisk::unrecorded(), 3);
    let config = EngineConfig::new("/store", 0);
    let recovered = open(&config, &env).unwrap();
    let namespace = recovered.store.namespace(PRIMARY).unwrap();
    let objects = &recovered.store.objects;
    let params = objects.params();
    let mut directory = namespace.published().directory.clone();
    let mut journal = recovered.journal;
    let empty = directory.seal(params);
    for version in 1..=versions {
        let transaction = transaction(version);
        let ctx = Ctx {
            source: objects.as_ref(),
            params,
        };
        directory = replay(&directory, &ctx, &transaction.effects).unwrap();
        let right = directory.seal(params);
        let record = VersionRecord {
            namespace: PRIMARY.into(),
            incarnation: namespace.incarnation,
            version,
            root: if wrong == Some(version) { empty } else { right },
            time_ms: 1,
            stamp: version,
            transactions: vec![transaction],
        };
        let group = Group {
            age_ms: 1,
            time_ms: 1,
            epoch: 1,
            records: vec![Record::Version(Arc::new(record))],
        };
        let appended = journal.append(Append {
            after: version - 1,
            id: version,
            payload: &group.encode().unwrap(),
            sync: true,
        });
        assert!(matches!(appended, Appended::Done(number) if number == version));
    }
    (config, env)
}

#[test]
fn a_journal_is_replayed_to_its_last_version() {
    let (config, env) = store(500, None);
    let recovered = open(&config, &env).unwrap();
    let namespace = recovered.store.namespace(PRIMARY).unwrap();
    assert_eq!(namespace.position().version, 500);
    assert_eq!(recovered.replayed.1, 500);
    // Versions before the last can be read; their roots are rebuilt.
    for version in [0, 1, 250, 499, 500] {
        let root = recovered.store.archive.root(&namespace, version).unwrap();
        assert_eq!(root.version, version);
    }
}

#[test]
fn an_old_root_is_rebuilt_in_steps() {
    let versions = 3 * REPLAY_BATCH as u64 + 10;
    let (mut config, env) = store(versions, None);
    // No checkpoint in the middle to start from.
    config.checkpoint_versions = u64::MAX;
    let recovered = open(&config, &env).unwrap();
    let namespace = recovered.store.namespace(PRIMARY).unwrap();
    let archive = &recovered.store.archive;
    let whole = archive.root(&namespace, 2).unwrap();
    let mut found = archive.find_root(&namespace, versions - 1).unwrap();
    let mut steps = 0;
    let root = loop {
        match found {
            Rebuild::Done(root) => break root,
            Rebuild::Going(rest) => found = archive.rebuild(&namespace, rest).unwrap(),
        }
        steps += 1;
    };
    assert!(steps >= 3, "{steps} steps");
    assert_eq!((whole.version, root.version), (2, versions - 1));
}

#[test]
fn a_wrong_root_at_the_end_of_a_batch_stops_recovery_and_names_its_version() {
    let (config, env) = store(500, Some(500));
    let error = open(&config, &env).err().unwrap().to_string();
    assert!(
        error.contains("replay of version 500 of namespace primary gives root"),
        "{error}"
    );
}

#[test]
fn a_wrong_root_inside_a_batch_is_found_when_it_is_read() {
    let (config, env) = store(500, Some(300));
    let recovered = open(&config, &env).unwrap();
    let namespace = recovered.store.namespace(PRIMARY).unwrap();
    assert_eq!(namespace.position().version, 500);
    let error = recovered.store.archive.root(&namespace, 300).err().unwrap();
    assert!(error.to_string().contains("version 300"), "{error}");
}
