//! Commits: durability, order, merging, exactly once.

use kvs_engine::{At, CrashVariant, Durability, ErrorKind, Position, SimDisk, Start, WatchEvent};
use kvs_tree::{Condition, Operation, OperationResult};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_commit_is_read_back_and_survives_a_restart() {
    let sim = Sim::new().await;
    let committed = sim.put("a.b", "1").await;
    assert_eq!(committed.position.version, 1);
    assert_eq!(sim.get("a.b").await.unwrap(), "1");
    let sim = sim.restart().await;
    assert_eq!(sim.get("a.b").await.unwrap(), "1");
    assert_eq!(sim.view(At::Current).await.root(), committed.root);
    assert_eq!(sim.position().await, committed.position);
}

#[tokio::test(start_paused = true)]
async fn pipelined_commits_to_one_key_each_get_a_version() {
    let sim = Sim::new().await;
    let mut watch = sim.watch(&["k"], Start::Now);
    let answers: Vec<_> = (0..500)
        .map(|n| {
            sim.engine
                .submit(sim.request(vec![put("k", n.to_string())]))
        })
        .collect();
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().position.version, n as u64 + 1);
    }
    let expected: Vec<_> = (0..500).map(|n| format!("put k={n}")).collect();
    assert_eq!(changes(&mut watch).await, expected);
}

