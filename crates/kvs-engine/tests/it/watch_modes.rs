//! Modes of watches: latest, append, unique, without values, with previous values; and what watches
//! share.

use std::future::Future;
use std::sync::Arc;

use kvs_engine::{ChangeKind, ChangeValue, KeyChange, Mode, Start, WatchEvent, WatchRequest};
use kvs_tree::{Operation, Scope, Symlink};

use crate::support::*;

fn append(at: &str, value: impl Into<bytes::Bytes>) -> Operation {
    Operation::Append {
        key: key(at),
        value: value.into(),
    }
}

fn request(scope: &str, mode: Mode) -> WatchRequest {
    WatchRequest {
        mode,
        ..WatchRequest::new(vec![Scope::parse(scope).unwrap()], Start::Now)
    }
}

fn changed(event: &WatchEvent) -> &[KeyChange] {
    match event {
        WatchEvent::Changes { changes, .. } => changes,
        WatchEvent::Initial { entries, .. } => entries,
        WatchEvent::Gap { .. } => &[],
    }
}

#[tokio::test(start_paused = true)]
async fn latest_tells_the_newest_state_and_how_many_versions_were_passed_over() {
    let sim = Sim::new().await;
    let mut watch = sim.watch_as(request("a", Mode::Latest));
    assert!(drain(&mut watch).await.is_empty());
    for n in 1..=5 {
        sim.put("a", n.to_string()).await;
        sim.put("other", n.to_string()).await;
    }
    let WatchEvent::Changes {
        position,
        skipped,
        last,
        ref changes,
        ..
    } = one(&mut watch).await
    else {
        panic!()
    };
    assert_eq!((position.version, skipped, last), (9, 4, true));
    assert_eq!(changes[0].value, ChangeValue::Inline("5".into()));
    assert!(drain(&mut watch).await.is_empty());
    assert_eq!(watch.position().version, 10);
    sim.put("a", "6").await;
    let WatchEvent::Changes { skipped, .. } = one(&mut watch).await else {
        panic!()
    };
    assert_eq!(skipped, 0);
}

#[tokio::test(start_paused = true)]
async fn latest_sees_what_an_operation_on_an_ancestor_did_and_far_more_keys_than_a_part_holds() {
    let sim = Sim::new().await;
    let names = (0..2500).map(|n| put(&format!("d.k{n:04}"), "v"));
    sim.commit(names.collect()).await;
    let mut watch = sim.watch_as(request("d", Mode::Latest));
    assert!(drain(&mut watch).await.is_empty());
    sim.commit(vec![unlink("d")]).await;
    sim.put("d.k0001", "v").await;
    let events = drain(&mut watch).await;
    assert!(events.len() > 1, "in parts");
    let told: Vec<_> = events.iter().flat_map(told).collect();
    assert_eq!(told.len(), 2499, "one key is as it was");
    assert!(told.iter().all(|one| one.starts_with("unlink d.k")));
}

