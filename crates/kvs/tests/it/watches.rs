//! `watch`, `log`, and `get` with `--watch` and `--waitcreate`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Daemon, ends_well, object, run};

#[test]
fn watch_from_a_version_prints_it_and_all_after_it() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let second = kvs.ok(&["put", "-s", "a=2"]);
    kvs.ok(&["put", "other=x"]);
    kvs.ok(&["put", "a.b=3"]);
    kvs.ok(&["unlink", "-R", "a"]);
    assert_eq!(
        kvs.ok(&["watch", "--from", second.trim(), "--count", "1", "a"]),
        "2 put a = 2\n"
    );
    let all = kvs.ok(&["watch", "--from", "1", "--count", "4", "a"]);
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(&lines[..2], ["1 put a = 1", "2 put a = 2"]);
    assert!(lines.contains(&"4 put a.b = 3"), "{all}");
    assert!(lines.contains(&"5 unlink a"), "{all}");
}

#[test]
fn watch_json_has_one_object_a_version() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "lwj.1.state=submitted", "lwj.1.size=4", "x=y"]);
    let root = kvs.ok(&["getroot", "-b"]);
    let line = kvs.ok(&[
        "watch",
        "--from",
        "1",
        "--count",
        "1",
        "--json",
        "lwj.*.state",
    ]);
    let event = object(&line);
    assert_eq!(event["namespace"], "primary");
    assert_eq!(event["version"], 1);
    assert_eq!(event["root"], root.trim());
    assert_eq!(event["snapshot"], format!("primary@1:{}", root.trim()));
    assert!(event["time"].as_f64().unwrap() > 1.6e9);
    assert_eq!(
        event["changes"],
        json!([{ "key": "lwj.1.state", "kind": "put", "value": "submitted" }])
    );
    assert_eq!(event.get("initial"), None);
    let snapshot = event["snapshot"].as_str().unwrap();
    assert_eq!(kvs.ok(&["get", "--at", snapshot, "lwj.1.size"]), "4\n");
}

#[test]
fn every_kind_of_change_is_told() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.a=1"]);
    kvs.ok(&["put", "-A", "d.a=2"]);
    kvs.ok(&["mkdir", "d.m"]);
    kvs.ok(&["link", "-T", "ns", "t", "d.l"]);
    kvs.ok(&["unlink", "d.a"]);
    let lines = kvs.ok(&["watch", "--from", "2", "--count", "4", "d"]);
    assert_eq!(
        lines,
        "2 append d.a += 2\n3 mkdir d.m.\n4 link d.l -> ns::t\n5 unlink d.a\n"
    );
    let lines = kvs.ok(&["watch", "--from", "2", "--count", "4", "--json", "d.*"]);
    let changes: Vec<Value> = lines
        .lines()
        .map(|line| object(line)["changes"].clone())
        .collect();
    assert_eq!(
        changes,
        [
            json!([{ "key": "d.a", "kind": "append", "value": "2" }]),
            json!([{ "key": "d.m", "kind": "mkdir" }]),
            json!([{ "key": "d.l", "kind": "link", "value": "ns::t" }]),
            json!([{ "key": "d.a", "kind": "unlink" }]),
        ]
    );
}

#[test]
fn bytes_and_long_values_come_with_their_event() {
    let kvs = Daemon::start();
    run(kvs.command(&["put", "-r", "b=-"]), b"\xff\x00").ok();
    let long = "0123456789abcdef".repeat(200_000);
    run(kvs.command(&["put", "-r", "l=-"]), long.as_bytes()).ok();
    run(kvs.command(&["put", "-r", "-A", "l=-"]), long.as_bytes()).ok();
    let lines = kvs.ok(&["watch", "--from", "1", "--count", "3", "--json", "."]);
    let changes: Vec<Value> = lines
        .lines()
        .map(|line| object(line)["changes"][0].clone())
        .collect();
    assert_eq!(
        changes[0],
        json!({ "key": "b", "kind": "put", "value_base64": "/wA=" })
    );
    assert_eq!(changes[1]["kind"], "put");
    assert!(changes[1]["value"] == *long);
    assert_eq!(changes[2]["kind"], "append");
    assert!(changes[2]["value"] == *long);
}

