//! Which watches a version wakes, and what matching costs: counted in visits and wakes, not in
//! time.

use std::sync::Arc;

use kvs_engine::{ErrorKind, MatchCounts, Principal, Start, Watch, WatchRequest};
use kvs_tree::{Operation, Scope, Symlink};
use tokio::task::yield_now;

use crate::support::*;

const GUEST: Principal = Principal::Uid(4242);

/// Maximum visits of a slice for a large commit (`MATCH_SLICE_MOST`).
const MOST: u64 = 16_384;

fn watch(sim: &Sim, caller: Principal, scopes: &[String], wakes: &Arc<Wakes>) -> Watch {
    let scopes = scopes.iter().map(|text| Scope::parse(text).unwrap());
    let request = WatchRequest::new(scopes.collect(), Start::Now);
    sim.engine
        .watch(caller, NS, request, wakes.clone(), 0)
        .unwrap()
}

fn watches(sim: &Sim, count: usize, of: impl Fn(usize) -> String) -> (Vec<Watch>, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    let one = |n| watch(sim, OWNER, &[of(n)], &wakes);
    ((0..count).map(one).collect(), wakes)
}

/// Waits until the matching queue is empty.
async fn settle(sim: &Sim) -> MatchCounts {
    loop {
        let before = sim.engine.match_counts();
        for _ in 0..4 {
            yield_now().await;
        }
        if sim.engine.match_counts() == before {
            return before;
        }
    }
}

/// The cost of matching these operations.
async fn cost(sim: &Sim, operations: Vec<Operation>) -> MatchCounts {
    let before = settle(sim).await;
    sim.commit(operations).await;
    let after = settle(sim).await;
    MatchCounts {
        slices: after.slices - before.slices,
        visits: after.visits - before.visits,
        wakes: after.wakes - before.wakes,
        ..after
    }
}

