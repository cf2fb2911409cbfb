//! Options of `watch`, commands that it runs, and `setroot`.

use serde_json::json;

use crate::support::{Daemon, ends_well, object};

/// Three versions of `a`; the last two put the same value.
fn three() -> Daemon {
    let kvs = Daemon::start();
    for value in ["1", "2", "2"] {
        kvs.ok(&["put", &format!("a={value}")]);
    }
    kvs
}

#[test]
fn a_watch_ends_with_a_version() {
    let kvs = three();
    kvs.ok(&["put", "b=9"]);
    let watch = ["watch", "--from", "1", "--to"];
    for (to, more, printed) in [
        ("2", &["a"][..], "1 put a = 1\n2 put a = 2\n"),
        ("4", &["a"], "1 put a = 1\n2 put a = 2\n3 put a = 2\n"),
        ("4", &["b"], "4 put b = 9\n"),
        ("3", &["b"], ""),
        ("3", &["--count", "1", "a"], "1 put a = 1\n"),
        (
            "3",
            &["--timeout", "1h", "--mode", "unique", "a"],
            "1 put a = 1\n2 put a = 2\n",
        ),
        ("4", &["--bookmarks", "1h", "x"], "mark 4\n"),
    ] {
        assert_eq!(
            kvs.ok(&[&watch[..], &[to], more].concat()),
            printed,
            "{to} {more:?}"
        );
    }
    for from in ["now", "4"] {
        assert_eq!(kvs.ok(&["watch", "--from", from, "--to", "4", "a"]), "");
    }
    // A requested initial state is delivered, however new it is.
    let initial = ["watch", "--from", "initial", "--to", "2", "a"];
    assert_eq!(kvs.ok(&initial), "4 initial a = 2\n");
    assert_eq!(kvs.ok(&["watch", "--to", "0", "a"]), "");
    let command = ["--exec", "echo $KVS_VERSION", "a"];
    assert_eq!(kvs.ok(&[&watch[..], &["2"], &command].concat()), "1\n2\n");
    let coalesced = [&watch[..], &["4", "--coalesce"], &command].concat();
    assert!(kvs.ok(&coalesced).ends_with("3\n"));
}

#[test]
fn a_watch_ends_with_a_version_that_does_not_concern_it() {
    let kvs = three();
    let all = kvs.background(&["watch", "--from", "1", "--to", "5", "a"]);
    for printed in ["1 put a = 1", "2 put a = 2", "3 put a = 2"] {
        assert_eq!(all.line(), printed);
    }
    let timeout = [
        "watch",
        "--from",
        "1",
        "--to",
        "5",
        "--timeout",
        "100ms",
        "b",
    ];
    assert_eq!(kvs.run(&timeout).code, Some(5), "it waits for the version");
    kvs.ok(&["put", "b=1"]);
    kvs.ok(&["put", "b=2"]);
    ends_well(all);
    let created = ["watch", "-N", "n", "--wait-create", "--to", "1", "a"];
    let created = kvs.background(&created);
    kvs.ok(&["namespace", "create", "n"]);
    kvs.ok(&["put", "-N", "n", "b=1"]);
    ends_well(created);
}

#[test]
fn a_watch_cannot_end_before_it_begins() {
    let kvs = three();
    let before = kvs.run(&["watch", "--from", "3", "--to", "2", "a"]);
    assert_eq!(before.code, Some(2));
    assert_eq!(before.err, "kvs: watch: --to 2 is before --from 3\n");
    assert_eq!(kvs.run(&["watch", "--to", "x", "a"]).code, Some(2));
}

#[test]
fn latest_ends_with_what_stands_for_the_version() {
    let kvs = three();
    let latest = ["watch", "--mode", "latest", "--from", "1", "--to"];
    let passed = kvs.ok(&[&latest[..], &["2", "a"]].concat());
    assert_eq!(passed, "3 skipped 2\n3 put a = 2\n");
    kvs.ok(&["put", "b=1"]);
    assert_eq!(kvs.ok(&[&latest[..], &["3", "b"]].concat()), "");
}

