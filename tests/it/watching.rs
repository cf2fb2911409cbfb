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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_says_that_its_daemon_is_away_and_that_it_is_back() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let home = kvs_testkit::Home::new().unwrap();
    let mut daemon = home.start().unwrap();
    daemon.primary().await.unwrap().put("a", "0").await.unwrap();
    let mut watch = Command::new(kvs_testkit::program().unwrap())
        .args(["--uri", &home.uri(), "get", "-w", "a"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut said = BufReader::new(watch.stderr.take().unwrap()).lines();
    let mut next = || printed.next().unwrap().unwrap();
    assert_eq!(next(), "0");
    for (round, killed) in [(1, false), (2, true)] {
        match killed {
            true => daemon.kill().unwrap(),
            false => daemon.stop_cleanly().unwrap(),
        }
        let away = said.next().unwrap().unwrap();
        assert!(
            away.starts_with("kvs: the daemon at unix:") && away.contains(" is away"),
            "{away}"
        );
        daemon = home.start().unwrap();
        let back = said.next().unwrap().unwrap();
        assert!(
            back.starts_with("kvs: the daemon at unix:") && back.ends_with(" is back"),
            "{back}"
        );
        daemon
            .primary()
            .await
            .unwrap()
            .put("a", round.to_string())
            .await
            .unwrap();
        assert_eq!(next(), round.to_string());
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!(said.count(), 0, "nothing more is said");
}
