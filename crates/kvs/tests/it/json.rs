//! `--json` of every verb that prints data.

use serde_json::{Value, json};

use crate::support::{Background, Daemon, run};

fn objects(printed: &str) -> Vec<Value> {
    let lines = printed.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn values_directories_and_links_are_objects() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "t.a=1", "t.d.e=two\nlines"]);
    kvs.ok(&["link", "-T", "ns", "x.y", "t.l"]);
    let snapshot = kvs.ok(&["snapshot"]);
    let snapshot = snapshot.trim();
    let value = |key: &str, value: &str| json!({"key": key, "type": "value", "value": value, "version": 2, "snapshot": snapshot});
    let values = [value("t.a", "1"), value("t.d.e", "two\nlines")];
    assert_eq!(objects(&kvs.ok(&["get", "--json", "t.a", "t.d.e"])), values);
    assert_eq!(objects(&kvs.ok(&["get", "--json", "t.a"])), values[..1]);
    let before = &objects(&kvs.ok(&["get", "--json", "--at", "1", "t.a"]))[0];
    assert_eq!(before["version"], 1);
    let root = kvs.ok(&["getroot", "-b"]);
    let bare = &objects(&kvs.ok(&["get", "--json", "--at", root.trim(), "t.a"]))[0];
    assert_eq!(*bare, json!({"key": "t.a", "type": "value", "value": "1"}));
    let object = json!({"data": "MQ==", "type": "val", "ver": 1});
    assert_eq!(
        objects(&kvs.ok(&["get", "-t", "--json", "t.a"])),
        [json!({"key": "t.a", "treeobj": object, "version": 2, "snapshot": snapshot})]
    );
    let link = json!({"key": "t.l", "type": "link", "target": "x.y", "namespace": "ns"});
    assert_eq!(
        objects(&kvs.ok(&["readlink", "--json", "t.l"])),
        [link.clone(); 1]
    );
    assert_eq!(
        objects(&kvs.ok(&["dir", "-R", "--json", "t"])),
        [
            json!({"key": "t.a", "type": "value", "value": "1"}),
            json!({"key": "t.d.e", "type": "value", "value": "two\nlines"}),
            link.clone(),
        ]
    );
    let listed = [
        json!({"key": "t.a", "type": "value", "size": 1}),
        json!({"key": "t.d", "type": "directory"}),
        link,
    ];
    assert_eq!(objects(&kvs.ok(&["ls", "--json", "t"])), listed);
    assert_eq!(objects(&kvs.ok(&["dir", "-d", "--json", "t"])), listed);
    assert_eq!(
        objects(&kvs.ok(&["ls", "-R", "--json", "t.a", "t"])).len(),
        5
    );
}

#[test]
fn followed_values_are_objects() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let mut watch = kvs.background(&["get", "-w", "-c2", "--json", "a"]);
    let line = |watch: &Background, value: &str| {
        let line: Value = serde_json::from_str(&watch.line()).unwrap();
        let snapshot = kvs.ok(&["snapshot"]);
        let version = kvs.version();
        let is = json!({"key": "a", "type": "value", "value": value, "version": version,
                        "snapshot": snapshot.trim()});
        assert_eq!(line, is);
    };
    line(&watch, "1");
    kvs.ok(&["put", "a=2"]);
    line(&watch, "2");
    assert_eq!(watch.wait().code(), Some(0));
}

#[test]
fn appends_and_values_behind_links_are_objects_with_their_state() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "job"]);
    kvs.ok(&["link", "-T", "job", "x", "way"]);
    for (namespace, key, options) in [
        ("primary", "a", &["-w", "-A"][..]),
        ("primary", "b", &["-w", "-A", "-W"]),
        ("job", "way", &["-w", "-A"]),
        ("job", "way", &["-w"]),
        ("job", "way", &["-w", "-u", "-W"]),
    ] {
        let target = if key == "way" { "x" } else { key };
        let put = |value: &str, option: &str| {
            let pair = format!("{target}={value}");
            kvs.ok(&[&["put", "-N", namespace][..], &[option, &pair]].concat());
            let snapshot = kvs.ok(&["snapshot", "-N", namespace]);
            let version = kvs.ok(&["version", "-N", namespace]);
            (
                snapshot.trim().to_owned(),
                version.trim().parse::<u64>().unwrap(),
            )
        };
        let state = put("1", "-r");
        let watch = kvs.background(&[&["get", "--json", "-c3"][..], options, &[key]].concat());
        let line = |value: &str, (snapshot, version): (String, u64)| {
            let line: Value = serde_json::from_str(&watch.line()).unwrap();
            let is = json!({"key": key, "type": "value", "value": value, "version": version,
                            "snapshot": snapshot});
            assert_eq!(line, is, "{options:?} {key}");
        };
        let appends = options.contains(&"-A");
        line("1", state);
        line(if appends { "2" } else { "12" }, put("2", "-A"));
        line(if appends { "3" } else { "123" }, put("3", "-A"));
    }
}

