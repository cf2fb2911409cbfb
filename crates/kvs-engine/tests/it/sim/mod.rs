//! Simulated runs: watches under everything that may happen to them, and validators of what they
//! delivered.
//!
//! Each run comes from a seed. `KVS_SIM_SEED=17` runs that seed alone, `KVS_SIM_RUNS=10000` that
//! many, starting at seed `KVS_SIM_FROM`.

mod lives;

mod tree;

mod sight;

mod history;

mod content;

mod through;

mod mirror;

mod entitled;

mod validators;

mod generate;

mod machine;

mod reader;

mod sent;

mod run;

mod reign;

mod faults;

mod tests;

use std::collections::BTreeMap;

use kvs_engine::ErrorKind;

use self::faults::FAULTS;
use self::history::{History, Kind, Seen, Step};
use self::lives::life;
use self::run::{On, Outcome, Wrong, run};
use self::validators::complaints;
use crate::support::Random;

fn simulate(seed: u64, wrong: Wrong) -> Outcome {
    simulate_on(On::Disk, seed, wrong)
}

fn simulate_on(on: On, seed: u64, wrong: Wrong) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed, wrong, on))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What is wrong with a run, for people.
fn check(outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(
        outcome
            .disorder
            .iter()
            .map(|what| format!("not ordered: {what}")),
    );
    for history in &outcome.histories {
        let sight = history.sight(&outcome.truths);
        let complaints = complaints(history, &sight);
        if !complaints.is_empty() && number("KVS_SIM_SEED").is_some() {
            show(outcome, history);
        }
        for (name, what) in complaints {
            wrong.push(format!("not {name}: {what}\n  {:?}", history.wish));
        }
    }
    wrong
}

/// Prints a whole run as one reader saw it.
fn show(outcome: &Outcome, history: &History) {
    println!("{:#?}", history.wish);
    for (name, truth) in &outcome.truths {
        for (index, one) in &truth.0 {
            println!("{name} {index}: {}", one.done.join(" and "));
        }
    }
    for step in &history.steps {
        let text: String = format!("{step:?}").chars().take(1_500).collect();
        println!("{text}");
    }
}

/// What the runs covered, so that runs in which nothing happens are not trusted.
#[derive(Debug, Default)]
struct Tally {
    versions: usize,
    parts: usize,
    gaps: usize,
    differences: usize,
    resumed: usize,
    skipped: u64,
    pieces: usize,
    losses: usize,
    /// Gaps between two lives of a namespace.
    lives: usize,
    /// Events about other namespaces.
    abroad: usize,
    /// Watches that ended because a right was revoked, and because a namespace was removed.
    withdrawn: usize,
    removed: usize,
}

impl Tally {
    fn count(&mut self, history: &History) {
        for seen in history.seen() {
            let Seen::Delivery(one) = seen else { continue };
            self.versions += usize::from(one.kind == Kind::Version && one.whole);
            self.parts += usize::from(one.parts.len() > 1);
            self.gaps += usize::from(matches!(one.kind, Kind::Gap { .. }));
            self.abroad += usize::from(one.kind == Kind::Abroad && one.whole);
            if let Kind::Gap { from } = one.kind {
                self.lives += usize::from(life(from) != life(one.version));
            }
            self.differences += usize::from(matches!(one.kind, Kind::State { against: Some(_) }));
            self.resumed += usize::from(one.resumed);
            self.skipped += one.skipped;
            let pieces = one.changes().filter(|change| change.offset > Some(0));
            self.pieces += pieces.count();
        }
        for step in &history.steps {
            if let Step::Ended { kind, .. } = step {
                self.withdrawn += usize::from(*kind == ErrorKind::Permission);
                self.removed += usize::from(*kind == ErrorKind::NoNamespace);
            }
        }
        let lost = history.steps.iter().filter(|step| **step == Step::Lost);
        self.losses += lost.count();
    }
}

/// Runs seeds and returns what is wrong.
fn runs(on: On, seeds: impl Iterator<Item = u64>, tally: &mut Tally) -> Vec<String> {
    let mut wrong = Vec::new();
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let outcome = simulate_on(on, seed, Wrong::default());
            let wrong = check(&outcome);
            (outcome, wrong)
        });
        match run {
            Ok((outcome, found)) => {
                outcome.histories.iter().for_each(|one| tally.count(one));
                let found = found.into_iter();
                wrong.extend(found.map(|what| format!("KVS_SIM_SEED={seed}: {what}")));
            }
            Err(_) => wrong.push(format!("KVS_SIM_SEED={seed}: it panicked")),
        }
    }
    wrong
}

