//! Work on trees that copying made huge: it is cut into slices, ends when its requester is gone,
//! and returns correct results.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kvs_engine::limits::{
    BYTES_A_VISIT, EVENT_BYTES, LOG_CHANGES, READ_AT_ONCE_BYTES, SLICE_VISITS,
};
use kvs_engine::{At, ChangeValue, Listed, Listing, Start, WatchEvent, WatchRequest};
use kvs_tree::{Entry, Key, Operation, Scope};

use crate::support::{NS, OWNER, Sim, Wakes, changes, config, drain, key, put, unlink};

fn copy(from: &str, to: &str) -> Operation {
    let (from, to) = (key(from), key(to));
    Operation::Copy { from, to }
}

fn moved(from: &str, to: &str) -> Operation {
    let (from, to) = (key(from), key(to));
    Operation::Move { from, to }
}

/// A store with `levels` levels of two equal directories each below `d`: at least 2^levels keys.
async fn grown(levels: usize) -> Sim {
    let sim = Sim::new().await;
    sim.commit(vec![put("d.a", "1"), put("d.b", "1"), put("x", "1")])
        .await;
    for _ in 0..levels {
        let step = vec![copy("d", "e"), copy("e", "d.a"), moved("e", "d.b")];
        sim.commit(step).await;
    }
    sim
}

/// Asserts that no slice exceeded its limit; the last step may count as several visits.
fn assert_short(sim: &Sim) {
    let most = sim.engine.slices().counts().most_visits;
    assert!(
        most <= SLICE_VISITS as u64 + 256,
        "a slice of {most} visits"
    );
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

async fn page(sim: &Sim, asked: Listing<'_>) -> Listed {
    let view = sim.engine.view(OWNER, NS, At::Current).await.unwrap();
    let mut pace = sim.engine.slices().pace(OWNER);
    view.page(asked, &mut pace).await.unwrap()
}

#[tokio::test]
async fn a_bounded_page_may_be_empty_and_goes_on() {
    let sim = grown(30).await;
    let (root, nothing) = (Key::ROOT, scope("**.nothing"));
    let mut asked = Listing {
        dir: &root,
        after: None,
        limit: 1,
        recursive: true,
        scope: Some(&nothing),
        bounded: true,
    };
    let first = page(&sim, asked).await;
    assert!(first.entries.is_empty());
    let next = first.next.unwrap();
    asked.after = Some(&next);
    let second = page(&sim, asked).await;
    assert!(second.entries.is_empty() && second.next > Some(next));
    assert_short(&sim);
}

#[tokio::test]
async fn a_list_that_finds_nothing_holds_nobody_up() {
    let sim = grown(30).await;
    let view = sim.engine.view(OWNER, NS, At::Current).await.unwrap();
    let (root, nothing) = (Key::ROOT, scope("**.nothing"));
    let mut endless = Box::pin(view.list(&root, None, 1, true, Some(&nothing)));
    for round in 0..50 {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(endless.as_mut().poll(&mut cx), Poll::Pending));
        // Other work is served between any two slices.
        sim.commit(vec![put("y", format!("{round}"))]).await;
    }
    assert_short(&sim);
    let before = sim.engine.slices().counts();
    drop(endless);
    tokio::task::yield_now().await;
    let after = sim.engine.slices().counts();
    assert!(after.slices <= before.slices + 1, "nobody asks any more");
}

#[tokio::test]
async fn a_list_in_slices_of_any_length_is_the_same() {
    let mut all = Vec::new();
    for visits in [1, 2, 7, 100, SLICE_VISITS] {
        let mut config = config();
        config.slice_visits = visits;
        let sim = Sim::with(config, kvs_engine::SimDisk::unrecorded()).await;
        let puts = (0..40).map(|n| put(&format!("d.{}.{}", n % 5, n), "v"));
        sim.commit(puts.collect()).await;
        sim.commit(vec![copy("d", "e.f"), unlink("d.3")]).await;
        let view = sim.engine.view(OWNER, NS, At::Current).await.unwrap();
        let found = view
            .list(&Key::ROOT, None, 1000, true, Some(&scope("**.1.*")))
            .await;
        let keys = found.unwrap().into_iter().map(|(key, _)| key.to_string());
        all.push(keys.collect::<Vec<_>>());
    }
    assert_eq!(all[0].len(), 16);
    assert!(all.iter().all(|keys| *keys == all[0]));
}