#[test]
fn states_pins_and_namespaces_are_objects() {
    let kvs = Daemon::start();
    let committed = &objects(&kvs.ok(&["put", "--json", "a=1"]))[0];
    let root = kvs.ok(&["getroot", "-b"]);
    let reference = kvs.ok(&["snapshot"]);
    assert_eq!(
        *committed,
        json!({"namespace": "primary", "version": 1, "root": root.trim(),
               "snapshot": reference.trim()})
    );
    for verb in ["getroot", "version", "snapshot"] {
        let state = &objects(&kvs.ok(&[verb, "--json"]))[0];
        assert_eq!(state["namespace"], "primary");
        assert_eq!(state["version"], 1);
        assert_eq!(state["root"], root.trim());
        assert_eq!(state["snapshot"], reference.trim());
        assert!(state["time"].as_f64().unwrap() > 1.6e9);
        assert!(state["owner"].is_u64());
    }
    let pin = kvs.ok(&["snapshot", "pin", "--json"]);
    assert_eq!(kvs.ok(&["snapshot", "list", "--json"]), pin);
    let pin = &objects(&pin)[0];
    assert_eq!(pin["snapshot"], reference.trim());
    assert_eq!(pin["lease"], Value::Null);
    assert_eq!(pin["left"], Value::Null);
    let namespace = &objects(&kvs.ok(&["namespace", "list", "--json"]))[0];
    assert_eq!(namespace["namespace"], "primary");
    assert!(namespace["owner"].is_u64());
}

/// Collects the names of all members, at any depth.
fn members(value: &Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                // Flux defines the members of a tree object.
                if found.insert(name.clone()) || name != "treeobj" {
                    members(value, found);
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| members(value, found)),
        _ => {}
    }
}

#[test]
fn every_member_that_is_printed_is_documented() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "t.a=1", "t.b=2"]);
    kvs.ok(&["put", "-A", "t.a=2"]);
    kvs.ok(&["link", "-T", "primary", "t.a", "l"]);
    run(kvs.command(&["put", "-r", "t.bytes=-"]), b"\xff").ok();
    kvs.ok(&["mkdir", "m"]);
    kvs.ok(&["snapshot", "pin", "--lease", "1h"]);
    let mut found = std::collections::BTreeSet::new();
    for arguments in [
        &["get", "t.a", "t.bytes"][..],
        &["get", "-w", "-A", "-c", "1", "t.a"],
        &["ls", "-R"],
        &["ls", "--count"],
        &["dir", "-R"],
        &["dir", "--count"],
        &["readlink", "l"],
        &["put", "x=1"],
        &["mkdir", "y"],
        &["link", "t.a", "z"],
        &["unlink", "z"],
        &["getroot"],
        &["version"],
        &["snapshot"],
        &["snapshot", "list"],
        &["snapshot", "pin"],
        &["namespace", "list"],
        &["namespace", "share", "primary"],
        &["watch", "--from", "1", "--to", "7", "."],
        &["watch", "--from", "1", "--count", "2", "--previous", "t.a"],
        &[
            "watch", "--from", "initial", "--mode", "append", "--count", "1", "t.a",
        ],
        &["setroot", "--from", "1", "--count", "3"],
        &["setroot", "--from", "initial", "--count", "1"],
        &["log", "--values"],
    ] {
        let (verb, rest) = arguments.split_first().unwrap();
        let (sub, rest) = match (*verb, rest.split_first()) {
            ("namespace", Some((sub, rest))) | ("snapshot", Some((sub, rest))) => {
                (Some(*sub), rest)
            }
            _ => (None, rest),
        };
        let mut command = vec![*verb];
        command.extend(sub);
        command.push("--json");
        command.extend(rest);
        for object in objects(&kvs.ok(&command)) {
            members(&object, &mut found);
        }
    }
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    found.retain(|name| {
        !docs.contains(&format!("`{name}`")) && !docs.contains(&format!("\"{name}\":"))
    });
    assert!(found.is_empty(), "not in docs/cli.md: {found:?}");
}
