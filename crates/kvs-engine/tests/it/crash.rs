//! Power cuts: at each operation of a recorded run, every kind of image that a power cut could
//! leave is opened. It must contain what was acknowledged, without holes, with the recorded roots.

use std::collections::BTreeMap;

use kvs_engine::{At, Committed, CrashVariant, EngineConfig, ErrorKind, SimDisk};
use kvs_tree::{Entry, Operation};

use crate::support::*;

type Model = BTreeMap<String, Vec<u8>>;

/// An acknowledged commit: the number of disk operations before it, the answer, and the state.
struct Acknowledged {
    operations: usize,
    request: kvs_engine::CommitRequest,
    committed: Committed,
    model: Model,
}

fn small() -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = 6 * 1024;
    config.retention.versions = 40;
    config.retention.time_ms = 0;
    config.retention.bytes = 256 * 1024;
    config
}

/// Makes a random change in the model and returns its operation.
fn change(random: &mut Random, model: &mut Model) -> Operation {
    let name = format!("d{}.k{}", random.below(3), random.below(20));
    match random.below(12) {
        0 => {
            let directory = format!("d{}", random.below(3));
            model.retain(|k, _| !k.starts_with(&format!("{directory}.")));
            unlink(&directory)
        }
        1 | 2 => {
            let more = vec![b'+'; random.below(200) as usize + 1];
            model.entry(name.clone()).or_default().extend(&more);
            Operation::Append {
                key: key(&name),
                value: more.into(),
            }
        }
        3 => {
            let value = vec![b'L'; 70_000];
            model.insert(name.clone(), value.clone());
            put(&name, value)
        }
        4 => {
            let moved: Vec<_> = model
                .iter()
                .filter_map(|(k, v)| Some((k.strip_prefix("d0.")?.to_owned(), v.clone())))
                .collect();
            if moved.is_empty() {
                return put("x", "");
            }
            model.retain(|k, _| !k.starts_with("d2."));
            model.extend(moved.into_iter().map(|(k, v)| (format!("d2.{k}"), v)));
            Operation::Copy {
                from: key("d0"),
                to: key("d2"),
            }
        }
        _ => {
            let value = vec![b'a' + random.below(26) as u8; random.below(300) as usize];
            model.insert(name.clone(), value.clone());
            put(&name, value)
        }
    }
}

async fn record(commits: u64, seed: u64) -> (SimDisk, Vec<Acknowledged>) {
    let disk = SimDisk::new();
    let sim = Sim::with(small(), disk.clone()).await;
    let (mut random, mut model) = (Random(seed), Model::new());
    let mut run = Vec::new();
    for _ in 0..commits {
        let operation = change(&mut random, &mut model);
        if let Operation::Put { key, .. } = &operation
            && key.as_str() == "x"
        {
            model.insert("x".into(), Vec::new());
        }
        let request = sim.request(vec![operation]);
        let committed = sim.engine.commit(request.clone()).await.unwrap();
        let operations = disk.operations();
        run.push(Acknowledged {
            operations,
            request,
            committed,
            model: model.clone(),
        });
    }
    (disk, run)
}

async fn content(sim: &Sim) -> Model {
    let view = sim.view(At::Current).await;
    let mut found = Model::new();
    for (key, entry) in view
        .list(&key("."), None, 10_000, true, None)
        .await
        .unwrap()
    {
        if let Entry::Value(value) = entry {
            let bytes = view.read(&value, 0..value.len()).await.unwrap();
            found.insert(key.to_string(), bytes.to_vec());
        }
    }
    found
}

/// Opens an image that was cut after `operations` and checks promises 1, 3 and 9.
async fn check(image: SimDisk, operations: usize, run: &[Acknowledged]) {
    let acknowledged = run.partition_point(|a| a.operations <= operations);
    let sim = Sim::with(small(), image).await;
    let newest = sim.position().await.version as usize;
    assert!(
        newest >= acknowledged,
        "version {newest} after {acknowledged} acknowledged"
    );
    assert!(
        newest <= acknowledged + 1,
        "a version that nobody asked for"
    );
    let model = match newest.checked_sub(1) {
        Some(at) => {
            assert_eq!(sim.view(At::Current).await.root(), run[at].committed.root);
            run[at].model.clone()
        }
        None => Model::new(),
    };
    assert_eq!(
        content(&sim).await,
        model,
        "the content of version {newest}"
    );
    let mut oldest = None;
    let mut from = 0;
    let mut expected = 0;
    loop {
        let log = sim
            .engine
            .log(OWNER, NS, from, u64::MAX, &[], 1000)
            .await
            .unwrap();
        if oldest.is_none() {
            oldest = Some(log.oldest);
            expected = log.oldest;
        }
        for entry in &log.entries {
            assert_eq!(entry.position.version, expected, "the log is contiguous");
            assert_eq!(entry.root, run[expected as usize - 1].committed.root);
            expected += 1;
        }
        match log.next {
            Some(next) => from = next,
            None => break,
        }
    }
    let oldest = oldest.unwrap();
    assert_eq!(expected, newest as u64 + 1);
    if oldest > 1 {
        let gone = sim.engine.view(OWNER, NS, At::Version(oldest - 2)).await;
        assert_eq!(gone.err().map(|e| e.kind), Some(ErrorKind::Compacted));
    }
    let old = sim
        .view(At::Version((oldest - 1 + newest as u64) / 2))
        .await;
    if let Some(at) = (old.position().version as usize).checked_sub(1) {
        assert_eq!(old.root(), run[at].committed.root);
    }
    if let Some(last) = run.get(acknowledged.wrapping_sub(1)) {
        let again = sim.engine.commit(last.request.clone()).await.unwrap();
        assert_eq!(
            again.position.version, last.committed.position.version,
            "once"
        );
    }
    sim.forget_numbers();
    sim.put("after", "recovery").await;
    assert_eq!(sim.get("after").await.unwrap(), "recovery");
}

#[tokio::test(start_paused = true)]
async fn every_image_of_a_power_cut_recovers_what_was_acknowledged() {
    let (disk, run) = record(220, 1).await;
    let mut points = disk.crash_points();
    let mut images = 0;
    let mut seed = 0;
    loop {
        let operations = points.operation();
        seed += 2;
        for variant in [
            CrashVariant::Lost,
            CrashVariant::Torn(seed),
            CrashVariant::Mixed(seed + 1),
        ] {
            check(points.image(variant), operations, &run).await;
            images += 1;
        }
        if !points.advance() {
            break;
        }
    }
    let last = run.last().unwrap();
    check(points.image(CrashVariant::Kept), last.operations, &run).await;
    let packs = disk
        .files()
        .iter()
        .filter(|f| f.to_string_lossy().contains("pack"))
        .count();
    assert!(
        images > 1_500 && packs > 3,
        "{images} images, {packs} packs"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_recovers_from_a_power_cut_during_recovery() {
    let (disk, run) = record(60, 2).await;
    let image = disk.images_after(usize::MAX, CrashVariant::Mixed(5));
    let sim = Sim::with(small(), image.clone()).await;
    drop(sim);
    let mut points = image.crash_points();
    loop {
        for variant in [CrashVariant::Lost, CrashVariant::Torn(3)] {
            check(points.image(variant), usize::MAX, &run).await;
        }
        if !points.advance() {
            break;
        }
    }
}
