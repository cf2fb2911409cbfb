//! Verbs that follow keys through links into other namespaces: `eventlog`, `get --watch`, `watch`.

use crate::support::{Background, Daemon, ends_well, object, run};

/// Creates the namespaces `job` and `deep`. In primary, `l` links to `job`; in `job`, `h` links to
/// `deep`; `two` in primary passes both, so `two.log` is `log` in `deep`.
fn linked() -> Daemon {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "job", "deep"]);
    kvs.ok(&["link", "-T", "job", ".", "l"]);
    kvs.ok(&["link", "-N", "job", "-T", "deep", ".", "h"]);
    kvs.ok(&["link", "l.h", "two"]);
    kvs
}

fn append_event(kvs: &Daemon, namespace: &str, name: &str) {
    kvs.ok(&[
        "eventlog", "append", "-N", namespace, "-t", "1", "log", name,
    ]);
}

/// Paths into the two namespaces: `(namespace, prefix of the key in primary)`.
const WAYS: [(&str, &str); 3] = [("job", "l"), ("deep", "l.h"), ("deep", "two")];

#[test]
fn an_eventlog_in_another_namespace_is_followed_one_hop_and_two() {
    for (namespace, way) in WAYS {
        let kvs = linked();
        let log = format!("{way}.log");
        append_event(&kvs, namespace, "init");
        let mut get = kvs.background(&["eventlog", "get", "-w", "-c", "3", &log]);
        assert_eq!(get.line(), "1.000000 init");
        let mut waiting = kvs.background(&["eventlog", "wait-event", "-v", &log, "done"]);
        assert_eq!(waiting.line(), "1.000000 init");
        append_event(&kvs, namespace, "start");
        assert_eq!(get.line(), "1.000000 start");
        append_event(&kvs, namespace, "done");
        for command in [&mut get, &mut waiting] {
            while let Some(line) = command.lines.next() {
                assert!(["1.000000 start", "1.000000 done"].contains(&line.as_str()));
            }
            assert!(command.wait().success());
        }
    }
}

#[test]
fn what_is_not_there_yet_is_waited_for_behind_a_link() {
    let kvs = Daemon::start();
    kvs.ok(&["link", "-T", "job", ".", "l"]);
    let mut event = kvs.background(&["eventlog", "wait-event", "-W", "l.log", "done"]);
    let mut value = kvs.background(&["get", "-W", "l.a"]);
    let mut follow = kvs.background(&["get", "-W", "-w", "-A", "-c", "2", "l.a"]);
    assert_eq!(
        kvs.fails(&["get", "-w", "l.a"]).matches("l.a: ").count(),
        1,
        "who does not wait is told"
    );
    kvs.ok(&["namespace", "create", "job"]);
    append_event(&kvs, "job", "start");
    append_event(&kvs, "job", "done");
    kvs.ok(&["put", "-N", "job", "a=1"]);
    assert_eq!(event.line(), "1.000000 done");
    assert_eq!(value.line(), "1");
    assert_eq!(follow.line(), "1");
    kvs.ok(&["put", "-N", "job", "-A", "a=2"]);
    assert_eq!(follow.line(), "2");
    for command in [&mut event, &mut value, &mut follow] {
        assert!(command.wait().success());
    }
}

#[test]
fn a_value_behind_a_link_is_printed_once_however_often_it_is_told() {
    for (namespace, way) in WAYS {
        let kvs = linked();
        let key = format!("{way}.a");
        kvs.ok(&["put", "-N", namespace, "a=1"]);
        let get = kvs.background(&["get", "-w", "-c", "3", &key]);
        assert_eq!(get.line(), "1");
        // Changes of other keys or in other namespaces do not print it again.
        kvs.ok(&["put", "other=x"]);
        kvs.ok(&["put", "-N", namespace, "other=x"]);
        kvs.ok(&["put", "-N", namespace, "a=2"]);
        assert_eq!(get.line(), "2");
        let long = "x".repeat(70_000);
        kvs.ok(&["put", "-N", namespace, &format!("a={long}")]);
        assert_eq!(get.line(), long);
        ends_well(get);
    }
}

#[test]
fn appends_behind_a_link_are_printed_alone_and_a_replacement_ends_them() {
    for (namespace, way) in WAYS {
        let kvs = linked();
        let key = format!("{way}.a");
        let put = |option: &str, value: &str| {
            let command = kvs.command(&["put", "-N", namespace, option, "-r", "a=-"]);
            run(command, value.as_bytes()).ok();
        };
        put("-n", "one");
        let mut get = kvs.background(&["get", "-w", "-A", &key]);
        assert_eq!(get.line(), "one");
        let long = "y".repeat(200_000);
        for more in ["two", &long, "three"] {
            put("-A", more);
            assert_eq!(get.line(), more);
        }
        put("-n", &"z".repeat(300_000));
        assert_eq!(get.lines.next(), None);
        assert!(!get.wait().success());
    }
}

#[test]
fn a_link_on_the_key_itself_and_one_that_is_turned_are_followed() {
    let kvs = linked();
    kvs.ok(&["put", "-N", "job", "a=1"]);
    kvs.ok(&["put", "-N", "deep", "b=2"]);
    kvs.ok(&["link", "-T", "job", "a", "k"]);
    let get = kvs.background(&["get", "-w", "-c", "4", "k"]);
    assert_eq!(get.line(), "1");
    kvs.ok(&["link", "-T", "deep", "b", "k"]);
    assert_eq!(get.line(), "2");
    kvs.ok(&["put", "-N", "job", "a=unseen"]);
    kvs.ok(&["put", "-N", "deep", "b=3"]);
    assert_eq!(get.line(), "3");
    kvs.ok(&["put", "k=here"]);
    assert_eq!(get.line(), "here");
    ends_well(get);
}

