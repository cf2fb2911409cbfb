//! Checks slices, groups and the matcher against the versions that concern each watch.

use crate::request::Principal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use kvs_tree::{Blobref, Effect, HashAlgorithm, Key, Symlink};
use proptest::prelude::*;

use super::*;
use crate::limits::{MATCH_LAG, MATCH_SLICE, WAKE_VISITS};
use crate::state::TransactionRecord;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn put(text: &str) -> Effect {
    Effect::Put {
        key: key(text),
        value: "x".to_owned().into(),
        subtree: false,
    }
}

fn unlink(text: &str) -> Effect {
    Effect::Unlink {
        key: key(text),
        subtree: true,
    }
}

fn link(text: &str) -> Effect {
    Effect::Link {
        key: key(text),
        target: Symlink {
            namespace: None,
            target: "t".into(),
        },
        subtree: false,
    }
}

fn record(version: u64, effects: Vec<Effect>) -> Arc<VersionRecord> {
    let transactions = effects.into_iter().map(|effect| TransactionRecord {
        principal: Principal::Uid(0),
        client: [0; 16],
        number: version,
        acknowledged: 0,
        name: None,
        results: Vec::new(),
        operations: 1,
        effects: vec![effect],
    });
    Arc::new(VersionRecord {
        namespace: "primary".into(),
        incarnation: 1,
        version,
        root: Blobref::of(HashAlgorithm::Blake3, b""),
        time_ms: 0,
        stamp: 0,
        transactions: transactions.collect(),
    })
}

#[derive(Default)]
struct Woken(Mutex<Vec<u64>>);

impl WakeSink for Woken {
    fn wake(&self, token: u64) {
        self.0.lock().unwrap().push(token);
    }
}

/// A lane and its published versions.
struct Lane {
    dispatch: Dispatch,
    records: BTreeMap<u64, Arc<VersionRecord>>,
    published: u64,
    woken: Arc<Woken>,
    visits: usize,
    most: usize,
}

impl Lane {
    fn new() -> Self {
        Self {
            dispatch: Dispatch::default(),
            records: BTreeMap::new(),
            published: 10,
            woken: Arc::default(),
            visits: 0,
            most: 0,
        }
    }

    fn watch(&mut self, token: u64, scopes: &[Scope]) -> WatchNumber {
        let sink = self.woken.clone();
        let (at, wake) = (self.published, Wake { sink, token });
        self.dispatch.add(scopes, at, at, wake)
    }

    fn publish(&mut self, effects: Vec<Effect>) {
        self.published += 1;
        let record = record(self.published, effects);
        self.records.insert(self.published, record);
    }

    /// Runs one slice; true when everything is matched.
    fn slice(&mut self, visits: usize, lag: u64) -> bool {
        let mut slice = Slice::new(visits);
        let record = |version| self.records.get(&version).cloned();
        let done = self
            .dispatch
            .advance(self.published, lag, record, &mut slice);
        assert!(slice.call() <= visits.div_ceil(WAKE_VISITS) + 1);
        self.visits += slice.used();
        self.most = self.most.max(slice.used());
        done
    }

    /// Matches everything published; returns the visits made.
    fn advance(&mut self) -> usize {
        let before = self.visits;
        while !self.slice(MATCH_SLICE, MATCH_LAG) {}
        self.visits - before
    }

    fn woken(&self) -> Vec<u64> {
        let mut woken = std::mem::take(&mut *self.woken.0.lock().unwrap());
        woken.sort_unstable();
        woken
    }
}

#[test]
fn watches_of_one_directory_cost_a_large_commit_once_and_nothing_when_all_have_a_hit() {
    let mut lane = Lane::new();
    for scopes in ["d", "**", "d.*", "d.k1", "d.[k-l]*"] {
        for token in 0..2_000 {
            lane.watch(token, &[scope(scopes)]);
        }
    }
    let keys = || (0..1_000).map(|n| put(&format!("d.k{n}"))).collect();
    lane.publish(keys());
    // Each watch is visited and woken once; each key costs its way through the index.
    let first = lane.advance();
    assert_eq!(lane.woken().len(), 10_000);
    assert!(first < 10_000 * (1 + WAKE_VISITS) + 1_000 * 30, "{first}");
    lane.publish(keys());
    let again = lane.advance();
    assert!(again < 1_000 * 30, "{again}");
    assert_eq!(lane.woken(), [0; 0]);
    assert!(lane.most <= MATCH_SLICE, "{}", lane.most);
}

#[test]
fn watches_below_a_key_that_is_replaced_are_woken_in_slices_and_once() {
    let mut lane = Lane::new();
    for token in 0..5_000 {
        lane.watch(token, &[scope(&format!("d.{token}.x"))]);
    }
    lane.publish(vec![unlink("d"), link("d"), unlink("d")]);
    assert!(!lane.slice(MATCH_SLICE, MATCH_LAG));
    let some = lane.woken().len();
    assert!(some > 0 && some <= MATCH_SLICE / WAKE_VISITS + 1, "{some}");
    lane.advance();
    assert_eq!(lane.woken().len(), 5_000 - some);
}

