//! Other users at the same daemon. Where the tests run as root, commands are run as real other
//! users; elsewhere as the user that there is, who then owns the daemon, so that what is refused to
//! others cannot be shown, but all else is.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::support::{Background, Daemon, Outcome, run};

const ALICE: u32 = 54_321;
const BOB: u32 = 54_322;

/// This process's user.
fn own_uid() -> u32 {
    own_id("Uid:")
}

/// This process's group.
fn own_gid() -> u32 {
    own_id("Gid:")
}

/// The effective id that stands in that line of this process's status.
fn own_id(title: &str) -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(title));
    line.unwrap()
        .split_whitespace()
        .nth(2)
        .unwrap()
        .parse()
        .unwrap()
}

/// The user that commands of a guest really run as; says if that is another than the daemon's.
fn as_far_as_possible(uid: u32) -> (u32, bool) {
    match own_uid() {
        0 => (uid, true),
        own => (own, false),
    }
}

fn run_as(kvs: &Daemon, uid: u32, arguments: &[&str]) -> Outcome {
    let mut command = kvs.command(arguments);
    if own_uid() == 0 {
        command.uid(uid).gid(uid);
    }
    run(command, b"")
}

/// What a guest is told: done and printed for one who really is another user, or is refused.
#[track_caller]
fn refused(kvs: &Daemon, uid: u32, arguments: &[&str], message: &str) {
    let outcome = run_as(kvs, uid, arguments);
    if as_far_as_possible(uid).1 {
        assert_eq!(outcome.fails(), message);
    } else {
        outcome.ok();
    }
}

fn daemon() -> Daemon {
    let kvs = Daemon::start_with(&["--allow-guests"]);
    kvs.open_directory();
    kvs
}

#[test]
fn without_being_told_a_daemon_serves_nobody_else() {
    let kvs = Daemon::start();
    kvs.open_directory();
    assert_eq!(kvs.socket_mode(), 0o600);
    kvs.ok(&["put", "a=1"]);
    let outcome = run_as(&kvs, ALICE, &["get", "a"]);
    if as_far_as_possible(ALICE).1 {
        let error = outcome.fails();
        assert!(error.starts_with("kvs: cannot connect to "), "{error}");
        // Not even when the socket lets them in.
        let script = "chmod 0666 \"${KVS_URI#unix:}\"";
        kvs.script(script).ok();
        let error = run_as(&kvs, ALICE, &["get", "a"]).fails();
        assert!(error.ends_with("Operation not permitted\n"), "{error}");
    } else {
        assert_eq!(outcome.ok(), "1\n");
    }
}

#[test]
fn a_group_may_be_let_in_instead_of_everybody() {
    // One's own group is the only one that can be given without being root.
    let group = if own_uid() == 0 { ALICE } else { own_gid() }.to_string();
    let kvs = Daemon::start_with(&["--guest-group", &group]);
    kvs.open_directory();
    assert_eq!(kvs.socket_mode(), 0o660);
    assert_eq!(run_as(&kvs, ALICE, &["namespace", "list"]).code, Some(0));
    if own_uid() == 0 {
        assert_eq!(run_as(&kvs, BOB, &["namespace", "list"]).code, Some(1));
    }
}

