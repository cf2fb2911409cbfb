//! What watches promise, by the runs of the program `measure`, short: no value missed, repeated or
//! reordered, whoever else stalls, lags, comes and goes. How fast it was does not count here.

use std::path::PathBuf;

use kvs_acceptance::{CatchUp, CommitToCallback, IdleWatches, StalledWatchers, WatchChurn};

fn directory() -> PathBuf {
    std::env::temp_dir()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_watches_are_told_nothing_and_disturb_no_commit() {
    let run = IdleWatches {
        watches: 1_000,
        connections: 4,
        rounds: 1,
        commits: 500,
    };
    run.run(&directory()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_do_not_read_keep_no_value_from_others() {
    let run = StalledWatchers {
        watchers: 24,
        stalled: 4,
        connections: 4,
        values: 300,
        rate: 1_000,
    };
    run.run(&directory()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_is_given_each_commit() {
    let run = CommitToCallback { rounds: 50 };
    run.run(&directory()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_was_away_is_told_what_concerns_it_and_nothing_else() {
    let run = CatchUp {
        versions: 3_000,
        events: 10,
        rounds: 2,
        commits: 200,
    };
    run.run(&directory()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_come_and_go_during_trims_are_told_exactly_what_is_written() {
    let run = WatchChurn {
        rate: 500,
        writes: 1_000,
        fill: 10_000,
        seconds: 1,
        warm_up: 1,
    };
    run.run(&directory()).await.unwrap();
}