#[tokio::test(start_paused = true)]
async fn append_tells_new_bytes_with_their_offsets_and_replacements_as_such() {
    let sim = Sim::new().await;
    sim.put("log", "hello ").await;
    let mut watch = sim.watch_as(request("log", Mode::Append { offset: 2 }));
    sim.commit(vec![append("log", "big ")]).await;
    sim.commit(vec![append("log", "wide "), append("log", "world")])
        .await;
    sim.put("log", "new").await;
    sim.commit(vec![append("log", "er")]).await;
    sim.commit(vec![unlink("log")]).await;
    let events = drain(&mut watch).await;
    let told: Vec<_> = events
        .iter()
        .flat_map(changed)
        .map(|c| (c.kind, c.offset, c.appended.clone(), c.value.clone()))
        .collect();
    let grown = |offset, bytes: &'static str| {
        (
            ChangeKind::Append,
            Some(offset),
            Some(bytes.into()),
            ChangeValue::None,
        )
    };
    let whole = ChangeValue::Inline("new".into());
    assert_eq!(
        told,
        [
            grown(2, "llo "),
            grown(6, "big "),
            grown(10, "wide "),
            grown(15, "world"),
            (ChangeKind::Put, Some(0), None, whole),
            grown(3, "er"),
            (ChangeKind::Unlink, None, None, ChangeValue::None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn large_appends_come_in_pieces_and_add_up() {
    let sim = Sim::new().await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    sim.put("log", bytes[..150_000].to_vec()).await;
    let mut watch = sim.watch_as(request("log", Mode::Append { offset: 0 }));
    sim.commit(vec![append("log", bytes[150_000..].to_vec())])
        .await;
    let mut had = Vec::new();
    let mut lasts = 0;
    for event in drain(&mut watch).await {
        for change in changed(&event) {
            assert_eq!(change.offset, Some(had.len() as u64));
            assert!(change.appended.as_ref().unwrap().len() <= 64 * 1024);
            had.extend_from_slice(change.appended.as_ref().unwrap());
            assert_eq!(change.more, ![150_000, 300_000].contains(&had.len()));
        }
        lasts += usize::from(matches!(event, WatchEvent::Changes { last: true, .. }));
    }
    assert_eq!(had, bytes);
    assert_eq!(lasts, 2, "the missing part, and the append");
}

#[tokio::test(start_paused = true)]
async fn each_append_of_a_transaction_is_told_for_itself_however_long_it_is() {
    let sim = Sim::new().await;
    sim.put("log", "").await;
    let mut watch = sim.watch_as(request("log", Mode::Append { offset: 0 }));
    let lengths = [3_usize, 0, 65_536, 70_000, 1, 200_000];
    let appends = lengths
        .iter()
        .map(|length| append("log", vec![b'x'; *length]));
    sim.commit(appends.collect()).await;
    let (mut had, mut ends) = (0, Vec::new());
    for event in drain(&mut watch).await {
        for change in changed(&event) {
            assert_eq!(
                (change.kind, change.offset),
                (ChangeKind::Append, Some(had))
            );
            had += change.appended.as_ref().unwrap().len() as u64;
            if !change.more {
                ends.push(had);
            }
        }
    }
    assert_eq!(ends, [3, 3, 65_539, 135_539, 135_540, 335_540]);
    // Where each version counts as one, they add up.
    let mut every = sim.watch(&["log"], Start::Now);
    sim.commit(vec![append("log", "a"), append("log", "b")])
        .await;
    let event = one(&mut every).await;
    let appended: Vec<_> = changed(&event).iter().map(|c| c.appended.clone()).collect();
    assert_eq!(appended, [Some("ab".into())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_to_a_value_that_was_made_anew_is_the_whole_of_it() {
    let put_first = |at: &str| vec![put(at, "new"), append(at, "er")];
    let cases = [
        put_first("d.log"),
        vec![
            append("d.log", "lost"),
            unlink("d.log"),
            append("d.log", "newer"),
        ],
        vec![unlink("d"), append("d.log", "new"), append("d.log", "er")],
        vec![put("d", "v"), append("d.log", "newer")],
        vec![unlink("d"), put("d.log", "new"), append("d.log", "er")],
    ];
    for operations in cases {
        let sim = Sim::new().await;
        sim.put("d.log", "old").await;
        let mut every = sim.watch(&["d.log"], Start::Now);
        let mut grown = sim.watch_as(request("d.log", Mode::Append { offset: 3 }));
        sim.commit(operations.clone()).await;
        for watch in [&mut every, &mut grown] {
            assert_eq!(changes(watch).await, ["put d.log=newer"], "{operations:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_watch_starts_with_the_whole_value_or_what_follows_the_offset() {
    let sim = Sim::new().await;
    sim.put("log", "abc").await;
    for (key, offset, changes, is_partial) in [
        ("log", 0, vec!["append log"], false),
        ("log", 2, vec!["append log"], true),
        ("log", 3, vec![], true),
        ("log", 4, vec!["put log=abc"], true),
        ("none", 0, vec![], false),
        ("none", 1, vec![], false),
    ] {
        let mut request = request(key, Mode::Append { offset });
        request.start = Start::Initial;
        let event = one(&mut sim.watch_as(request)).await;
        assert_eq!(told(&event), changes, "{key} {offset}");
        let WatchEvent::Initial { differences, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(differences, is_partial, "{key} {offset}");
    }
}

#[tokio::test(start_paused = true)]
async fn append_from_more_than_there_is_tells_a_replacement() {
    let sim = Sim::new().await;
    sim.put("log", "abc").await;
    let mut exact = sim.watch_as(request("log", Mode::Append { offset: 3 }));
    let mut beyond = sim.watch_as(request("log", Mode::Append { offset: 9 }));
    assert!(drain(&mut exact).await.is_empty());
    let event = one(&mut beyond).await;
    assert_eq!(told(&event), ["put log=abc"]);
    assert_eq!(changed(&event)[0].offset, Some(0));
    let several = request("log.*", Mode::Append { offset: 9 });
    let sink = Arc::new(Wakes::default());
    assert!(sim.engine.watch(OWNER, NS, several, sink, 0).is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_to_a_copy_in_one_transaction_is_told_once() {
    let sim = Sim::new().await;
    let long = "x".repeat(200);
    sim.commit(vec![put("d.a", long.clone()), put("e.a", "old")])
        .await;
    let copy = |from, to| Operation::Copy {
        from: key(from),
        to: key(to),
    };
    let mut watch = sim.watch(&["b", "e.a"], Start::Now);
    let mut growing = sim.watch_as(request("e.a", Mode::Append { offset: 3 }));
    assert!(drain(&mut growing).await.is_empty());
    sim.commit(vec![copy("d.a", "b"), append("b", "y")]).await;
    sim.commit(vec![copy("d", "e"), append("e.a", "z")]).await;
    let (b, e) = (format!("put b={long}y"), format!("put e.a={long}z"));
    assert_eq!(changes(&mut watch).await, [b, e.clone()]);
    let event = one(&mut growing).await;
    assert_eq!(
        (told(&event), changed(&event)[0].offset),
        (vec![e], Some(0))
    );
}

#[tokio::test(start_paused = true)]
async fn append_without_a_byte_is_not_told_again_of_what_cannot_grow() {
    let sim = Sim::new().await;
    let target = Symlink {
        namespace: None,
        target: "nowhere".into(),
    };
    sim.commit(vec![Operation::Link {
        key: key("log"),
        target,
    }])
    .await;
    let mut watch = sim.watch_as(request("log", Mode::Append { offset: 0 }));
    assert!(drain(&mut watch).await.is_empty());
    let initial = WatchRequest {
        start: Start::Initial,
        ..request("log", Mode::Append { offset: 0 })
    };
    let mut initial = sim.watch_as(initial);
    assert_eq!(changes(&mut initial).await, ["link log->nowhere"]);
}

#[tokio::test(start_paused = true)]
async fn latest_counts_versions_that_came_to_nothing_with_the_next_and_none_from_before_its_start()
{
    let sim = Sim::new().await;
    sim.put("a.x", "0").await;
    let mut watch = sim.watch_as(request("a", Mode::Latest));
    let later = WatchRequest {
        start: Start::Version {
            incarnation: None,
            version: 4,
        },
        ..request("a", Mode::Latest)
    };
    let mut later = sim.watch_as(later);
    assert!(drain(&mut watch).await.is_empty());
    sim.commit(vec![unlink("a")]).await;
    sim.put("a.x", "0").await;
    assert!(drain(&mut watch).await.is_empty());
    sim.put("a.x", "1").await;
    for (watch, passed) in [(&mut watch, 2), (&mut later, 0)] {
        let WatchEvent::Changes {
            position, skipped, ..
        } = one(watch).await
        else {
            panic!()
        };
        assert_eq!((position.version, skipped), (4, passed));
    }
}

#[tokio::test(start_paused = true)]
async fn unique_leaves_out_what_is_the_same_value_again() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    let mut watch = sim.watch_as(request("a", Mode::Unique));
    for value in ["1", "2", "2", "1"] {
        sim.put("a", value).await;
    }
    assert_eq!(changes(&mut watch).await, ["put a=2", "put a=1"]);
    assert_eq!(watch.position().version, 5);
}

#[tokio::test(start_paused = true)]
async fn keys_come_without_values_and_previous_values_on_request() {
    let sim = Sim::new().await;
    sim.put("a.x", "1").await;
    let mut keys = sim.watch_as(WatchRequest {
        values: false,
        ..request("a.*", Mode::Every)
    });
    let mut previous = sim.watch_as(WatchRequest {
        previous: true,
        ..request("a.*", Mode::Every)
    });
    sim.commit(vec![put("a.x", "2"), put("a.y", "3")]).await;
    sim.commit(vec![unlink("a")]).await;
    assert_eq!(
        changes(&mut keys).await,
        ["put a.x", "put a.y", "unlink a.x", "unlink a.y"]
    );
    let before: Vec<_> = drain(&mut previous)
        .await
        .iter()
        .flat_map(changed)
        .map(|c| c.previous.clone().unwrap())
        .collect();
    let inline = |text: &'static str| ChangeValue::Inline(text.into());
    assert_eq!(
        before,
        [inline("1"), ChangeValue::None, inline("2"), inline("3")]
    );
}

#[tokio::test(start_paused = true)]
async fn watches_of_equal_scopes_share_their_events() {
    let sim = Sim::new().await;
    let mut one_watch = sim.watch(&["a"], Start::Now);
    let mut other = sim.watch(&["a"], Start::Now);
    let mut without = sim.watch_as(WatchRequest {
        values: false,
        ..request("a", Mode::Every)
    });
    sim.put("a", "1").await;
    let first = one_watch.next().await.unwrap().unwrap();
    let second = other.next().await.unwrap().unwrap();
    let third = without.next().await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert!(!Arc::ptr_eq(&first, &third));
    assert_eq!(first.encoded(|_| "once".into()), "once");
    assert_eq!(second.encoded(|_| "twice".into()), "once");
    assert!(first.size() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_moves_with_what_does_not_concern_the_watch_and_stops_at_what_does() {
    let sim = Sim::new().await;
    let mut watch = sim.watch(&["a"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    sim.put("b", "1").await;
    sim.put("b", "2").await;
    assert_eq!(watch.mark().version, 2);
    sim.put("a", "3").await;
    sim.put("b", "4").await;
    assert_eq!(watch.mark().version, 2);
    assert_eq!(changes(&mut watch).await, ["put a=3"]);
    assert_eq!(watch.mark().version, 4);
}

#[tokio::test(start_paused = true)]
async fn a_version_in_parts_counts_only_when_it_is_complete() {
    let sim = Sim::new().await;
    for page in 0..3 {
        let names = (0..900).map(|n| put(&format!("d.k{:04}", page * 900 + n), "v"));
        sim.commit(names.collect()).await;
    }
    let mut watch = sim.watch(&["d", "e"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    sim.commit(vec![unlink("d"), put("e", "1")]).await;
    let first = one(&mut watch).await;
    assert!(matches!(first, WatchEvent::Changes { last: false, .. }));
    assert_eq!((watch.position().version, watch.mark().version), (3, 3));
    let resumed = Start::Version {
        incarnation: None,
        version: watch.position().version + 1,
    };
    let mut again = sim.watch(&["d", "e"], resumed);
    let mut keys = changes(&mut again).await;
    keys.sort();
    assert_eq!(keys.len(), 2702);
    assert_eq!((&*keys[0], &*keys[2701]), ("put e=1", "unlink d.k2699"));
    assert_eq!(again.position().version, 4);
}

#[tokio::test(start_paused = true)]
async fn a_sum_that_was_dropped_half_way_is_begun_again() {
    let sim = Sim::new().await;
    let filler = vec![b'x'; 60_000];
    let mut watch = sim.watch_as(request("a", Mode::Latest));
    assert!(drain(&mut watch).await.is_empty());
    for n in 0..600 {
        let at = if n % 200 == 0 { "a" } else { "b" };
        sim.put(at, filler.clone()).await;
    }
    // Reading this far yields on the way; the future is dropped there.
    let mut dropped = 0;
    for _ in 0..3 {
        let mut next = Box::pin(watch.next());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        dropped += usize::from(next.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(dropped, 3);
    let event = watch.next().await.unwrap().unwrap();
    let WatchEvent::Changes { skipped, .. } = event.event() else {
        panic!()
    };
    assert_eq!(*skipped, 2);
}

#[tokio::test(start_paused = true)]
async fn append_begins_at_no_version_that_is_to_come() {
    let sim = Sim::new().await;
    sim.put("log", "abc").await;
    let from = |version| WatchRequest {
        start: Start::Version {
            incarnation: None,
            version,
        },
        ..request("log", Mode::Append { offset: 3 })
    };
    let mut next = sim.watch_as(from(2));
    assert!(drain(&mut next).await.is_empty());
    // Until then the value could grow by bytes that are never delivered.
    let sink = Arc::new(Wakes::default());
    let refused = sim.engine.watch(OWNER, NS, from(3), sink, 0);
    let kind = refused.err().map(|error| error.kind);
    assert_eq!(kind, Some(kvs_engine::ErrorKind::Invalid));
}
