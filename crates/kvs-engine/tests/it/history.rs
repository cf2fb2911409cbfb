//! Histories: the answers that concurrent clients got must agree with one order of all
//! transactions, the one in the log, and each state that was read must be the state that this order
//! gives at the version it reports.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kvs_engine::{At, CommitRequest, Start, WatchEvent};
use kvs_tree::{Condition, Entry, Operation, OperationResult};

use crate::support::*;

type Model = BTreeMap<String, String>;

/// The model's answer: results, or `None` for a refusal.
fn apply(model: &mut Model, request: &CommitRequest) -> Option<Vec<OperationResult>> {
    for condition in &request.transaction.conditions {
        let holds = match condition {
            Condition::Absent { key } => !model.contains_key(key.as_str()),
            Condition::Present { key } => model.contains_key(key.as_str()),
            Condition::Equals { key, value } => model
                .get(key.as_str())
                .is_some_and(|v| v.as_bytes() == value.as_ref()),
            Condition::Unchanged { .. } => unreachable!("not used here"),
        };
        if !holds {
            return None;
        }
    }
    let mut next = model.clone();
    let mut results = Vec::new();
    for operation in &request.transaction.operations {
        let mut result = OperationResult::Done;
        match operation {
            Operation::Put { key, value } => {
                next.insert(key.to_string(), String::from_utf8_lossy(value).into_owned());
            }
            Operation::Append { key, value } => {
                next.entry(key.to_string())
                    .or_default()
                    .push_str(&String::from_utf8_lossy(value));
            }
            Operation::Unlink { key } => {
                next.remove(key.as_str());
            }
            Operation::Add { key, delta } => {
                let old = next
                    .get(key.as_str())
                    .map_or(Some(0), |v| v.parse::<i64>().ok())?;
                result = OperationResult::Added(old + delta);
                next.insert(key.to_string(), (old + delta).to_string());
            }
            _ => unreachable!("not used here"),
        }
        results.push(result);
    }
    *model = next;
    Some(results)
}

fn random_request(sim: &Sim, random: &mut Random) -> CommitRequest {
    let name = |random: &mut Random| key(&format!("d.k{}", random.below(6)));
    let count = |random: &mut Random| key(&format!("d.n{}", random.below(2)));
    let mut operations = Vec::new();
    for _ in 0..=random.below(2) {
        let value = random.below(100).to_string();
        operations.push(match random.below(5) {
            0 => Operation::Append {
                key: name(random),
                value: value.into(),
            },
            1 => Operation::Unlink { key: name(random) },
            2 => Operation::Add {
                key: count(random),
                delta: 1,
            },
            _ => Operation::Put {
                key: name(random),
                value: value.into(),
            },
        });
    }
    let mut request = sim.request(operations);
    match random.below(6) {
        0 => request
            .transaction
            .conditions
            .push(Condition::Absent { key: name(random) }),
        1 => request
            .transaction
            .conditions
            .push(Condition::Present { key: name(random) }),
        2 => {
            let value = random.below(100).to_string().into();
            request.transaction.conditions.push(Condition::Equals {
                key: name(random),
                value,
            });
        }
        _ => {}
    }
    request
}

async fn content(sim: &Sim, at: At) -> (u64, Model) {
    let view = sim.view(at).await;
    let mut found = Model::new();
    for (key, entry) in view.list(&key("."), None, 1000, true, None).await.unwrap() {
        if let Entry::Value(value) = entry {
            let bytes = view.read(&value, 0..value.len()).await.unwrap();
            found.insert(
                key.to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            );
        }
    }
    (view.position().version, found)
}

async fn run(seed: u64) {
    let sim = Arc::new(Sim::new().await);
    sim.commit(vec![Operation::Mkdir { key: key("d") }]).await;
    let mut watch = sim.watch(&["d.*"], Start::Now);
    let mut clients = Vec::new();
    for client in 0..4 {
        let sim = sim.clone();
        clients.push(tokio::spawn(async move {
            let mut random = Random(seed * 1000 + client);
            let (mut told, mut read) = (Vec::new(), Vec::new());
            for _ in 0..12 {
                let burst: Vec<_> = (0..=random.below(8))
                    .map(|_| random_request(&sim, &mut random))
                    .collect();
                let answers: Vec<_> = burst.iter().map(|r| sim.engine.submit(r.clone())).collect();
                let mut newest = 0;
                for (request, answer) in burst.into_iter().zip(answers) {
                    let answer = answer.await;
                    newest = answer
                        .as_ref()
                        .map_or(newest, |c| newest.max(c.position.version));
                    told.push((request, answer));
                }
                let (version, model) = content(&sim, At::Current).await;
                assert!(
                    version >= newest,
                    "a read is not older than what was acknowledged"
                );
                read.push((version, model));
                if random.below(3) == 0 {
                    tokio::task::yield_now().await;
                }
            }
            (told, read)
        }));
    }
    let (mut told, mut reads) = (HashMap::new(), Vec::new());
    for client in clients {
        let (answers, read) = client.await.unwrap();
        told.extend(
            answers
                .into_iter()
                .map(|(request, answer)| (request.id.number, (request, answer))),
        );
        reads.extend(read);
    }
    let log = sim
        .engine
        .log(OWNER, NS, 2, u64::MAX, &[], 1000)
        .await
        .unwrap();
    let (mut model, mut states) = (Model::new(), BTreeMap::new());
    states.insert(1, model.clone());
    for entry in &log.entries {
        for transaction in &entry.transactions {
            let (request, answer) = told.remove(&transaction.number).unwrap();
            let committed = answer.unwrap();
            assert_eq!(committed.position, entry.position, "seed {seed}");
            assert_eq!(committed.root, entry.root);
            assert_eq!(
                apply(&mut model, &request),
                Some(committed.results),
                "seed {seed}"
            );
        }
        states.insert(entry.position.version, model.clone());
    }
    assert!(
        told.values().all(|(_, answer)| answer.is_err()),
        "seed {seed}: an unlogged commit"
    );
    for (version, found) in reads {
        assert_eq!(found, states[&version], "seed {seed}, version {version}");
    }
    for (&version, expected) in &states {
        assert_eq!(
            content(&sim, At::Version(version)).await.1,
            *expected,
            "seed {seed}"
        );
    }
    let mut seen = 1;
    for event in drain(&mut watch).await {
        let WatchEvent::Changes { position, .. } = event else {
            panic!()
        };
        assert!(position.version > seen, "ordered and unique");
        seen = position.version;
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_clients_see_one_order() {
    for seed in 0..30 {
        run(seed).await;
    }
}
