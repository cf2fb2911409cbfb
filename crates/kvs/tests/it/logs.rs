//! `kvs log` and `kvs status`.

use crate::support::{Daemon, object};

fn versions(printed: &str) -> Vec<u64> {
    let first = |line: &str| line.split(' ').next().unwrap().parse().unwrap();
    printed.lines().map(first).collect()
}

#[test]
fn a_log_can_have_values_and_be_read_from_its_end() {
    let kvs = Daemon::start();
    for n in 1..=6 {
        let key = if n % 2 == 0 { "even" } else { "odd" };
        kvs.ok(&["put", &format!("{key}.v={n}")]);
    }
    let log = |arguments: &[&str]| versions(&kvs.ok(&[&["log"], arguments].concat()));
    assert_eq!(log(&[]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(log(&["-n", "2"]), [5, 6]);
    assert_eq!(log(&["-n", "2", "--reverse"]), [6, 5]);
    assert_eq!(log(&["-n", "2", "odd"]), [3, 5]);
    assert_eq!(log(&["--reverse", "even"]), [6, 4, 2]);
    assert_eq!(log(&["--reverse", "--from", "2", "--to", "4"]), [4, 3, 2]);
    assert_eq!(log(&["-n", "99"]), [1, 2, 3, 4, 5, 6]);
    assert!(log(&["-n", "0"]).is_empty());
    assert!(log(&["-n", "1", "none"]).is_empty());
    assert!(log(&["--from", "9"]).is_empty());
    let values = kvs.ok(&["log", "--values", "-n", "1"]);
    assert!(values.ends_with("\n  6 put even.v = 6\n"), "{values}");
    let line = object(&kvs.ok(&["log", "--values", "--json", "-n", "1", "odd"]));
    assert_eq!(line["changes"][0]["value"], "5");
    assert_eq!(line["version"], 5);
}

#[test]
fn long_values_are_left_out_of_a_log_and_gone_ones_have_none() {
    let kvs = Daemon::start();
    let long = "x".repeat(100_000);
    kvs.ok(&["put", &format!("long={long}")]);
    crate::support::run(
        kvs.command(&["put", "-r", "longer=-"]),
        &vec![b'y'; 2 << 20],
    )
    .ok();
    kvs.ok(&["unlink", "long"]);
    let changes = |version: &str| {
        let line = kvs.ok(&[
            "log", "--values", "--json", "--from", version, "--to", version,
        ]);
        object(&line)["changes"].clone()
    };
    assert_eq!(changes("1")[0]["value"], long.as_str(), "as it was then");
    assert_eq!(changes("2")[0].get("value"), None);
    assert_eq!(changes("3")[0].get("value"), None);
}

#[test]
fn a_log_begins_at_a_time() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    kvs.ok(&["put", "a=2"]);
    let time = object(&kvs.ok(&["log", "--json", "-n", "1"]))["time"]
        .as_f64()
        .unwrap();
    let log = |since: &str| versions(&kvs.ok(&["log", "--since", since]));
    assert_eq!(log("1h"), [1, 2]);
    assert_eq!(log("@0"), [1, 2]);
    assert_eq!(log("2020-01-01"), [1, 2]);
    assert!(log(&format!("@{time:.3}")).contains(&2));
    assert!(log(&format!("@{:.3}", time + 3600.0)).is_empty());
    let err = kvs.fails(&["log", "--since", "noon"]);
    assert!(
        err.contains("not a duration such as 15m, a time such as"),
        "{err}"
    );
}

#[test]
fn a_long_log_is_read_backwards_window_by_window() {
    let kvs = Daemon::start_with(&["--durability", "none"]);
    // More than one window, and versions so large that a window of them exceeds a page.
    let script =
        "for i in $(seq 8); do (for n in $(seq 20); do kvs put -n k.$i=$n; done) & done; wait";
    kvs.script(script).ok();
    let wide: String = (0..4000)
        .map(|n| format!("put w.{n}{n:0100}=1\n"))
        .collect();
    for _ in 0..10 {
        crate::support::run(kvs.command(&["txn"]), wide.as_bytes()).ok();
    }
    let all = versions(&kvs.ok(&["log"]));
    assert_eq!(all, (1..=170).collect::<Vec<u64>>());
    let mut back = versions(&kvs.ok(&["log", "--reverse"]));
    back.reverse();
    assert_eq!(back, all);
    assert_eq!(versions(&kvs.ok(&["log", "-n", "140"])), all[30..]);
}

#[test]
fn a_daemon_tells_how_it_is() {
    let kvs = Daemon::start();
    let status = object(&kvs.ok(&["status", "--json"]));
    assert!(status["uptime_ms"].is_u64() && status["connections"].is_u64());
    for work in [
        "slice_visits_max",
        "slice_long",
        "slice_max_ns",
        "slice_max_ns_watch",
        "checkpoint_last_bytes",
        "checkpoint_most_held_ns",
        "match_visits_max",
        "match_lag_max",
    ] {
        assert!(status[work].is_u64(), "{work} is missing from {status}");
    }
    assert!(status["software"].as_str().unwrap().starts_with("kvs "));
    let printed = kvs.ok(&["status"]);
    for (name, _) in status.as_object().unwrap() {
        let line = |line: &str| line.split(' ').next() == Some(name.as_str());
        assert!(
            printed.lines().any(line),
            "{name} is missing from {printed}"
        );
    }
}
