//! Large values: nothing of them is stored before their transaction is accepted, and everything
//! after.

use bytes::Bytes;
use kvs_engine::{
    At, CommitRequest, CrashVariant, DiskFault, ErrorKind, FaultPoint, Principal, SimDisk,
    SnapshotRef,
};
use kvs_tree::{Condition, Operation};

use crate::support::*;

/// A large value, different for each number.
fn large(number: usize) -> Bytes {
    format!("{number:08}").repeat(10_000).into()
}

/// The number of packs, and of unfinished ones without the reserved space.
fn packs(disk: &SimDisk) -> (usize, usize) {
    let files = disk.files();
    let names = files.iter().map(|file| file.to_string_lossy().into_owned());
    let of_trees = |name: &String| name.contains("/packs/") && !name.ends_with("space.tmp");
    let names: Vec<String> = names.filter(of_trees).collect();
    let ending = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
    (ending(".pack"), ending(".tmp"))
}

/// A request that puts an uploaded value.
async fn upload(sim: &Sim, at: &str, value: &Bytes) -> CommitRequest {
    let mut upload = sim.engine.upload(OWNER, "primary", 1 << 40).unwrap();
    let mut rest = value.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(1 << 20));
        upload.append(piece).await.unwrap();
    }
    let mut request = sim.request(vec![put(at, "")]);
    sim.engine.take_upload(upload, &mut request, 0).await;
    request
}