#[test]
fn the_initial_state_comes_first_and_says_so() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.a=1", "d.b=2", "e=3"]);
    let watch = kvs.background(&[
        "watch", "--from", "initial", "--count", "2", "--json", "d.*",
    ]);
    let first = object(&watch.line());
    assert_eq!(
        (&first["initial"], &first["version"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        first["changes"],
        json!([{ "key": "d.a", "kind": "put", "value": "1" }, { "key": "d.b", "kind": "put", "value": "2" }])
    );
    kvs.ok(&["put", "d.b=4"]);
    let second = object(&watch.line());
    assert_eq!(
        (second.get("initial"), &second["version"]),
        (None, &json!(2))
    );
    ends_well(watch);
    let lines = kvs.ok(&["watch", "--from", "initial", "--count", "1", "d.*"]);
    assert_eq!(lines, "2 initial d.a = 1\n2 initial d.b = 4\n");
}

#[test]
fn an_empty_initial_state_is_an_object_without_changes() {
    let kvs = Daemon::start();
    let line = kvs.ok(&["watch", "--from", "initial", "--count", "1", "--json", "a"]);
    let event = object(&line);
    assert_eq!(
        (&event["initial"], &event["changes"]),
        (&json!(true), &json!([]))
    );
}

#[test]
fn watch_begins_now_and_flushes_every_event() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=before"]);
    let watch = kvs.background(&["watch", "--count", "1", "a"]);
    // Nothing reports when a watch from now is open, so put until it is.
    let line = loop {
        kvs.ok(&["put", "a=after"]);
        if let Some(line) = watch.lines.within(Duration::from_millis(100)) {
            break line;
        }
    };
    assert!(line.ends_with(" put a = after"), "{line}");
    ends_well(watch);
}

#[test]
fn people_get_one_line_a_change_whatever_the_value() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=one\ntwo\u{1b}[1m"]);
    assert_eq!(
        kvs.ok(&["watch", "--from", "1", "--count", "1", "a"]),
        "1 put a = one\\ntwo\\u{1b}[1m\n"
    );
}

#[test]
fn watch_refuses_what_it_does_not_understand() {
    let kvs = Daemon::start();
    let err = kvs.fails(&["watch", "--from", "then", "a"]);
    assert!(err.contains("not now, initial or a version"), "{err}");
    assert!(
        kvs.fails(&["watch", "--count", "0", "a"])
            .starts_with("kvs: ")
    );
    assert!(kvs.fails(&["watch"]).contains("Usage: kvs watch"));
    assert_eq!(
        kvs.fails(&["watch", ""]),
        "kvs: watch: Invalid argument: key must not be empty\n"
    );
}

#[test]
fn log_tells_versions_users_and_keys() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "b=2"]);
    kvs.ok(&["unlink", "a"]);
    kvs.ok(&["mkdir", "c"]);
    let uid = kvs.script("id -u").ok();
    let uid = uid.trim();
    let log = kvs.ok(&["log"]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[0].starts_with("1 20"), "{log}");
    assert!(lines[0].ends_with(&format!(" {uid} put a put b")), "{log}");
    assert!(lines[1].ends_with(&format!(" {uid} unlink a")), "{log}");
    assert!(lines[2].ends_with(&format!(" {uid} mkdir c")), "{log}");
    assert_eq!(
        kvs.ok(&["log", "--from", "2", "--to", "2"]),
        format!("{}\n", lines[1])
    );
    assert_eq!(kvs.ok(&["log", "a"]).lines().count(), 2);
}

#[test]
fn log_json_has_the_members_of_a_watch() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    kvs.ok(&["put", "b=1"]);
    let snapshot = kvs.ok(&["snapshot", "--version", "1"]);
    let uid: u32 = kvs.script("id -u").ok().trim().parse().unwrap();
    let line = kvs.ok(&["log", "--json", "--to", "1"]);
    let version = object(&line);
    assert_eq!(version["namespace"], "primary");
    assert_eq!(version["version"], 1);
    assert_eq!(version["snapshot"], snapshot.trim());
    assert!(version["time"].as_f64().unwrap() > 1.6e9);
    assert_eq!(version["transactions"][0]["uid"], uid);
    assert_eq!(version["changes"], json!([{ "key": "a", "kind": "put" }]));
}

#[test]
fn get_watch_prints_the_value_and_then_each_new_one() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=0"]);
    let watch = kvs.background(&["get", "-w", "-c", "4", "a"]);
    assert_eq!(watch.line(), "0");
    kvs.ok(&["put", "a=1"]);
    assert_eq!(watch.line(), "1");
    kvs.ok(&["put", "b=1"]);
    kvs.ok(&["put", "a=1"]);
    assert_eq!(watch.line(), "1", "the same value written again");
    kvs.ok(&["put", "-A", "a=2"]);
    assert_eq!(watch.line(), "12");
    ends_well(watch);
}