#[test]
fn many_patterns_cost_a_commit_what_is_alive_on_the_way_of_its_keys() {
    for kind in [
        "*.state.N",
        "**.N",
        "a.b.*N",
        "a.b.N*",
        "**.*x*N.**",
        "?.b.[0-9]N",
        "**.a.**.N.**",
    ] {
        let visits = |count: u64| {
            let mut lane = Lane::new();
            for n in 0..count {
                lane.watch(n, &[scope(&kind.replace('N', &format!("k{n}")))]);
            }
            lane.publish((0..100).map(|n| put(&format!("a.b.p{n}"))).collect());
            let visits = lane.advance();
            assert_eq!(lane.woken(), [0; 0], "{kind}");
            visits
        };
        let (few, many) = (visits(10), visits(5_000));
        assert!(many <= few + 100 && many < 6_000, "{kind}: {few}, {many}");
    }
}

#[test]
fn a_watch_that_has_read_what_is_being_matched_is_not_woken_for_it() {
    let mut lane = Lane::new();
    let first = lane.watch(1, &[scope("d")]);
    lane.watch(2, &[scope("d")]);
    for _ in 0..3 {
        lane.publish(vec![put("d.a"), put("d.b")]);
    }
    // The watch examined the versions itself.
    assert!(lane.dispatch.run_ahead(first, 10, lane.published));
    lane.dispatch.settle(first, lane.published, lane.published);
    assert_eq!(lane.dispatch.matched(), 10);
    lane.watch(3, &[scope("d")]);
    lane.advance();
    assert_eq!(lane.woken(), [2]);
    assert_eq!(lane.dispatch.matched(), 13);
    lane.publish(vec![put("d.a")]);
    lane.advance();
    assert_eq!(lane.woken(), [1, 3]);
}

#[test]
fn what_waits_too_long_or_is_not_in_memory_is_taken_to_concern_everybody() {
    for forget in [false, true] {
        let mut lane = Lane::new();
        for token in 0..100 {
            lane.watch(token, &[scope(&format!("{token}.*"))]);
        }
        for _ in 0..5 {
            lane.publish(vec![put("x")]);
        }
        let lag = if forget {
            lane.records.clear();
            MATCH_LAG
        } else {
            4
        };
        while !lane.slice(50, lag) {
            assert_eq!(lane.dispatch.matched(), 10);
        }
        assert_eq!(lane.woken().len(), 100);
        assert_eq!(
            (lane.dispatch.hit(7), lane.dispatch.matched()),
            (Some(11), 15)
        );
    }
}

#[test]
fn everybody_is_woken_whatever_they_have_read() {
    let mut lane = Lane::new();
    let first = lane.watch(1, &[scope("a")]);
    lane.watch(2, &[scope("*")]);
    lane.dispatch.settle(first, 0, lane.published);
    lane.dispatch.wake_everybody();
    assert!(lane.dispatch.is_behind(lane.published));
    lane.advance();
    assert_eq!(lane.woken(), [1, 2]);
}

#[test]
fn many_watches_that_come_and_go_leave_nothing_behind() {
    let mut lane = Lane::new();
    let stays = lane.watch(0, &[scope("a")]);
    let patterns = ["a.*", "**.b", "a", "a.b", "a.b", "?*"].map(scope);
    for _ in 0..3 {
        let ids: Vec<_> = (0..500).map(|token| lane.watch(token, &patterns)).collect();
        lane.publish(vec![put("a.b")]);
        // Some watches are removed while the version is being matched.
        lane.slice(100, MATCH_LAG);
        for id in ids {
            lane.dispatch.remove(id, &patterns);
        }
        lane.advance();
        lane.dispatch.settle(stays, lane.published, lane.published);
        assert_eq!(lane.dispatch.len(), 1);
        assert!(lane.dispatch.patterns.is_empty() && lane.dispatch.patterns.nodes() == 1);
    }
    lane.dispatch.remove(stays, &[scope("a")]);
    assert!(lane.dispatch.is_empty() && lane.dispatch.plain.is_empty());
}

#[test]
fn patterns_that_come_and_go_while_a_version_is_matched_do_not_pile_up() {
    let mut lane = Lane::new();
    let stays = [scope("*.x")];
    lane.watch(7, &stays);
    lane.publish((0..1_000).map(|n| put(&format!("a.{n}"))).collect());
    lane.slice(10, MATCH_LAG);
    let mut most = 0;
    for n in 0..20_000 {
        let one = [scope(&format!("*.b{n}*"))];
        let id = lane.watch(1, &one);
        lane.dispatch.remove(id, &one);
        if n % 100 == 0 {
            lane.slice(1, MATCH_LAG);
        }
        most = most.max(lane.dispatch.patterns.nodes());
    }
    assert!(most < 40_000, "{most}");
    lane.advance();
    assert_eq!(lane.dispatch.patterns.nodes(), 3);
    assert_eq!((lane.woken(), lane.dispatch.matched()), (vec![7], 11));
}