async fn watch(sim: &Sim, scopes: &[&str], start: Start, sink: Arc<Wakes>) -> kvs_engine::Watch {
    let request = WatchRequest {
        scopes: scopes.iter().map(|text| scope(text)).collect(),
        start,
        mode: kvs_engine::Mode::Every,
        values: true,
        previous: false,
    };
    sim.engine.watch(OWNER, NS, request, sink, 0).unwrap()
}

#[tokio::test]
async fn a_watch_of_a_huge_tree_goes_on_in_turns() {
    let sim = grown(30).await;
    for (scopes, start) in [
        (&["**.nothing"][..], Start::Initial),
        (&["d.**.nothing", "d.*.b.**.nothing"], Start::Initial),
    ] {
        let sink = Arc::new(Wakes::default());
        let mut watch = watch(&sim, scopes, start, sink.clone()).await;
        let mut woken = 0;
        for _ in 0..5 {
            // It has nothing yet, and asks to continue.
            assert!(watch.next().await.unwrap().is_none());
            assert!(sink.count() > woken);
            woken = sink.count();
        }
    }
    assert_short(&sim);
}

#[tokio::test]
async fn what_an_unlink_of_a_huge_tree_did_is_told_in_parts_and_to_nobody_who_is_gone() {
    let sim = grown(30).await;
    let sinks: Vec<Arc<Wakes>> = (0..3).map(|_| Arc::default()).collect();
    let mut nothing = watch(&sim, &["d.**.nothing"], Start::Now, sinks[0].clone()).await;
    let mut all = watch(&sim, &["d.**"], Start::Now, sinks[1].clone()).await;
    let mut beside = watch(&sim, &["x"], Start::Now, sinks[2].clone()).await;
    sim.commit(vec![unlink("d")]).await;
    sim.commit(vec![put("x", "2")]).await;
    for _ in 0..3 {
        assert!(nothing.next().await.unwrap().is_none());
        let part = all.next().await.unwrap().unwrap();
        let WatchEvent::Changes { changes, last, .. } = part.event() else {
            panic!("{:?}", part.event());
        };
        assert!(!changes.is_empty() && changes.len() <= 1000 && !last);
    }
    assert_eq!(changes(&mut beside).await.len(), 1);
    assert_short(&sim);
}

#[tokio::test]
async fn a_watch_in_the_middle_of_a_huge_change_has_no_mark_behind_it() {
    let sim = grown(30).await;
    let sink = Arc::new(Wakes::default());
    let mut watch = watch(&sim, &["d.**.nothing"], Start::Now, sink).await;
    let before = watch.position();
    sim.commit(vec![copy("d.a", "d.b.a.a")]).await;
    sim.commit(vec![unlink("d")]).await;
    assert!(watch.next().await.unwrap().is_none());
    assert!(watch.mark().version <= before.version + 1);
}

#[tokio::test]
async fn the_log_tells_of_a_huge_change_that_there_is_more() {
    let sim = grown(30).await;
    let done = sim.commit(vec![unlink("d")]).await;
    let version = done.position.version;
    for (scopes, keys) in [(vec![], true), (vec![scope("**.nothing")], false)] {
        let log = sim
            .engine
            .log(OWNER, NS, version, version, &scopes, 10)
            .await
            .unwrap();
        assert_eq!(log.entries.len(), 1);
        let entry = &log.entries[0];
        assert!(entry.more && entry.keys.is_empty() != keys);
        assert!(entry.keys.len() <= 2 * LOG_CHANGES);
    }
    assert_short(&sim);
}

#[tokio::test]
async fn pages_of_the_log_are_as_full_as_they_can_be() {
    let sim = Sim::new().await;
    for n in 0..400 {
        let at = if n % 100 == 99 { "rare" } else { "often" };
        sim.commit(vec![put(&format!("{at}.k"), format!("{n}"))])
            .await;
    }
    let scopes = [scope("rare")];
    let log = sim
        .engine
        .log(OWNER, NS, 0, u64::MAX, &scopes, 4)
        .await
        .unwrap();
    assert_eq!(log.entries.len(), 4);
    assert!(
        log.entries
            .iter()
            .all(|entry| !entry.keys.is_empty() && !entry.more)
    );
    let log = sim
        .engine
        .log(OWNER, NS, 0, u64::MAX, &[scope("never")], 4)
        .await
        .unwrap();
    assert!(log.entries.is_empty() && log.next.is_none());
}

