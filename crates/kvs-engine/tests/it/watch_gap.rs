//! Watches that were away too long: a gap, then differences or the state; and catching up from far
//! behind.

use kvs_engine::{At, SimDisk, Start, WatchEvent};

use crate::support::*;

fn after(version: u64) -> Start {
    Start::Version {
        incarnation: None,
        version: version + 1,
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_differences_are_told_if_the_old_state_can_still_be_read() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    sim.commit(vec![put("d.kept", "1"), put("d.gone", "2")])
        .await;
    let view = sim.view(At::Current).await;
    let pin = sim.engine.pin(OWNER, view.snapshot(), None).await.unwrap();
    for n in 0..2000 {
        sim.put("d.moving", n.to_string()).await;
    }
    sim.commit(vec![unlink("d.gone")]).await;
    let sim = sim.restart().await;
    let mut watch = sim.watch(&["d"], after(view.position().version));
    let events = drain(&mut watch).await;
    assert!(matches!(events[0], WatchEvent::Gap { .. }));
    assert!(matches!(
        events[1],
        WatchEvent::Initial {
            differences: true,
            last: true,
            ..
        }
    ));
    assert_eq!(told(&events[1]), ["unlink d.gone", "put d.moving=1999"]);
    sim.put("d.moving", "on").await;
    assert_eq!(changes(&mut watch).await, ["put d.moving=on"]);
    sim.engine.unpin(OWNER, pin.id).await.unwrap();
    for n in 0..2000 {
        sim.put("d.moving", n.to_string()).await;
    }
    let sim = sim.restart().await;
    let mut watch = sim.watch(&["d"], after(view.position().version));
    let events = drain(&mut watch).await;
    assert!(matches!(
        events[1],
        WatchEvent::Initial {
            differences: false,
            ..
        }
    ));
    let whole = ["mkdir d", "put d.kept=1", "put d.moving=1999"];
    assert_eq!(told(&events[1]), whole);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_under_constant_trimming_comes_ever_nearer() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    for page in 0..5 {
        let names = (0..500).map(|n| put(&format!("d.k{:04}", page * 500 + n), "v"));
        sim.commit(names.collect()).await;
    }
    for n in 0..2000 {
        sim.put("d.moving", n.to_string()).await;
    }
    let sim = sim.restart().await;
    let mut watch = sim.watch(&["d"], after(0));
    let mut copied = std::collections::BTreeMap::new();
    let (mut gaps, mut whole) = (0, 0);
    for round in 0..12 {
        // Every part takes so long that what follows it is trimmed meanwhile.
        if round < 8 {
            for n in 0..700 {
                sim.put("d.moving", vec![b'x'; 300 + round * 20 + n % 3])
                    .await;
            }
            sim.engine.checkpoint().await.unwrap();
        }
        let Some(event) = watch.next().await.unwrap() else {
            break;
        };
        match event.event() {
            WatchEvent::Gap { .. } => gaps += 1,
            WatchEvent::Initial {
                differences, last, ..
            } => whole += usize::from(!differences && *last),
            WatchEvent::Changes { .. } => {}
        }
        copied.extend(told(event.event()).into_iter().map(|one| (one, ())));
    }
    assert!(gaps >= 1);
    assert_eq!(whole, 1, "the whole state is listed once");
    drain(&mut watch).await;
    assert_eq!(watch.position(), sim.position().await);
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_namespace_is_a_gap_and_a_fresh_listing() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    let start = Start::Version {
        incarnation: Some(4711),
        version: 9,
    };
    let mut watch = sim.watch(&["a"], start);
    let events = drain(&mut watch).await;
    let WatchEvent::Gap { from, to } = events[0] else {
        panic!()
    };
    assert_eq!((from.incarnation, from.version), (4711, 8));
    assert_eq!(to, sim.position().await);
    assert_eq!(told(&events[1]), ["put a=1"]);
    sim.put("a", "2").await;
    assert_eq!(changes(&mut watch).await, ["put a=2"]);
}

#[tokio::test(start_paused = true)]
async fn the_few_versions_that_concern_a_watch_are_found_in_a_long_journal() {
    let mut config = config();
    config.segment_bytes = Some(64 * 1024);
    let sim = Sim::with(config, SimDisk::unrecorded()).await;
    let filler = vec![b'x'; 3000];
    let mut expected = Vec::new();
    for n in 0..4000 {
        if n % 400 == 7 {
            sim.put("rare.key", n.to_string()).await;
            expected.push(format!("put rare.key={n}"));
        } else {
            sim.put(&format!("busy.k{}", n % 50), filler.clone()).await;
        }
    }
    for scope in ["rare.key", "rare.*", "**.key"] {
        let mut watch = sim.watch(&[scope], after(0));
        assert_eq!(changes(&mut watch).await, expected, "{scope}");
        assert_eq!(watch.position().version, 4000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_begins_no_earlier_than_the_watch_was_to() {
    let mut config = trimming(50);
    config.segment_bytes = Some(1024 * 1024);
    config.checkpoint_bytes = 1024 * 1024;
    config.retention.bytes = 4 * 1024 * 1024;
    let sim = Sim::with(config, SimDisk::unrecorded()).await;
    sim.put("a", "1").await;
    let mut watch = sim.watch(&["a"], after(3));
    for n in 0..170_u8 {
        sim.put("a", vec![n; 60_000]).await;
    }
    sim.engine.checkpoint().await.unwrap();
    let WatchEvent::Gap { from, .. } = one(&mut watch).await else {
        panic!()
    };
    assert_eq!(from.version, 3);
}