#[test]
fn previous_values_are_told_on_request() {
    let kvs = three();
    let watch = ["watch", "--from", "1", "--count", "2", "--previous"];
    assert_eq!(
        kvs.ok(&[&watch[..], &["a"]].concat()),
        "1 put a = 1 (was nothing)\n2 put a = 2 (was 1)\n"
    );
    let out = kvs.ok(&[&watch[..], &["--json", "a"]].concat());
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        object(lines[0])["changes"],
        json!([{ "key": "a", "kind": "put", "value": "1", "previous": null }])
    );
    assert_eq!(object(lines[1])["changes"][0]["previous"], "1");
}

#[test]
fn what_changed_behind_a_link_into_another_namespace_says_where_it_stands() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    kvs.ok(&["link", "-T", "other", "x", "way"]);
    kvs.ok(&["put", "-N", "other", "x=1"]);
    let watch = [
        "watch", "--from", "initial", "--json", "--count", "2", "way",
    ];
    let watch = kvs.background(&watch);
    let first = object(&watch.line());
    assert_eq!(
        (&first["initial"], &first["behind"]),
        (&json!(true), &json!(null))
    );
    kvs.ok(&["put", "-N", "other", "x=2"]);
    let event = object(&watch.line());
    assert_eq!(event["changes"][0]["value"], "2");
    let snapshot = kvs.ok(&["snapshot", "-N", "other"]);
    assert_eq!(
        event["behind"],
        json!({ "namespace": "other", "version": 2, "snapshot": snapshot.trim_end() })
    );
    ends_well(watch);
}

#[test]
fn keys_can_be_told_without_values() {
    let kvs = three();
    let out = kvs.ok(&["watch", "--from", "1", "--count", "2", "--keys", "a"]);
    assert_eq!(out, "1 put a\n2 put a\n");
    let err = kvs.fails(&["watch", "--keys", "--previous", "a"]);
    assert!(err.contains("cannot be used with"), "{err}");
}

#[test]
fn unique_leaves_out_what_is_equal_to_the_last() {
    let kvs = three();
    kvs.ok(&["put", "a=3"]);
    let watch = ["watch", "--from", "1", "--count", "3", "--mode", "unique"];
    assert_eq!(
        kvs.ok(&[&watch[..], &["a"]].concat()),
        "1 put a = 1\n2 put a = 2\n4 put a = 3\n"
    );
}

#[test]
fn latest_tells_the_newest_state_and_how_many_it_passed_over() {
    let kvs = three();
    let watch = ["watch", "--from", "1", "--count", "1", "--mode", "latest"];
    let out = kvs.ok(&[&watch[..], &["--json", "a"]].concat());
    let event = object(&out);
    assert_eq!(
        (&event["version"], &event["skipped"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(event["changes"][0]["value"], "2");
}

#[test]
fn append_tells_what_is_new_of_a_value_and_where_it_begins() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "log=one"]);
    let watch = ["watch", "--json", "--from", "initial", "--mode", "append"];
    let whole = object(&kvs.ok(&[&watch[..], &["--count", "1", "log"]].concat()));
    assert_eq!(whole["changes"][0]["value"], "one");
    assert_eq!(whole["initial"], true);
    assert_eq!(whole.get("differences"), None);
    let rest = ["--offset", "2", "--count", "3", "log"];
    let watch = kvs.background(&[&watch[..], &rest].concat());
    let first = object(&watch.line());
    assert_eq!(first["changes"][0]["value"], "e");
    assert_eq!(first["differences"], true);
    assert_eq!(first.get("initial"), None);
    kvs.ok(&["put", "-A", "log=two"]);
    let grown = object(&watch.line());
    assert_eq!(
        grown["changes"],
        json!([{ "key": "log", "kind": "append", "value": "two", "offset": 3 }])
    );
    kvs.ok(&["put", "log=three"]);
    let replaced = object(&watch.line());
    assert_eq!(replaced["changes"][0]["kind"], "put");
    assert_eq!(replaced["changes"][0]["value"], "three");
    ends_well(watch);
    let err = kvs.fails(&["watch", "--offset", "2", "log"]);
    assert_eq!(err, "kvs: watch: --offset is for --mode append\n");
    for interval in ["0", "99ms", "99.9ms"] {
        let err = kvs.fails(&["watch", "--bookmarks", interval, "log"]);
        assert!(
            err.contains("'--bookmarks <DURATION>': less than 100 ms"),
            "{err}"
        );
    }
}