fn only_if_absent(mut request: CommitRequest, at: &str) -> CommitRequest {
    let condition = Condition::Absent { key: key(at) };
    request.transaction.conditions.push(condition);
    request
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_leaves_nothing() {
    let disk = SimDisk::unrecorded();
    let sim = Sim::with(config(), disk.clone()).await;
    sim.put("a", "1").await;
    let guest = Principal::Uid(4711);
    for round in 0..3 {
        let value = large(round);
        let mut foreign = sim.request(vec![put("b", value.clone())]);
        foreign.caller = guest;
        let mut missing = sim.request(vec![put("b", value.clone())]);
        missing.namespace = "nowhere".into();
        let failing = only_if_absent(sim.request(vec![put("b", value.clone())]), "a");
        let uploaded = only_if_absent(upload(&sim, "b", &value).await, "a");
        let own = Bytes::from(vec![b'o'; 17 << 20]);
        let alone = only_if_absent(upload(&sim, "b", &own).await, "a");
        let mut given_up = sim.request(vec![put("b", value.clone())]);
        given_up = sim.engine.stage(given_up).await.unwrap();
        drop(given_up);
        for (request, kind) in [
            (foreign, ErrorKind::Permission),
            (missing, ErrorKind::NoNamespace),
            (failing, ErrorKind::ConditionFailed),
            (uploaded, ErrorKind::ConditionFailed),
            (alone, ErrorKind::ConditionFailed),
        ] {
            let error = sim.engine.commit(request).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
        }
        assert_eq!(packs(&disk), (0, 0));
        let error = sim.engine.upload(guest, "primary", 1000).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Permission);
    }
    let before = disk.used();
    let mut foreign = sim.request(vec![put("b", large(9))]);
    foreign.caller = guest;
    let staged = sim.engine.stage(foreign).await.unwrap();
    assert_eq!(disk.used(), before, "nothing is staged without a right");
    assert!(sim.engine.commit(staged).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn large_values_of_one_group_share_a_pack() {
    let disk = SimDisk::unrecorded();
    let sim = Sim::with(config(), disk.clone()).await;
    sim.put("a", "1").await;
    for round in 0..4 {
        let mut requests = Vec::new();
        for number in 0..8 {
            let at = format!("k{number}");
            let request = sim.request(vec![put(&at, large(round * 100 + number))]);
            requests.push(sim.engine.stage(request).await.unwrap());
        }
        requests.push(upload(&sim, "up", &large(round * 100 + 50).repeat(20).into()).await);
        for answer in sim.submit_each(requests) {
            answer.await.unwrap();
        }
    }
    let (whole, unfinished) = packs(&disk);
    assert!((4..=8).contains(&whole) && unfinished == 0, "{whole} packs");
    let sim = sim.restart().await;
    for number in 0..8 {
        let found = sim.get(&format!("k{number}")).await.unwrap();
        assert_eq!(found, large(300 + number));
    }
    assert_eq!(sim.get("up").await.unwrap(), large(350).repeat(20));
}

#[tokio::test(start_paused = true)]
async fn a_value_can_be_built_on_before_it_is_in_a_pack() {
    let sim = Sim::with(config(), SimDisk::new()).await;
    let append = |at: &str, value: &'static str| Operation::Append {
        key: key(at),
        value: value.into(),
    };
    let own = Bytes::from(vec![b'o'; 17 << 20]);
    let mut requests = vec![
        sim.request(vec![put("a", large(1)), append("a", "and more")]),
        upload(&sim, "b", &own).await,
        upload(&sim, "c", &large(3).repeat(30).into()).await,
    ];
    for at in ["a", "b", "c"] {
        requests.push(sim.request(vec![append(at, "!")]));
    }
    let mut staged = Vec::new();
    for request in requests {
        staged.push(sim.engine.stage(request).await.unwrap());
    }
    for answer in sim.submit_each(staged) {
        answer.await.unwrap();
    }
    let expected = [
        ("a", [&large(1)[..], b"and more!"].concat()),
        ("b", [&own[..], b"!"].concat()),
        ("c", [&large(3).repeat(30)[..], b"!"].concat()),
    ];
    let killed = sim.disk.images_after(usize::MAX, CrashVariant::Lost);
    let again = Sim::with(config(), killed).await;
    for (at, value) in expected {
        assert_eq!(sim.get(at).await.unwrap(), value, "{at}");
        assert_eq!(again.get(at).await.unwrap(), value, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_value_again_needs_no_pack() {
    let disk = SimDisk::unrecorded();
    let sim = Sim::with(config(), disk.clone()).await;
    for number in 0..5 {
        sim.put(&format!("k{number}"), large(1)).await;
    }
    assert_eq!(packs(&disk).0, 1);
    let killed = sim.restart().await;
    assert_eq!(killed.get("k4").await.unwrap(), large(1));
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_beside_the_journal_the_store_goes_on_and_keeps_what_it_acknowledged() {
    let faults = [DiskFault::Io, DiskFault::NoSpace, DiskFault::NoDescriptors];
    for point in [
        FaultPoint::Create,
        FaultPoint::Write,
        FaultPoint::SyncData,
        FaultPoint::SyncDir,
        FaultPoint::Rename,
        FaultPoint::Allocate,
        FaultPoint::Remove,
    ] {
        for (after, fault) in (0..4).flat_map(|after| faults.map(|fault| (after, fault))) {
            for times in [1, 3] {
                let sim = Sim::with(config(), SimDisk::new()).await;
                sim.put("a", "1").await;
                sim.disk.fail_on(point, "packs", after, times, fault);
                let mut model = None;
                for number in 0..6 {
                    let request = match number % 2 {
                        0 => sim.request(vec![put("k", large(number))]),
                        _ => upload(&sim, "k", &large(number)).await,
                    };
                    if sim.engine.commit(request).await.is_ok() {
                        model = Some(large(number));
                    }
                    sim.put("small", format!("{number}")).await;
                    assert_eq!(sim.get("k").await, model, "{point:?} {after} {fault:?}");
                }
                sim.disk.clear_faults();
                sim.put("k", large(99)).await;
                let killed = sim.disk.images_after(usize::MAX, CrashVariant::Lost);
                let again = Sim::with(config(), killed).await;
                assert_eq!(again.get("k").await.unwrap(), large(99));
                assert_eq!(packs(&again.disk).1, 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_large_values_are_refused_and_others_are_not() {
    let sim = Sim::with(config(), SimDisk::unrecorded()).await;
    sim.put("k", large(0)).await;
    sim.disk.set_capacity(Some(sim.disk.used()));
    let mut refused = 0;
    for number in 1..60 {
        let request = sim.request(vec![put("k", large(number))]);
        let request = sim.engine.stage(request).await.unwrap();
        let small = sim.request(vec![put("small", format!("{number}"))]);
        let mut answers = sim.submit_each([request, small]).into_iter();
        if let Err(error) = answers.next().unwrap().await {
            assert_eq!(error.kind, ErrorKind::NoSpace);
            refused += 1;
        }
        answers.next().unwrap().await.unwrap();
    }
    assert!(refused > 30, "{refused}");
    sim.disk.set_capacity(None);
    sim.put("k", large(100)).await;
    let sim = sim.restart().await;
    assert_eq!(sim.get("k").await.unwrap(), large(100));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_the_journal_refuses_leaves_no_pack() {
    let disk = SimDisk::unrecorded();
    let sim = Sim::with(config(), disk.clone()).await;
    sim.put("k", large(1)).await;
    let before = packs(&disk);
    for round in 0..3 {
        disk.fail_on(FaultPoint::Write, "journal", 0, 1, DiskFault::Io);
        let request = sim.request(vec![put("k", large(2 + round))]);
        assert!(sim.engine.commit(request).await.is_err());
        assert_eq!(packs(&disk), before);
    }
    sim.put("k", large(2)).await;
    let sim = sim.restart().await;
    assert_eq!(sim.get("k").await.unwrap(), large(2));
}

#[tokio::test(start_paused = true)]
async fn power_cuts_lose_nothing_that_was_acknowledged_and_leave_no_orphans() {
    let disk = SimDisk::new();
    let mut config = config();
    config.checkpoint_bytes = 1500;
    let sim = Sim::with(config.clone(), disk.clone()).await;
    let mut acknowledged = vec![(disk.operations(), None)];
    for number in 1..10 {
        match number % 3 {
            0 => drop(
                sim.engine
                    .commit(upload(&sim, "k", &large(number)).await)
                    .await
                    .unwrap(),
            ),
            _ => drop(sim.put("k", large(number)).await),
        }
        acknowledged.push((disk.operations(), Some(large(number))));
        let refused = only_if_absent(sim.request(vec![put("k", large(1000 + number))]), "k");
        assert!(sim.engine.commit(refused).await.is_err());
        if number == 5 {
            let view = sim.view(At::Current).await;
            let (at, root) = (view.position(), view.root());
            let snapshot = SnapshotRef {
                namespace: NS.into(),
                version: at.version,
                root,
            };
            sim.engine.pin(OWNER, snapshot, None).await.unwrap();
        }
        sim.put("small", vec![b's'; 400]).await;
    }
    let mut points = disk.crash_points();
    loop {
        let at = points.operation();
        let newest = acknowledged.iter().filter(|(done, _)| *done <= at).count();
        for variant in [
            CrashVariant::Lost,
            CrashVariant::Kept,
            CrashVariant::Mixed(at as u64),
        ] {
            let image = points.image(variant);
            let sim = Sim::with(config.clone(), image.clone()).await;
            let found = sim.get("k").await;
            let possible = acknowledged.get(newest.saturating_sub(1)..).unwrap();
            let possible: Vec<_> = possible.iter().take(2).map(|(_, value)| value).collect();
            assert!(possible.contains(&&found), "at {at}");
            let (whole, unfinished) = packs(&image);
            assert_eq!(unfinished, 0);
            sim.engine.checkpoint().await.unwrap();
            let again = sim.restart().await;
            assert_eq!(again.get("k").await, found);
            assert!(packs(&image).0 <= whole + 1, "nothing was left unlisted");
        }
        if !points.advance() {
            break;
        }
    }
}
