//! `getroot`, `version`, `wait`, `snapshot`.

use crate::support::Daemon;

#[test]
fn getroot_shows_the_root_in_four_ways() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let object = kvs.ok(&["getroot"]);
    let blobref = kvs.ok(&["getroot", "--blobref"]);
    assert!(
        blobref.starts_with("blake3-") && blobref.len() == "blake3-".len() + 64 + 1,
        "{blobref}"
    );
    assert_eq!(
        object,
        format!(
            "{{\"data\":[\"{}\"],\"type\":\"dirref\",\"ver\":1}}\n",
            blobref.trim()
        )
    );
    assert_eq!(kvs.ok(&["getroot", "-s"]), "1\n");
    assert_eq!(kvs.ok(&["getroot", "-o"]), kvs.script("id -u").ok());
    assert_eq!(kvs.ok(&["get", "-t", "."]), object);
}

#[test]
fn a_store_may_use_sha1() {
    let kvs = Daemon::start_with(&["--hash", "sha1"]);
    kvs.ok(&["put", "a.b=1"]);
    let blobref = kvs.ok(&["getroot", "-b"]);
    assert!(
        blobref.starts_with("sha1-") && blobref.len() == "sha1-".len() + 40 + 1,
        "{blobref}"
    );
    kvs.ok(&["put", "a.b=2"]);
    assert_eq!(kvs.ok(&["get", "--at", blobref.trim(), "a.b"]), "1\n");
    let directory = kvs.ok(&["get", "-t", "a"]);
    assert!(directory.starts_with("{\"data\":[\"sha1-"), "{directory}");
    kvs.ok(&["put", "-t", &format!("copy={directory}")]);
    assert_eq!(kvs.ok(&["get", "copy.b"]), "2\n");
    let script = "seq 1 300000 | kvs put -r big=- && kvs get -r big | cksum; seq 1 300000 | cksum";
    let sums = kvs.script(script).ok();
    let (one, other) = sums.trim().split_once('\n').unwrap();
    assert_eq!(one, other);
    let object = kvs.ok(&["get", "-t", "big"]);
    assert!(object.starts_with("{\"data\":[\"sha1-"), "{object}");
}

#[test]
fn versions_rise_by_one() {
    let kvs = Daemon::start();
    assert_eq!(kvs.ok(&["version"]), "0\n");
    kvs.ok(&["put", "a=1"]);
    assert_eq!(kvs.ok(&["version"]), "1\n");
}

#[test]
fn wait_returns_when_the_version_is_there() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    assert_eq!(kvs.ok(&["wait", "1"]), "");
    let mut waiting = kvs.background(&["wait", "3"]);
    kvs.ok(&["put", "a=2"]);
    assert_eq!(waiting.child.try_wait().unwrap(), None);
    kvs.ok(&["put", "a=3"]);
    assert!(waiting.wait().success());
}

#[test]
fn wait_can_give_up_and_wants_a_number() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["wait", "-t", "10ms", "7"]),
        "kvs: wait: timeout: version 7 was not reached\n"
    );
    let err = kvs.fails(&["wait", "soon"]);
    assert!(
        err.starts_with("kvs: invalid value 'soon' for '<VERSION>'"),
        "{err}"
    );
}

#[test]
fn a_snapshot_reference_names_namespace_version_and_root() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let root = kvs.ok(&["getroot", "-b"]);
    assert_eq!(kvs.ok(&["snapshot"]), format!("primary@1:{root}"));
    kvs.ok(&["put", "a=2"]);
    assert_eq!(
        kvs.ok(&["snapshot", "--version", "1"]),
        format!("primary@1:{root}")
    );
    let reference = format!("primary@1:{}", root.trim());
    assert_eq!(kvs.ok(&["getroot", "-b", "--at", &reference]), root);
    assert_eq!(kvs.ok(&["version", "--at", &reference]), "1\n");
}

#[test]
fn a_reference_brings_its_namespace_along() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    kvs.ok(&["put", "-N", "other", "a=there"]);
    let reference = kvs.ok(&["snapshot", "-N", "other"]);
    assert!(reference.starts_with("other@"), "{reference}");
    assert_eq!(kvs.ok(&["get", "--at", reference.trim(), "a"]), "there\n");
    assert_eq!(
        kvs.fails(&["get", "-N", "primary", "--at", reference.trim(), "a"]),
        "kvs: a: Invalid argument: snapshot other@1:blake3-42cc1ef15f6aedfb2addab117c4aff2aa3e4a13936ed18d19dce66ef47b645f2 is not of namespace primary\n"
    );
}

#[test]
fn pins_are_made_listed_and_released() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let reference = kvs.ok(&["snapshot"]);
    let first = kvs.ok(&["snapshot", "pin"]);
    let second = kvs.ok(&["snapshot", "pin", reference.trim(), "--lease", "1h"]);
    assert_ne!(first, second);
    let list = kvs.ok(&["snapshot", "list"]);
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["ID", "OWNER", "LEFT", "SNAPSHOT"]);
    assert_eq!(lines.len(), 3, "{list}");
    assert_eq!(
        (lines[1][0], lines[1][2], lines[1][3]),
        (first.trim(), "unlimited", reference.trim())
    );
    assert_eq!(
        (lines[2][0], lines[2][3]),
        (second.trim(), reference.trim())
    );
    assert_eq!(kvs.ok(&["snapshot", "unpin", first.trim()]), "");
    assert_eq!(
        kvs.ok(&["snapshot", "unpin", reference.trim()]),
        "",
        "by reference: all that are left"
    );
    assert_eq!(kvs.ok(&["snapshot", "list"]).lines().count(), 1);
    let err = kvs.fails(&["snapshot", "unpin", reference.trim()]);
    assert_eq!(err, format!("kvs: {}: not pinned\n", reference.trim()));
    assert_eq!(
        kvs.fails(&["snapshot", "unpin", "99"]),
        "kvs: 99: not pinned\n"
    );
}

#[test]
fn a_lease_that_cannot_be_kept_is_refused_and_not_cut() {
    let kvs = Daemon::start();
    for (lease, because) in [
        (
            "31d",
            "limit: a lease of 2678400000 ms; the limit is 30 days",
        ),
        ("720.5h", "limit: a lease of 2593800000 ms"),
        ("0", "must be longer than 0"),
        ("0.0h", "must be longer than 0"),
        ("9999999w", "too long"),
        ("1 d", "not a duration such as"),
    ] {
        let err = kvs.fails(&["snapshot", "pin", "--lease", lease]);
        assert!(err.contains(because), "{lease}: {err}");
    }
    assert_eq!(kvs.ok(&["snapshot", "list"]).lines().count(), 1);
    kvs.ok(&["snapshot", "pin", "--lease", "30d"]);
    assert_eq!(kvs.ok(&["snapshot", "list"]).lines().count(), 2);
}

#[test]
fn a_version_that_is_not_there_yet_has_no_snapshot() {
    let kvs = Daemon::start();
    let outcome = kvs.run(&["snapshot", "--version", "99"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.starts_with("kvs: snapshot: "), "{outcome:?}");
}