/// Half of the runs, so that two cores share them.
fn half(on: On, rest: u64) {
    let (seed, count) = (
        number("KVS_SIM_SEED"),
        number("KVS_SIM_RUNS").unwrap_or(200),
    );
    let mut tally = Tally::default();
    let from = number("KVS_SIM_FROM").unwrap_or(0);
    let seeds = seed.map_or(from..from + count, |seed| seed..seed + 1);
    let wrong = runs(on, seeds.filter(|seed| seed % 2 == rest), &mut tally);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if seed.is_none() && count >= 200 {
        println!("{tally:?}");
        let Tally {
            versions,
            parts,
            gaps,
            differences,
            resumed,
            skipped,
            pieces,
            losses,
            lives,
            abroad,
            withdrawn,
            removed,
        } = tally;
        assert!(
            versions > 2_000 && resumed > 200 && losses > 500,
            "{versions} {resumed} {losses}"
        );
        assert!(
            parts > 4 && gaps > 30 && differences > 2,
            "{parts} {gaps} {differences}"
        );
        assert!(
            lives > 20 && abroad > 50 && withdrawn > 50 && removed > 10,
            "{lives} {abroad} {withdrawn} {removed}"
        );
        assert!(skipped > 500 && pieces > 2, "{skipped} {pieces}");
    }
}

#[test]
fn watches_keep_their_promises_whatever_happens_even_seeds() {
    half(On::Disk, 0);
}

#[test]
fn watches_keep_their_promises_whatever_happens_odd_seeds() {
    half(On::Disk, 1);
}

#[test]
fn watches_keep_their_promises_on_storage_that_loses_answers_even_seeds() {
    half(On::Memory, 0);
}

#[test]
fn watches_keep_their_promises_on_storage_that_loses_answers_odd_seeds() {
    half(On::Memory, 1);
}

#[test]
fn one_seed_is_one_run() {
    for (on, seed) in [On::Disk, On::Memory]
        .into_iter()
        .flat_map(|on| [1, 3, 7, 32].map(|seed| (on, seed)))
    {
        let (first, second) = (
            simulate_on(on, seed, Wrong::default()),
            simulate_on(on, seed, Wrong::default()),
        );
        assert!(first.histories == second.histories, "seed {seed} on {on:?}");
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let mut planted = [0; FAULTS.len()];
    for seed in 0..56 {
        let outcome = simulate(seed, Wrong::default());
        let mut random = Random(seed);
        for history in &outcome.histories {
            let sight = history.sight(&outcome.truths);
            for ((name, plant, expected), planted) in FAULTS.iter().zip(&mut planted) {
                let mut bad = history.clone();
                if plant(&mut bad, &sight, &mut random).is_none() {
                    continue;
                }
                *planted += 1;
                let found = complaints(&bad, &sight);
                let caught = found.iter().any(|(by, _)| expected.contains(by));
                assert!(
                    caught,
                    "seed {seed}: {name} is not caught: {found:?}, {:?}",
                    bad.wish
                );
            }
        }
    }
    assert!(planted.iter().all(|&times| times >= 5), "{planted:?}");
}

/// The validators that complain about runs that are wrong on purpose, with counts.
fn complainers(wrong: Wrong) -> BTreeMap<&'static str, usize> {
    let mut all = BTreeMap::new();
    for seed in 0..20 {
        let outcome = simulate(seed, wrong);
        for history in &outcome.histories {
            let sight = history.sight(&outcome.truths);
            for (name, _) in complaints(history, &sight) {
                *all.entry(name).or_default() += 1;
            }
        }
    }
    all
}

#[test]
fn an_engine_that_fires_before_a_sync_is_caught() {
    let found = complainers(Wrong {
        lying_disk: true,
        ..Wrong::default()
    });
    assert!(found["durable"] > 20 && found.len() == 1, "{found:?}");
}

#[test]
fn a_waiting_transaction_that_a_later_one_of_its_connection_overtakes_is_caught() {
    let wrong = Wrong {
        overtaken: true,
        ..Wrong::default()
    };
    let caught = (0..20).filter(|&seed| !simulate(seed, wrong).disorder.is_empty());
    let caught = caught.count();
    assert!(caught > 10, "in {caught} of 20 runs");
}

#[test]
fn a_client_that_resumes_with_what_it_had_is_caught() {
    let found = complainers(Wrong {
        repeats: true,
        ..Wrong::default()
    });
    assert!(found["unique"] > 10, "{found:?}");
}