#[test]
fn a_watch_can_wait_for_its_namespace() {
    let kvs = Daemon::start();
    let refused = kvs.fails(&["watch", "-N", "n", "a"]);
    assert_eq!(
        refused,
        "kvs: watch: Operation not supported: namespace n does not exist; `kvs namespace list` shows those that you may read\n"
    );
    let watch = ["watch", "-N", "n", "--wait-create", "--count", "1", "a"];
    let watch = kvs.background(&watch);
    // Nothing after the creation of the namespace is missed, whenever the watch began.
    kvs.ok(&["namespace", "create", "n"]);
    kvs.ok(&["put", "-N", "n", "a=1"]);
    // It may have begun after that; then it sees this one.
    let line = loop {
        if let Some(line) = watch.lines.within(std::time::Duration::from_millis(500)) {
            break line;
        }
        kvs.ok(&["put", "-N", "n", "a=1"]);
    };
    assert!(line.ends_with(" put a = 1"), "{line}");
    ends_well(watch);
}

#[test]
fn an_idle_watch_tells_how_far_it_is() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let watch = ["watch", "--from", "initial", "--bookmarks", "100ms", "a"];
    let watch = kvs.background(&watch);
    assert_eq!(watch.line(), "1 initial a = 1");
    kvs.ok(&["put", "b=1"]);
    // On a busy machine, the previous state may be reported first.
    while watch.line() != "mark 2" {}
}

#[test]
fn a_command_gets_each_event_and_the_state_that_it_is_about() {
    let kvs = three();
    kvs.ok(&["put", "a=9", "b=2", "c d=3"]);
    let command = r#"read -r event
        case $event in '{"namespace":"primary","version":'$KVS_VERSION,*'"changes":['*) ;; *) exit 9 ;; esac
        echo "$KVS_NAMESPACE $KVS_VERSION ${KVS_SNAPSHOT%:*} ${KVS_SNAPSHOT##*:}" \
             "$(echo "$KVS_KEYS" | tr '\n' ',') $KVS_ROOT""#;
    let watch = [
        "watch", "--from", "3", "--count", "2", "--exec", command, ".",
    ];
    let out = kvs.ok(&watch);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines[0][..3], ["primary", "3", "primary@3"]);
    assert_eq!(lines[0][4], "a,");
    assert_eq!(lines[0][3], lines[0][5], "the root");
    assert_eq!(lines[1][..3], ["primary", "4", "primary@4"]);
    assert!(out.contains(" a,b,c d, "), "{out}");
}

#[test]
fn commands_run_one_at_a_time_and_miss_nothing() {
    let kvs = three();
    let read = format!(
        "{} get --at $KVS_SNAPSHOT a; sleep 0.05; echo end",
        env!("CARGO_BIN_EXE_kvs")
    );
    let watch = ["watch", "--from", "1", "--count", "3", "--exec", &read, "a"];
    assert_eq!(kvs.ok(&watch), "1\nend\n2\nend\n2\nend\n");
}

#[test]
fn a_command_can_have_only_the_newest_of_what_came_while_it_ran() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=0"]);
    let command = "cat; read -r go < $FIFO; echo done";
    let fifo = tempfile::tempdir().unwrap();
    let path = fifo.path().join("go").display().to_string();
    kvs.script(&format!("mkfifo {path}")).ok();
    let command = command.replace("$FIFO", &path);
    let watch = [
        "watch",
        "--from",
        "initial",
        "--count",
        "2",
        "--coalesce",
        "--exec",
    ];
    let watch = kvs.background(&[&watch[..], &[&command, "a"]].concat());
    assert_eq!(object(&watch.line())["version"], 1);
    for value in 1..=20 {
        kvs.ok(&["put", &format!("a={value}")]);
    }
    // Once another watch has seen the last version, this one's events have been sent too.
    kvs.ok(&["watch", "--from", "21", "--count", "1", "a"]);
    kvs.script(&format!("sleep 0.3; echo > {path}")).ok();
    assert_eq!(watch.line(), "done");
    let event = object(&watch.line());
    assert_eq!(
        event["version"].as_u64().unwrap(),
        event["skipped"].as_u64().unwrap() + 2
    );
    assert!(event["skipped"].as_u64().unwrap() > 0, "{event}");
    kvs.script(&format!("echo > {path}")).ok();
    assert_eq!(watch.line(), "done");
    ends_well(watch);
}