#[test]
fn get_watch_of_several_keys_shares_one_count() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=0", "b=0"]);
    let watch = kvs.background(&["get", "-l", "-w", "-c", "3", "a", "b"]);
    let mut first = [watch.line(), watch.line()];
    first.sort();
    assert_eq!(first, ["a=0", "b=0"]);
    kvs.ok(&["put", "b=1"]);
    assert_eq!(watch.line(), "b=1");
    ends_well(watch);
}

#[test]
fn get_watch_uniq_drops_equal_values() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=0"]);
    let watch = kvs.background(&["get", "-w", "-u", "-c", "2", "a"]);
    assert_eq!(watch.line(), "0");
    kvs.ok(&["put", "a=0"]);
    kvs.ok(&["put", "a=1"]);
    assert_eq!(watch.line(), "1");
    ends_well(watch);
}

#[test]
fn get_watch_append_prints_only_what_was_appended() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=old"]);
    let mut watch = kvs.background(&["get", "-w", "-A", "a"]);
    assert_eq!(watch.line(), "old");
    kvs.ok(&["put", "-A", "a=new"]);
    assert_eq!(watch.line(), "new");
    kvs.ok(&["put", "-A", "a=new"]);
    assert_eq!(watch.line(), "new");
    kvs.ok(&["put", "a=all"]);
    assert_eq!(
        watch.wait().code(),
        Some(1),
        "a value that is replaced cannot be followed so"
    );
}

#[test]
fn get_watch_sees_indirect_changes() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b=1", "c.b=2"]);
    kvs.ok(&["link", "a", "l"]);
    let watch = kvs.background(&["get", "-w", "-c", "3", "l.b"]);
    assert_eq!(watch.line(), "1");
    kvs.ok(&["link", "c", "l"]);
    assert_eq!(watch.line(), "2");
    kvs.ok(&["copy", "a", "c"]);
    assert_eq!(watch.line(), "1");
    ends_well(watch);
}

#[test]
fn get_watch_ends_when_the_key_goes() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.a=1"]);
    let watch = kvs.background(&["get", "-w", "d.a"]);
    assert_eq!(watch.line(), "1");
    kvs.ok(&["unlink", "-R", "d"]);
    let mut watch = watch;
    assert_eq!(watch.wait().code(), Some(3));
    let missing = kvs.fails(&["get", "-w", "d.a"]);
    assert_eq!(missing, "kvs: d.a: No such file or directory\n");
    kvs.ok(&["mkdir", "d"]);
    assert_eq!(
        kvs.fails(&["get", "-w", "d"]),
        "kvs: d: Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object\n"
    );
}

#[test]
fn get_watch_treeobj_follows_a_directory() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.a=1"]);
    let watch = kvs.background(&["get", "-w", "-t", "-c", "2", "d"]);
    let first = watch.line();
    kvs.ok(&["put", "d.a=2"]);
    let second = watch.line();
    assert_ne!(first, second);
    assert_eq!(kvs.ok(&["get", "--at", &first, "a"]), "1\n");
    assert_eq!(kvs.ok(&["get", "--at", &second, "a"]), "2\n");
    ends_well(watch);
}

#[test]
fn waitcreate_waits_for_the_key() {
    let kvs = Daemon::start();
    let waiting = kvs.background(&["get", "-W", "d.a"]);
    let watching = kvs.background(&["get", "-W", "-w", "-c", "2", "d.a"]);
    kvs.ok(&["put", "d.b=0"]);
    kvs.ok(&["put", "d.a=1"]);
    assert_eq!(waiting.line(), "1");
    ends_well(waiting);
    assert_eq!(watching.line(), "1");
    kvs.ok(&["put", "d.a=2"]);
    assert_eq!(watching.line(), "2");
    ends_well(watching);
}

#[test]
fn a_watch_of_a_link_tells_what_happens_in_another_namespace() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    kvs.ok(&["put", "-N", "other", "a=1"]);
    kvs.ok(&["link", "-T", "other", "a", "l"]);
    let mut watch = kvs.background(&["watch", "--from", "initial", "--count", "4", "l"]);
    assert_eq!(watch.line(), "1 initial l = 1");
    for (value, line) in [("2", "1 put l = 2"), ("3", "1 put l = 3")] {
        kvs.ok(&["put", "-N", "other", &format!("a={value}")]);
        assert_eq!(watch.line(), line);
    }
    kvs.ok(&["namespace", "remove", "other"]);
    assert_eq!(watch.line(), "1 unlink l");
    assert_eq!(watch.wait().code(), Some(0));
}