#[tokio::test(start_paused = true)]
async fn pipelined_commits_to_different_keys_share_versions_and_lose_nothing() {
    let sim = Sim::new().await;
    sim.commit(vec![Operation::Mkdir { key: key("d") }]).await;
    let mut watch = sim.watch(&["d"], Start::Now);
    let answers: Vec<_> = (0..300)
        .map(|n| {
            let operations = vec![put(&format!("d.k{}", n % 50), n.to_string())];
            sim.engine.submit(sim.request(operations))
        })
        .collect();
    let mut last = 0;
    for answer in answers {
        last = answer.await.unwrap().position.version;
    }
    assert!(last < 50, "{last} versions");
    let mut told = changes(&mut watch).await;
    told.sort();
    let mut expected: Vec<_> = (0..300).map(|n| format!("put d.k{}={n}", n % 50)).collect();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_asks_for_it_shares_its_version_with_none() {
    let sim = Sim::new().await;
    let mut answers = Vec::new();
    for n in 0..4 {
        let mut request = sim.request(vec![put(&format!("k{n}"), "")]);
        request.no_merge = n == 1;
        answers.push(sim.engine.submit(request));
    }
    let mut versions = Vec::new();
    for answer in answers {
        versions.push(answer.await.unwrap().position.version);
    }
    assert_eq!(versions, [1, 2, 3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_condition_leaves_no_trace_and_harms_no_neighbour() {
    let sim = Sim::new().await;
    let mut refused = sim.request(vec![put("a", "no")]);
    refused
        .transaction
        .conditions
        .push(Condition::Present { key: key("b") });
    let first = sim.engine.submit(sim.request(vec![put("x", "1")]));
    let second = sim.engine.submit(refused);
    let third = sim.engine.submit(sim.request(vec![put("y", "2")]));
    assert_eq!(first.await.unwrap().position.version, 1);
    assert_eq!(second.await.unwrap_err().kind, ErrorKind::ConditionFailed);
    assert_eq!(third.await.unwrap().position.version, 1);
    assert_eq!(sim.get("a").await, None);
}

#[tokio::test(start_paused = true)]
async fn unchanged_compares_with_versions_that_memory_no_longer_holds() {
    let sim = Sim::new().await;
    sim.put("a", "old").await;
    for n in 0..400 {
        sim.put("b", n.to_string()).await;
    }
    let mut request = sim.request(vec![put("a", "new")]);
    request.transaction.conditions.push(Condition::Unchanged {
        key: key("a"),
        since: 1,
    });
    sim.engine.commit(request).await.unwrap();
    let mut request = sim.request(vec![put("a", "newer")]);
    request.transaction.conditions.push(Condition::Unchanged {
        key: key("a"),
        since: 1,
    });
    assert_eq!(
        sim.engine.commit(request).await.unwrap_err().kind,
        ErrorKind::ConditionFailed
    );
    assert_eq!(sim.get("a").await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_transaction_takes_effect_once_and_gets_the_first_answer() {
    let sim = Sim::new().await;
    let request = sim.request(vec![Operation::Add {
        key: key("n"),
        delta: 1,
    }]);
    let mut repeat = request.clone();
    repeat.repeat = Some(sim.position().await);
    // In the same group, then published, then after a restart.
    let (first, again) = (
        sim.engine.submit(request),
        sim.engine.submit(repeat.clone()),
    );
    let first = first.await.unwrap();
    assert_eq!(first.results, [OperationResult::Added(1)]);
    assert_eq!(again.await.unwrap(), first);
    assert_eq!(sim.engine.commit(repeat.clone()).await.unwrap(), first);
    let sim = sim.restart().await;
    assert_eq!(sim.engine.commit(repeat).await.unwrap(), first);
    assert_eq!(sim.get("n").await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_for_another_incarnation_is_never_executed() {
    let sim = Sim::new().await;
    let mut request = sim.request(vec![put("a", "1")]);
    request.repeat = Some(Position {
        incarnation: 12345,
        version: 0,
    });
    assert_eq!(
        sim.engine.commit(request).await.unwrap_err().kind,
        ErrorKind::OutcomeUnknown
    );
    assert_eq!(sim.get("a").await, None);
}

#[tokio::test(start_paused = true)]
async fn large_values_go_through_a_pack_and_survive() {
    let sim = Sim::new().await;
    let value: Vec<u8> = (0..300_000u32).map(|n| (n * 7 % 251) as u8).collect();
    sim.put("big", value.clone()).await;
    assert_eq!(sim.get("big").await.unwrap(), value);
    let sim = sim.restart().await;
    assert_eq!(sim.get("big").await.unwrap(), value);
    sim.commit(vec![Operation::Append {
        key: key("big"),
        value: "tail".into(),
    }])
    .await;
    let sim = sim.restart().await;
    let read = sim.get("big").await.unwrap();
    assert_eq!((read.len(), &read[300_000..]), (300_004, &b"tail"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_tree_object_that_was_shown_can_be_put_elsewhere() {
    let sim = Sim::new().await;
    sim.commit(vec![put("a.b.c", "1"), put("a.d", vec![7; 500])])
        .await;
    let view = sim.view(At::Current).await;
    for source in ["a", "a.d"] {
        let entry = view
            .lookup(&key(source), false)
            .await
            .unwrap()
            .unwrap()
            .entry;
        let object = view.tree_object(&entry).await.unwrap();
        let at = key(&format!("copy.{source}"));
        sim.commit(vec![Operation::PutObject {
            key: at,
            object: object.into(),
        }])
        .await;
    }
    let sim = sim.restart().await;
    assert_eq!(sim.get("copy.a.b.c").await.unwrap(), "1");
    assert_eq!(sim.get("copy.a.d").await.unwrap(), vec![7; 500]);
    let unknown = br#"{"data":["blake3-0000000000000000000000000000000000000000000000000000000000000000"],"type":"dirref","ver":1}"#;
    let request = sim.request(vec![Operation::PutObject {
        key: key("x"),
        object: unknown.to_vec().into(),
    }]);
    assert_eq!(
        sim.engine.commit(request).await.unwrap_err().kind,
        ErrorKind::BadObject
    );
}

#[tokio::test(start_paused = true)]
async fn weaker_durability_ends_the_incarnation_on_an_unclean_start_only() {
    let mut config = config();
    config.durability = Durability::Interval;
    let disk = SimDisk::new();
    let sim = Sim::with(config.clone(), disk.clone()).await;
    let committed = sim.put("a", "1").await;
    let sim = sim.restart().await;
    assert_eq!(
        sim.position().await,
        committed.position,
        "a clean stop loses nothing"
    );
    sim.put("a", "2").await;
    let killed = disk.images_after(usize::MAX, CrashVariant::Kept);
    let sim = Sim::with(config, killed).await;
    let position = sim.position().await;
    assert_eq!(position.version, 2);
    assert_ne!(position.incarnation, committed.position.incarnation);
    let mut watch = sim.watch(
        &["a"],
        Start::Version {
            incarnation: Some(committed.position.incarnation),
            version: 2,
        },
    );
    let events = drain(&mut watch).await;
    assert!(matches!(events[0], WatchEvent::Gap { from, to }
        if from.incarnation == committed.position.incarnation && to == position));
    assert_eq!(told(&events[1]), ["put a=2"]);
}