#[test]
fn a_command_that_fails_ends_the_watch_and_says_where_to_go_on() {
    let kvs = three();
    let command = "test $KVS_VERSION != 2";
    let watch = ["watch", "--from", "1", "--exec", command, "a"];
    assert_eq!(
        kvs.fails(&watch),
        "kvs: watch: the command failed (exit status: 1) at version 2: --from 2 goes on there\n"
    );
    let err = kvs.fails(&["watch", "--coalesce", "a"]);
    assert!(err.contains("--exec"), "{err}");
}

#[test]
fn setroot_tells_each_move_with_its_keys() {
    let kvs = three();
    let root = kvs.ok(&["getroot", "-b"]);
    let out = kvs.ok(&["setroot", "--from", "2", "--count", "2"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("primary moved 2 "), "{out}");
    assert_eq!(lines[1], format!("primary moved 3 {} put a", root.trim()));
    let json = kvs.ok(&["setroot", "--json", "--from", "3", "--count", "1"]);
    let event = object(&json);
    assert_eq!(
        (&event["event"], &event["version"]),
        (&json!("moved"), &json!(3))
    );
    assert_eq!(event["root"], event["previous"], "the same value again");
    assert_eq!(event["changes"], json!([{ "key": "a", "kind": "put" }]));
    assert!(event["transactions"][0]["uid"].is_u64());
    let state = kvs.ok(&["setroot", "--from", "initial", "--count", "1"]);
    assert_eq!(state, format!("primary state 3 {}", root));
}

#[test]
fn setroot_goes_on_behind_an_event_of_an_earlier_run() {
    let kvs = three();
    let first = kvs.ok(&["setroot", "--json", "--from", "1", "--count", "1"]);
    let place = object(&first)["place"].as_str().unwrap().to_owned();
    kvs.ok(&["namespace", "create", "n"]);
    kvs.ok(&["put", "-N", "n", "b=1"]);
    kvs.ok(&["namespace", "chown", "n", "77"]);
    let told = kvs.ok(&["setroot", "--all", "--after", &place, "--count", "5"]);
    let told: Vec<&str> = told.lines().collect();
    for (line, begin) in told.iter().zip([
        "primary moved 2 ",
        "primary moved 3 ",
        "n created ",
        "n moved 1 ",
        "n owner-changed 77",
    ]) {
        assert!(line.starts_with(begin), "{told:?}");
    }
    assert_eq!(
        kvs.fails(&["setroot", "--after", "yesterday"]),
        "kvs: setroot: Invalid argument: 'yesterday' is not a place as root moves carry it\n"
    );
    let both = kvs.fails(&["setroot", "--after", &place, "--from", "now"]);
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn setroot_follows_all_namespaces_and_those_that_come_and_go() {
    let kvs = Daemon::start();
    let all = ["setroot", "--all", "--from", "initial", "--count", "4"];
    let all = kvs.background(&all);
    let some = [
        "setroot",
        "--namespaces",
        "--from",
        "initial",
        "--count",
        "3",
    ];
    let some = kvs.background(&some);
    assert!(all.line().starts_with("primary state 0 "));
    assert!(some.line().starts_with("primary state 0 "));
    kvs.ok(&["namespace", "create", "n"]);
    kvs.ok(&["put", "-N", "n", "a=1"]);
    kvs.ok(&["namespace", "remove", "n"]);
    let uid = kvs.script("id -u").ok();
    let created = format!("n created {}", uid.trim());
    assert_eq!(all.line(), created);
    assert!(all.line().starts_with("n moved 1 "));
    assert_eq!(all.line(), "n removed");
    assert_eq!(
        (some.line(), some.line()),
        (created, "n removed".to_owned())
    );
    ends_well(all);
    ends_well(some);
}
