//! `kvs bench`: checks that it measures and prints the documented fields, not how fast anything is.

use serde_json::Value;

use crate::support::{Daemon, Outcome, run, without_daemon};

/// Members of every object.
const FIELDS: [&str; 8] = [
    "workload",
    "rate",
    "p50_us",
    "p90_us",
    "p99_us",
    "max_us",
    "daemon_rss_bytes",
    "disk_bytes_per_op",
];

fn bench(arguments: &[&str]) -> Outcome {
    run(without_daemon(&[&["bench"], arguments].concat()), b"")
}

#[test]
fn puts_against_the_own_daemon_give_one_object_with_every_field() {
    let out = bench(&["put", "--seconds", "0.2", "--in-flight", "16", "--json"]).ok();
    assert_eq!(out.lines().count(), 1, "{out}");
    let object: Value = serde_json::from_str(&out).unwrap();
    for field in FIELDS {
        assert!(!object[field].is_null(), "{field}: {out}");
    }
    for field in ["pingpong_p50_us", "fdatasync_p50_us", "append_rate"] {
        assert!(object["limit"][field].is_number(), "{field}: {out}");
    }
    assert_eq!(object["workload"], "put");
    assert_eq!(object["hash"], "blake3");
    assert!(object["rate"].as_f64().unwrap() > 0.0, "{out}");
}

#[test]
fn the_own_daemons_store_has_the_hash_that_is_asked_for() {
    let out = bench(&["put", "--hash", "sha1", "--seconds", "0.05", "--json"]).ok();
    // As reported by the daemon.
    assert!(out.contains("\"hash\":\"sha1\""), "{out}");
}

#[test]
fn every_workload_gives_a_line_of_the_table() {
    let out = bench(&[
        "all",
        "--seconds",
        "0.05",
        "--keys",
        "50",
        "--watchers",
        "3",
        "--value-size",
        "2000",
        "--layout",
        "lwj",
    ])
    .ok();
    for workload in [
        "put",
        "get",
        "snapshot-get",
        "mixed",
        "watch",
        "idle-watches",
        "txn",
        "append",
        "large-value",
        "directory-growth",
        "restart",
    ] {
        let line = |line: &str| line.trim_start().starts_with(&format!("{workload} "));
        assert!(out.lines().any(line), "{workload}: {out}");
    }
}

#[test]
fn a_running_daemon_is_left_as_it_was() {
    let daemon = Daemon::start_with(&["--hash", "sha1"]);
    let before = daemon.ok(&["namespace", "list"]);
    let out = daemon.ok(&["bench", "txn", "--seconds", "0.05", "--json"]);
    assert!(out.contains("\"durability\":null"), "{out}");
    assert!(out.contains("\"hash\":\"sha1\""), "{out}");
    assert_eq!(daemon.ok(&["namespace", "list"]), before);
    assert_eq!(daemon.version(), 0);
    assert!(daemon.fails(&["bench", "restart"]).contains("own daemon"));
}

#[test]
fn wrong_options_are_refused_before_anything_is_measured() {
    for (arguments, says) in [
        (["nothing", "--clients", "1"], "no such workload"),
        (["put", "--clients", "0"], "--clients"),
        (["put", "--in-flight", "5000"], "--in-flight"),
        (["put", "--durability", "some"], "durability"),
        (["put", "--hash", "md5"], "hash"),
        (["put", "--pin", "x"], "--pin"),
        (["put", "--seconds", "0"], "--seconds"),
    ] {
        let err = bench(&arguments).fails();
        assert!(err.starts_with("kvs: ") && err.contains(says), "{err}");
    }
}
