//! Large values, large trees, long logs, many namespaces, many commits. The runs are those of the
//! program `measure`, short; how fast they are is not judged here.

use std::env::temp_dir;

use kvs_acceptance::{AppendGrowth, DirRecursive, LargeValue, ManyNamespaces, StoreGrowth};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_comes_back_whole_through_little_memory() {
    let run = LargeValue {
        mib: 160,
        rounds: 1,
        directory: temp_dir(),
    };
    let report = run.run().await.unwrap();
    for side in ["put", "get", "daemon"] {
        let peak = report.value(&format!("{side}_peak_memory_mib")).unwrap();
        assert!(peak < 100.0, "{side} had {peak} MiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_of_many_pages_is_listed_as_it_was_in_one_version() {
    let run = DirRecursive {
        keys: 10_000,
        rounds: 2,
        directory: temp_dir(),
    };
    run.run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_of_a_long_eventlog_is_there() {
    let run = AppendGrowth {
        entries: 20_000,
        warm_up: 1_000,
        window: 1_000,
        directory: temp_dir(),
    };
    run.run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_namespaces_survive_kill_nine() {
    let run = ManyNamespaces {
        namespaces: 500,
        directory: temp_dir(),
    };
    run.run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_of_many_commits_has_every_figure_that_a_new_one_has() {
    let run = StoreGrowth {
        commits: 20_000,
        rounds: 1,
        milliseconds: 20,
    };
    let report = run.run(&temp_dir()).await.unwrap();
    for side in ["old", "new", "restarted", "new_then"] {
        for figure in [
            "put_128_us",
            "put_us",
            "get_128_us",
            "get_us",
            "watch_us",
            "written_bytes_per_put",
            "resident_mib",
        ] {
            let value = report.value(&format!("{side}_{figure}"));
            assert!(
                value.is_some_and(f64::is_finite),
                "{side} {figure}: {report}"
            );
        }
    }
}