/// An operation on a lane.
#[derive(Clone, Debug)]
enum Doing {
    Watch(Vec<&'static str>),
    Remove(usize),
    Publish(Vec<(u8, &'static str)>),
    Slice(usize),
    Settle(usize, u64),
    Ask(usize),
    Exchange(usize, &'static str),
    Forget,
}

fn doing() -> impl Strategy<Value = Doing> {
    let scopes = prop::sample::select(vec![
        ".", "a", "a.b", "b", "*", "**.b", "a.*", "?.b", "a.b*", "[ab].**",
    ]);
    let keys = prop::sample::select(vec!["a", "b", "a.b", "a.c", "b.b.b", "c"]);
    prop_oneof![
        3 => prop::collection::vec(scopes.clone(), 1..4).prop_map(Doing::Watch),
        1 => any::<usize>().prop_map(Doing::Remove),
        4 => prop::collection::vec((0_u8..4, keys), 1..4).prop_map(Doing::Publish),
        6 => (1_usize..40).prop_map(Doing::Slice),
        4 => (any::<usize>(), 0_u64..3).prop_map(|(at, less)| Doing::Settle(at, less)),
        1 => any::<usize>().prop_map(Doing::Ask),
        1 => (any::<usize>(), scopes).prop_map(|(at, scope)| Doing::Exchange(at, scope)),
        1 => Just(Doing::Forget),
    ]
}

/// A watch as its owner knows it.
struct Known {
    id: WatchNumber,
    scopes: Vec<Scope>,
    read: u64,
}

impl Known {
    fn concerned(&self, record: &VersionRecord) -> bool {
        record.effects().any(|effect| {
            self.scopes.iter().any(|scope| {
                scope.matches(effect.key())
                    || (reaches_below(effect) && scope.may_match_below(effect.key()))
            })
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_version_that_concerns_a_watch_is_passed_over_whatever_comes_between_slices(
        doings in prop::collection::vec(doing(), 1..60), lag in 1_u64..6,
    ) {
        let mut lane = Lane::new();
        let mut all: Vec<Known> = Vec::new();
        // Records to compare with, even if the matcher no longer has them.
        let mut truth: BTreeMap<u64, Arc<VersionRecord>> = BTreeMap::new();
        let doings = doings.into_iter().chain((0..200).map(|_| Doing::Slice(40)));
        for doing in doings {
            let chosen = |at: usize| at % all.len().max(1);
            match doing {
                Doing::Watch(scopes) => {
                    let scopes: Vec<Scope> = scopes.into_iter().map(scope).collect();
                    let id = lane.watch(0, &scopes);
                    all.push(Known { id, scopes, read: lane.published });
                }
                Doing::Remove(at) if !all.is_empty() => {
                    let one = all.swap_remove(chosen(at));
                    lane.dispatch.remove(one.id, &one.scopes);
                }
                Doing::Publish(effects) => {
                    let effect = |(kind, at): (u8, &str)| match kind {
                        0 => unlink(at),
                        1 => link(at),
                        _ => put(at),
                    };
                    lane.publish(effects.into_iter().map(effect).collect());
                    truth.insert(lane.published, lane.records[&lane.published].clone());
                }
                Doing::Slice(visits) => drop(lane.slice(visits, lag)),
                Doing::Settle(at, less) if !all.is_empty() => {
                    let at = chosen(at);
                    let one = &mut all[at];
                    if let Some(hit) = lane.dispatch.hit(one.id) {
                        one.read = lane.published.saturating_sub(less).max(hit).max(one.read);
                        lane.dispatch.settle(one.id, one.read, lane.published);
                    }
                }
                Doing::Ask(at) if !all.is_empty() => {
                    let at = chosen(at);
                    lane.dispatch.run_ahead(all[at].id, all[at].read, lane.published);
                }
                Doing::Exchange(at, new) if !all.is_empty() => {
                    let at = chosen(at);
                    let one = &mut all[at];
                    let old = std::mem::replace(&mut one.scopes, vec![scope(new)]);
                    lane.dispatch.release(one.id, &old);
                    lane.dispatch.hold(one.id, &one.scopes);
                    lane.dispatch.settle(one.id, one.read, lane.published);
                }
                Doing::Forget => lane.records.clear(),
                _ => {}
            }
            // No false mark: matched versions do not concern a watch without a hit.
            for one in &all {
                let matched = lane.dispatch.matched();
                let upto = lane.dispatch.hit(one.id).map_or(matched, |hit| hit - 1);
                let passed = truth.range(one.read + 1..upto.max(one.read) + 1);
                for (version, record) in passed {
                    prop_assert!(!one.concerned(record), "{version} is passed over");
                }
            }
        }
        prop_assert!(lane.dispatch.is_empty() || lane.dispatch.matched() == lane.published);
        let ids: BTreeSet<_> = all.iter().map(|one| one.id).collect();
        prop_assert_eq!(ids.len(), lane.dispatch.len());
    }
}