#[tokio::test]
async fn a_version_of_many_effects_under_many_scopes_is_told_in_slices() {
    let sim = Sim::new().await;
    let sink = Arc::new(Wakes::default());
    let scopes: Vec<String> = (0..1000).map(|n| format!("k{n}.*x")).collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let mut watch = watch(&sim, &scopes, Start::Now, sink).await;
    let puts = (0..500).map(|n| put(&format!("k{n}.{}x", n % 7), "v"));
    sim.commit(puts.collect()).await;
    let told: usize = drain(&mut watch)
        .await
        .iter()
        .map(|event| match event {
            WatchEvent::Changes { changes, .. } => changes.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(told, 500);
    let counts = sim.engine.slices().counts();
    assert!(
        counts.most_visits <= SLICE_VISITS as u64 + 2 * 1024,
        "{counts:?}"
    );
}

#[tokio::test]
async fn long_values_are_told_and_read_in_slices() {
    let sim = Sim::new().await;
    let bytes = READ_AT_ONCE_BYTES / 4;
    // More than a part of an event, and more than a slice copies.
    for n in 0..60 {
        sim.commit(vec![put(&format!("d.k{n:02}"), vec![n; bytes])])
            .await;
    }
    sim.commit(vec![put("long", vec![1; 30 * bytes])]).await;
    let sink = Arc::new(Wakes::default());
    let mut watch = watch(&sim, &["d"], Start::Initial, sink).await;
    let told: Vec<(String, usize)> = drain(&mut watch)
        .await
        .iter()
        .flat_map(|event| match event {
            WatchEvent::Initial { entries, .. } => entries.clone(),
            _ => Vec::new(),
        })
        .map(|one| match one.value {
            ChangeValue::Inline(value) => (one.key.to_string(), value.len()),
            _ => (one.key.to_string(), 0),
        })
        .collect();
    let keys = (0..60).map(|n| (format!("d.k{n:02}"), bytes));
    let all: Vec<_> = std::iter::once(("d".to_owned(), 0)).chain(keys).collect();
    assert_eq!(told, all);

    let view = sim.engine.view(OWNER, NS, At::Current).await.unwrap();
    let found = view.lookup(&key("long"), true).await.unwrap().unwrap();
    let Entry::Value(value) = found.entry else {
        panic!("no value")
    };
    let before = sim.engine.slices().counts().slices;
    let read = view.read(&value, 5..value.len()).await.unwrap();
    assert_eq!(read, vec![1; 30 * bytes - 5]);
    let slices = sim.engine.slices().counts().slices - before;
    assert!(slices > 1, "{slices} slices");
    let most = sim.engine.slices().counts().most_visits as usize;
    assert!(
        most <= SLICE_VISITS + EVENT_BYTES / BYTES_A_VISIT + 128,
        "{most}"
    );
}

#[tokio::test]
async fn the_entry_at_the_top_is_told_once_however_short_the_slices_are() {
    for visits in [1, 2, 64] {
        let mut config = config();
        config.slice_visits = visits;
        let sim = Sim::with(config, kvs_engine::SimDisk::unrecorded()).await;
        let top = ["d"; 3].map(|name| name.repeat(255)).join(".");
        let puts = (0..9).map(|n| put(&format!("{top}.k{n}"), vec![n; 3_000]));
        sim.commit(puts.collect()).await;
        let sink = Arc::new(Wakes::default());
        let mut watch = watch(&sim, &[&top], Start::Initial, sink.clone()).await;
        let mut told = Vec::new();
        let mut woken = 0;
        loop {
            for event in drain(&mut watch).await {
                if let WatchEvent::Initial { entries, .. } = event {
                    told.extend(entries.into_iter().map(|one| one.key.to_string()));
                }
            }
            if sink.count() == woken {
                break;
            }
            woken = sink.count();
        }
        let keys = (0..9).map(|n| format!("{top}.k{n}"));
        let all: Vec<_> = std::iter::once(top.clone()).chain(keys).collect();
        assert_eq!(told, all, "slices of {visits}");
    }
}