#[test]
fn guests_use_what_they_own_and_read_what_is_shared_with_them() {
    let kvs = daemon();
    assert_eq!(kvs.socket_mode(), 0o666);
    let (alice, _) = as_far_as_possible(ALICE);
    let (bob, _) = as_far_as_possible(BOB);
    kvs.ok(&["put", "secret=1"]);
    kvs.ok(&["namespace", "create", "-o", &alice.to_string(), "alice"]);
    assert_eq!(
        run_as(&kvs, ALICE, &["getroot", "-o", "-N", "alice"]).ok(),
        format!("{alice}\n")
    );
    run_as(&kvs, ALICE, &["put", "-N", "alice", "a=1"]).ok();
    assert_eq!(
        run_as(&kvs, ALICE, &["get", "-N", "alice", "a"]).ok(),
        "1\n"
    );
    let not = "Operation not permitted";
    refused(
        &kvs,
        ALICE,
        &["get", "secret"],
        &format!("kvs: secret: {not}\n"),
    );
    refused(&kvs, ALICE, &["put", "b=1"], &format!("kvs: b: {not}\n"));
    let snapshot = kvs.ok(&["snapshot"]);
    refused(
        &kvs,
        ALICE,
        &["get", "--at", snapshot.trim(), "secret"],
        &format!("kvs: secret: {not}\n"),
    );
    run_as(
        &kvs,
        ALICE,
        &["link", "-N", "alice", "-T", "primary", "secret", "way"],
    )
    .ok();
    refused(
        &kvs,
        ALICE,
        &["get", "-N", "alice", "way"],
        &format!("kvs: way: {not}\n"),
    );
    refused(
        &kvs,
        ALICE,
        &["namespace", "create", "more"],
        &format!("kvs: more: {not}\n"),
    );

    refused(
        &kvs,
        BOB,
        &["get", "-N", "alice", "a"],
        &format!("kvs: a: {not}\n"),
    );
    let uid = bob.to_string();
    run_as(
        &kvs,
        ALICE,
        &["namespace", "share", "alice", "--read", &uid],
    )
    .ok();
    assert_eq!(
        run_as(&kvs, ALICE, &["namespace", "share", "alice"]).ok(),
        format!("{bob}\n")
    );
    assert_eq!(run_as(&kvs, BOB, &["get", "-N", "alice", "a"]).ok(), "1\n");
    refused(
        &kvs,
        BOB,
        &["put", "-N", "alice", "a=2"],
        &format!("kvs: a: {not}\n"),
    );
    let list = run_as(&kvs, BOB, &["namespace", "list"]).ok();
    assert_eq!(list.contains("primary"), !as_far_as_possible(BOB).1);
    assert!(list.contains("alice"), "{list}");
    run_as(
        &kvs,
        ALICE,
        &["namespace", "unshare", "alice", "--read", &uid],
    )
    .ok();
    assert_eq!(
        run_as(&kvs, ALICE, &["namespace", "share", "alice"]).ok(),
        ""
    );
    refused(
        &kvs,
        BOB,
        &["get", "-N", "alice", "a"],
        &format!("kvs: a: {not}\n"),
    );
}

#[test]
fn a_withdrawn_right_ends_a_watch() {
    let kvs = daemon();
    let (bob, other) = as_far_as_possible(BOB);
    let uid = bob.to_string();
    kvs.ok(&["namespace", "create", "shared"]);
    kvs.ok(&["put", "-N", "shared", "a=1"]);
    kvs.ok(&["namespace", "share", "shared", "--read", &uid]);
    let mut command = kvs.command(&["get", "-w", "-N", "shared", "a"]);
    if other {
        command.uid(bob).gid(bob);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watching = Background::new(command);
    assert_eq!(watching.line(), "1");
    kvs.ok(&["namespace", "unshare", "shared", "--read", &uid]);
    if other {
        assert_eq!(watching.wait().code(), Some(1));
        assert_eq!(watching.lines.next(), None, "and nothing more is told");
    } else {
        kvs.ok(&["put", "-N", "shared", "a=2"]);
        assert_eq!(watching.line(), "2");
    }
}

#[test]
fn namespaces_begin_as_copies() {
    let kvs = Daemon::start();
    let snapshot = kvs
        .script("kvs put a=old && kvs snapshot && kvs put a=new")
        .ok();
    let root = kvs.ok(&["getroot", "-b", "--at", snapshot.trim()]);
    kvs.ok(&["namespace", "create", "--from", snapshot.trim(), "one"]);
    kvs.ok(&[
        "namespace",
        "create",
        "--rootref",
        root.trim(),
        "-o",
        "77",
        "two",
    ]);
    assert_eq!(kvs.ok(&["get", "-N", "one", "a"]), "old\n");
    assert_eq!(kvs.ok(&["get", "-N", "two", "a"]), "old\n");
    assert_eq!(kvs.ok(&["getroot", "-o", "-N", "two"]), "77\n");
    kvs.ok(&["put", "-N", "one", "a=own"]);
    assert_eq!(kvs.ok(&["get", "a"]), "new\n");
    let unknown = format!("blake3-{}", "0".repeat(64));
    let error = kvs.fails(&["namespace", "create", "--rootref", &unknown, "three"]);
    assert!(error.starts_with("kvs: three: compacted: "), "{error}");
    assert_eq!(
        kvs.fails(&["namespace", "create", "--rootref", "nonsense", "three"]),
        "kvs: three: Invalid argument\n"
    );
}