fn keys(count: usize, of: impl Fn(usize) -> String) -> Vec<Operation> {
    (0..count).map(|n| put(&of(n), "1")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_commit_pays_for_the_patterns_that_match_it_and_not_for_their_number() {
    let kinds = [
        "*.b.kN",
        "**.kN",
        "a.b.*kN",
        "a.b.kN*",
        "**.*x*N.**",
        "?.[a-c].N?",
        "**.a.**.kN",
    ];
    for kind in kinds {
        let mut visits = Vec::new();
        for count in [10, 1_500] {
            let sim = Sim::new().await;
            let (watches, wakes) = watches(&sim, count, |n| kind.replace('N', &n.to_string()));
            sim.commit(keys(100, |n| format!("a.b.p{n}"))).await;
            let cost = cost(&sim, keys(100, |n| format!("a.b.p{n}"))).await;
            assert_eq!((cost.wakes, wakes.count()), (0, 0), "{kind}");
            visits.push(cost.visits);
            drop(watches);
        }
        assert!(
            visits[1] <= visits[0] + 100 && visits[1] < 5_000,
            "{kind} {visits:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn watches_of_a_directory_are_woken_once_and_cost_nothing_while_they_have_something_to_read()
{
    for scope in ["d", "d.*", "**"] {
        let sim = Sim::new().await;
        let (all, wakes) = watches(&sim, 2_000, |_| scope.to_owned());
        let first = cost(&sim, keys(500, |n| format!("d.k{n}"))).await;
        assert_eq!((first.wakes, wakes.count()), (2_000, 2_000));
        assert!(first.visits < 2_000 * 17 + 500 * 10, "{scope}: {first:?}");
        let again = cost(&sim, keys(500, |n| format!("d.k{n}"))).await;
        assert_eq!((again.wakes, wakes.count()), (0, 2_000));
        assert!(again.visits < 500 * 10, "{scope}: {again:?}");
        assert!(again.visits_most <= MOST, "{again:?}");
        drop(all);
    }
}

#[tokio::test(start_paused = true)]
async fn no_slice_of_matching_is_longer_than_its_limit_whatever_is_watched() {
    let sim = Sim::new().await;
    sim.commit(keys(1, |_| "d.0.x".to_owned())).await;
    let (below, woken_below) = watches(&sim, 3_000, |n| format!("d.{n}.x"));
    let (patterns, woken_patterns) = watches(&sim, 1_000, |n| format!("d.{n}.*"));
    let (others, woken_others) = watches(&sim, 500, |n| format!("**.x{n}"));
    let link = Operation::Link {
        key: key("d"),
        target: Symlink {
            namespace: None,
            target: "elsewhere".into(),
        },
    };
    for operations in [
        vec![unlink("d")],
        vec![link],
        keys(2_000, |n| format!("d{n}.k")),
    ] {
        let cost = cost(&sim, operations).await;
        assert!(cost.visits_most <= MOST, "{cost:?}");
    }
    assert_eq!(
        (woken_below.count(), woken_patterns.count()),
        (3_000, 1_000)
    );
    // Patterns that begin with `**` may match below anything that is removed.
    assert_eq!(woken_others.count(), 500);
    drop((below, patterns, others));
}

/// Patterns that all stay alive along the key `abcdefghij...`: its subsequences.
fn costly(count: usize) -> Vec<String> {
    let pattern = |bits: usize| {
        let letters = ('a'..='j')
            .enumerate()
            .filter(|(at, _)| bits & (1 << at) != 0);
        let text: String = letters.map(|(_, letter)| format!("*{letter}")).collect();
        format!("{text}*!")
    };
    (1..=count).map(pattern).collect()
}

#[tokio::test(start_paused = true)]
async fn patterns_of_a_guest_hold_up_nobody_elses_events() {
    let sim = Sim::new().await;
    sim.engine
        .share_namespace(OWNER, NS, GUEST, true)
        .await
        .unwrap();
    let hostile = Arc::new(Wakes::default());
    let _hostile = watch(&sim, GUEST, &costly(1_000), &hostile);
    let own = Arc::new(Wakes::default());
    let mut watch_of_owner = watch(&sim, OWNER, &["ab*".to_owned()], &own);
    let before = settle(&sim).await;
    sim.commit(keys(200, |n| format!("abcdefghij{n}"))).await;
    // A few turns later, while the guest's patterns are still being matched.
    for _ in 0..8 {
        yield_now().await;
    }
    let woken = own.count();
    let so_far = sim.engine.match_counts().visits - before.visits;
    assert_eq!(woken, 1, "after {so_far} visits");
    assert_eq!(changes(&mut watch_of_owner).await.len(), 200);
    // Meanwhile commits continue and are delivered.
    sim.put("abx", "2").await;
    for _ in 0..8 {
        yield_now().await;
    }
    assert_eq!(own.count(), 2);
    let all = settle(&sim).await.visits - before.visits;
    assert!(all > 10 * so_far, "{all} {so_far}");
    assert_eq!(hostile.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_too_far_behind_has_its_watches_look_for_themselves() {
    let mut config = config();
    (config.match_slice, config.match_lag) = (16, 3);
    let sim = Sim::with(config, kvs_engine::SimDisk::unrecorded()).await;
    let wakes = Arc::new(Wakes::default());
    let mut costly = watch(&sim, OWNER, &costly(200), &wakes);
    let (mut plain, woken) = watches(&sim, 1, |_| "abcdefghij7".to_owned());
    for n in 0..8 {
        sim.put(&format!("abcdefghij{n}"), "1").await;
    }
    sim.put("b!", "1").await;
    let mark = costly.mark().version;
    assert!(mark < 9, "{mark}");
    assert!(settle(&sim).await.lag_most > 3);
    // It was woken for nothing, and then found its own event.
    assert_eq!(wakes.count(), 1);
    assert_eq!(changes(&mut costly).await, ["put b!=1"]);
    assert_eq!(woken.count(), 1);
    assert_eq!(changes(&mut plain[0]).await, ["put abcdefghij7=1"]);
    assert_eq!((costly.mark().version, plain[0].mark().version), (9, 9));
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_asked_for_counts_what_was_answered_before_and_never_more_than_was_matched()
{
    for slice in [1, 1_024] {
        let mut config = config();
        config.match_slice = slice;
        let sim = Sim::with(config, kvs_engine::SimDisk::unrecorded()).await;
        let mut other = sim.watch(&["b.*"], Start::Now);
        let mut hit = sim.watch(&["a"], Start::Now);
        for watch in [&mut other, &mut hit] {
            assert_eq!(changes(watch).await, [""; 0]);
        }
        for version in 1..=20 {
            sim.put("a", version.to_string()).await;
            assert_eq!(other.mark().version, version);
            assert_eq!(hit.mark().version, 0);
        }
        sim.put("b.c", "x").await;
        assert_eq!(other.mark().version, 20);
        assert_eq!(changes(&mut other).await, ["put b.c=x"]);
        assert_eq!(changes(&mut hit).await.len(), 20);
        assert_eq!((other.mark().version, hit.mark().version), (21, 21));
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_of_a_guest_are_counted_over_all_its_watches() {
    let sim = Sim::new().await;
    let engine = &sim.engine;
    engine.create_namespace(OWNER, "other", None).await.unwrap();
    for name in [NS, "other"] {
        engine
            .share_namespace(OWNER, name, GUEST, true)
            .await
            .unwrap();
    }
    let open = |name: &str, count: usize| {
        let scopes = (0..count).map(|n| Scope::parse(&format!("*.{n}")).unwrap());
        let request = WatchRequest::new(scopes.collect(), Start::Now);
        engine.watch(GUEST, name, request, Arc::new(Wakes::default()), 0)
    };
    let first = open(NS, 600).unwrap();
    let second = open("other", 424).unwrap();
    let refused = open(NS, 1).map(drop).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Limit);
    assert!(
        refused.message.contains("at most 1024"),
        "{}",
        refused.message
    );
    drop(second);
    let third = open(NS, 400).unwrap();
    assert!(open("other", 25).is_err());
    drop((first, third));
    assert!(open("other", 1_024).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_namespace_and_of_a_right_wakes_everybody_in_slices() {
    let sim = Sim::new().await;
    let engine = &sim.engine;
    engine
        .create_namespace(OWNER, "theirs", Some(GUEST))
        .await
        .unwrap();
    let reader = Principal::Uid(4243);
    engine
        .share_namespace(GUEST, "theirs", reader, true)
        .await
        .unwrap();
    let wakes = Arc::new(Wakes::default());
    let open = |n: usize| {
        let scopes = vec![
            Scope::parse(&format!("{n}.*")).unwrap(),
            Scope::parse("a").unwrap(),
        ];
        let request = WatchRequest::new(scopes, Start::Now);
        engine
            .watch(reader, "theirs", request, wakes.clone(), 0)
            .unwrap()
    };
    let mut all: Vec<_> = (0..1_000).map(open).collect();
    engine
        .share_namespace(GUEST, "theirs", reader, false)
        .await
        .unwrap();
    let counts = settle(&sim).await;
    assert_eq!(wakes.count(), 1_000);
    assert!(counts.visits_most <= 1_024, "{counts:?}");
    let ended = all[7].next().await.map(drop).unwrap_err();
    assert_eq!(ended.kind, ErrorKind::Permission);
    engine
        .share_namespace(GUEST, "theirs", reader, true)
        .await
        .unwrap();
    engine.remove_namespace(OWNER, "theirs").await.unwrap();
    settle(&sim).await;
    assert_eq!(wakes.count(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn many_who_follow_roots_or_wait_for_a_version_are_let_go_in_slices() {
    let sim = Sim::new().await;
    let wakes = Arc::new(Wakes::default());
    let follow = |_| {
        let followed = sim.engine.follow(OWNER, None, Start::Now, wakes.clone(), 0);
        followed.unwrap()
    };
    let mut followers: Vec<_> = (0..500).map(follow).collect();
    let waits: Vec<_> = (0..500)
        .map(|_| {
            let engine = sim.engine.clone();
            tokio::spawn(async move { engine.wait_version(OWNER, NS, 1, None).await })
        })
        .collect();
    settle(&sim).await;
    for version in 1..=2 {
        let cost = cost(&sim, vec![put("a", "1")]).await;
        assert!(cost.visits_most <= 1_024 && cost.slices >= 8, "{cost:?}");
        assert_eq!(wakes.count(), 500 * version);
        // No watch is woken again before it has been read.
        sim.put("a", "2").await;
        settle(&sim).await;
        assert_eq!(wakes.count(), 500 * version);
        for follower in &mut followers {
            while follower.next().await.unwrap().is_some() {}
        }
    }
    for wait in waits {
        assert_eq!(wait.await.unwrap().unwrap().version, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_is_closed_at_once_however_much_is_to_be_matched() {
    let sim = Sim::new().await;
    let wakes = Arc::new(Wakes::default());
    let _watch = watch(&sim, OWNER, &costly(1_000), &wakes);
    sim.commit(keys(500, |n| format!("abcdefghij{n}"))).await;
    let before = sim.engine.match_counts();
    sim.engine.shutdown().await.unwrap();
    let after = sim.engine.match_counts();
    assert!(after.slices < before.slices + 20, "{before:?} {after:?}");
    // It is woken, so that it can read what there is.
    assert_eq!(wakes.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_many_patterns_looks_through_many_versions_in_steps() {
    let sim = Sim::new().await;
    let wakes = Arc::new(Wakes::default());
    let scopes: Vec<String> = (0..1_000)
        .map(|n| format!("**.x{n}"))
        .chain(["q".to_owned()])
        .collect();
    let mut watch = watch(&sim, OWNER, &scopes, &wakes);
    for n in 0..200 {
        sim.commit(keys(20, |key| format!("a{n}.k{key}"))).await;
    }
    sim.put("q", "1").await;
    settle(&sim).await;
    // With another start: everything must be searched.
    let request = WatchRequest::new(
        scopes
            .iter()
            .map(|text| Scope::parse(text).unwrap())
            .collect(),
        Start::Version {
            incarnation: None,
            version: 1,
        },
    );
    let mut late = sim.watch_as(request);
    let steps = std::cell::Cell::new(0);
    let others = async {
        loop {
            steps.set(steps.get() + 1);
            yield_now().await;
        }
    };
    let told = tokio::select! {
        biased;
        told = changes(&mut late) => told,
        () = others => unreachable!(),
    };
    assert_eq!(told, ["put q=1"]);
    // Other tasks ran in between, many times.
    assert!(steps.get() > 10, "{}", steps.get());
    assert_eq!(changes(&mut watch).await, ["put q=1"]);
    assert_eq!(wakes.count(), 1);
}