/// The command prints nothing more and fails.
fn ends_badly(mut command: Background) {
    assert_eq!(command.lines.next(), None);
    assert!(!command.wait().success());
}

#[test]
fn a_namespace_that_is_removed_ends_what_followed_into_it() {
    for (namespace, way) in WAYS {
        let kvs = linked();
        kvs.ok(&["put", "-N", namespace, "a=1"]);
        let key = format!("{way}.a");
        let whole = kvs.background(&["get", "-w", &key]);
        let grown = kvs.background(&["get", "-w", "-A", &key]);
        let waited = kvs.background(&["get", "-W", "-w", &key]);
        for get in [&whole, &grown, &waited] {
            assert_eq!(get.line(), "1");
        }
        kvs.ok(&["namespace", "remove", namespace]);
        [whole, grown, waited].into_iter().for_each(ends_badly);
    }
}

#[test]
fn a_watch_goes_on_when_the_namespace_is_removed_and_made_again() {
    let kvs = linked();
    kvs.ok(&["put", "-N", "deep", "a=1"]);
    let watch = kvs.background(&[
        "watch", "--json", "--from", "initial", "--count", "4", "two.a",
    ]);
    let change = |line: &str| {
        let event = object(line);
        let namespace = event["behind"]["namespace"].clone();
        (namespace, event["changes"][0].clone())
    };
    let first = object(&watch.line());
    assert_eq!(first["changes"][0]["value"], "1");
    kvs.ok(&["namespace", "remove", "deep"]);
    let removed = watch.line();
    assert_eq!(object(&removed)["time"], serde_json::Value::Null);
    let (namespace, gone) = change(&removed);
    assert_eq!(
        (namespace, gone["kind"].as_str()),
        ("deep".into(), Some("unlink"))
    );
    kvs.ok(&["namespace", "create", "deep"]);
    kvs.ok(&["put", "-N", "deep", "a=2"]);
    assert_eq!(change(&watch.line()).1["value"], "2");
    let long = "x".repeat(100_000);
    kvs.ok(&["put", "-N", "deep", &format!("a={long}")]);
    let (namespace, there) = change(&watch.line());
    assert_eq!(
        (namespace, there["value"].as_str()),
        ("deep".into(), Some(&*long))
    );
    ends_well(watch);
}

#[test]
fn watch_in_append_mode_and_with_a_command_works_behind_a_link() {
    for (namespace, way) in WAYS {
        let kvs = linked();
        let key = format!("{way}.a");
        kvs.ok(&["put", "-N", namespace, "a=1"]);
        let from = ["--from", "initial", "--count", "3"];
        let grown = kvs.background(&[&["watch", "--mode", "append"], &from[..], &[&key]].concat());
        let exec = [
            "watch", "--exec", "cat", "--from", "initial", "--count", "2", &key,
        ];
        let exec = kvs.background(&exec);
        assert!(grown.line().ends_with(&format!("initial {key} = 1")));
        assert_eq!(object(&exec.line())["changes"][0]["value"], "1");
        kvs.ok(&["put", "-N", namespace, "-A", "a=2"]);
        assert!(grown.line().ends_with(&format!("append {key} += 2")));
        let event = object(&exec.line());
        assert_eq!(event["changes"][0]["value"], "12");
        assert_eq!(event["behind"]["namespace"], namespace);
        kvs.ok(&["put", "-N", namespace, "a=3"]);
        assert!(grown.line().ends_with(&format!("put {key} = 3")));
        ends_well(grown);
        ends_well(exec);
    }
}

#[test]
fn a_tree_object_behind_a_link_is_printed_when_it_changes() {
    let kvs = linked();
    kvs.ok(&["put", "-N", "job", "d.a=1"]);
    let get = kvs.background(&["get", "-w", "-t", "-c", "2", "l.d"]);
    let first = get.line();
    kvs.ok(&["put", "-N", "job", "other=1"]);
    kvs.ok(&["put", "-N", "job", "d.a=2"]);
    assert_ne!(get.line(), first);
    ends_well(get);
}

#[test]
fn writes_do_not_cross_namespaces() {
    let kvs = linked();
    let refused = kvs.fails(&["eventlog", "append", "l.log", "start"]);
    assert!(refused.contains("l.log: Invalid argument"), "{refused}");
    let refused = kvs.fails(&["put", "-A", "two.a=1"]);
    assert!(refused.contains("two.a: Invalid argument"), "{refused}");
}

#[test]
fn links_that_lead_into_each_other_across_namespaces_are_an_error() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "job"]);
    kvs.ok(&["link", "-T", "job", "b", "a"]);
    kvs.ok(&["link", "-N", "job", "-T", "primary", "a", "b"]);
    for command in [
        &["get", "-w"][..],
        &["get", "-W"],
        &["eventlog", "get", "-w"],
    ] {
        let failed = kvs.fails(&[command, &["a"]].concat());
        assert!(
            failed.contains("Too many levels of symbolic links"),
            "{failed}"
        );
    }
}
