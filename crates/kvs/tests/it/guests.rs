//! Other users of the same daemon. Run as root, as in CI, the tests run commands as real other
//! users. Otherwise all commands run as the current user, who owns the daemon; then only the
//! refusals to other users are not tested.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::support::{Background, Daemon, Outcome, object, run};
use kvs_testkit::has_root;

const ALICE: u32 = 54_321;
const BOB: u32 = 54_322;

/// The user id of this process.
fn own_uid() -> u32 {
    own_id("Uid:")
}

/// The group id of this process.
fn own_gid() -> u32 {
    own_id("Gid:")
}

/// The effective id in the given line of this process's status.
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

/// The user that a guest's commands really run as, and whether this is not the daemon's user.
fn as_far_as_possible(uid: u32) -> (u32, bool) {
    if has_root() {
        (uid, true)
    } else {
        (own_uid(), false)
    }
}

fn run_as(kvs: &Daemon, uid: u32, arguments: &[&str]) -> Outcome {
    let mut command = kvs.command(arguments);
    if has_root() {
        command.uid(uid).gid(uid);
    }
    run(command, b"")
}

/// Checks that a guest is refused with `message`. A command that cannot run as another user must
/// succeed instead.
#[track_caller]
fn refused(kvs: &Daemon, uid: u32, arguments: &[&str], message: &str) {
    let outcome = run_as(kvs, uid, arguments);
    if as_far_as_possible(uid).1 {
        // The reason names the user id of the caller.
        assert_eq!(outcome.code, Some(7), "{outcome:?}");
        let error = outcome.fails();
        assert!(error.starts_with(message.trim_end()), "{error}");
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
        // Not even if the mode of the socket admits them.
        let script = "chmod 0666 \"${KVS_URI#unix:}\"";
        kvs.script(script).ok();
        let error = run_as(&kvs, ALICE, &["get", "a"]).fails();
        let because = ": Operation not permitted: this daemon serves uid";
        assert!(
            error.starts_with("kvs: cannot connect to ") && error.contains(because),
            "{error}"
        );
        let logged = format!("a connection is refused uid={ALICE} times=1");
        while !kvs
            .log
            .next()
            .expect("a refusal is logged")
            .contains(&logged)
        {}
    } else {
        assert_eq!(outcome.ok(), "1\n");
    }
}

#[test]
fn a_group_may_be_let_in_instead_of_everybody() {
    // Without root, only one's own group can be used.
    let group = if has_root() { ALICE } else { own_gid() }.to_string();
    let kvs = Daemon::start_with(&["--guest-group", &group]);
    kvs.open_directory();
    assert_eq!(kvs.socket_mode(), 0o660);
    assert_eq!(run_as(&kvs, ALICE, &["namespace", "list"]).code, Some(0));
    if has_root() {
        assert_eq!(run_as(&kvs, BOB, &["namespace", "list"]).code, Some(7));
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

/// Starts a command in the background as that user, where possible.
fn follow_as(kvs: &Daemon, uid: u32, arguments: &[&str]) -> Background {
    let mut command = kvs.command(arguments);
    if has_root() {
        command.uid(uid).gid(uid);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Background::new(command)
}

/// The command of a guest ends with permission denied.
fn ends_without_right(mut following: Background, verb: &str) {
    let mut error = String::new();
    let stderr = following.child.stderr.take().unwrap();
    assert_eq!(following.wait().code(), Some(7));
    assert_eq!(following.lines.next(), None, "and nothing more is told");
    BufReader::new(stderr).read_line(&mut error).unwrap();
    let said = format!("kvs: {verb}: Operation not permitted: ");
    assert!(error.starts_with(&said), "{error}");
}

#[test]
fn a_withdrawn_right_ends_a_watch_and_a_stream_of_root_moves() {
    let kvs = daemon();
    let (bob, other) = as_far_as_possible(BOB);
    let uid = bob.to_string();
    kvs.ok(&["namespace", "create", "shared"]);
    kvs.ok(&["put", "-N", "shared", "a=1"]);
    kvs.ok(&["namespace", "share", "shared", "--read", &uid]);
    let watching = follow_as(&kvs, BOB, &["get", "-w", "-N", "shared", "a"]);
    assert_eq!(watching.line(), "1");
    let follow = ["setroot", "-N", "shared", "--from", "1"];
    let following = follow_as(&kvs, BOB, &follow);
    assert!(following.line().ends_with(" put a"));
    kvs.ok(&["namespace", "unshare", "shared", "--read", &uid]);
    if other {
        ends_without_right(watching, "a");
        ends_without_right(following, "setroot");
    } else {
        kvs.ok(&["put", "-N", "shared", "a=2"]);
        assert_eq!(watching.line(), "2");
        assert!(following.line().starts_with("shared moved 2 "));
    }
}

#[test]
fn a_namespace_that_changes_hands_is_the_new_owners_alone() {
    let kvs = daemon();
    let (alice, other) = as_far_as_possible(ALICE);
    // With only one user, ownership passes to a user that runs no command here.
    let bob = if other { BOB } else { BOB + 1 };
    kvs.ok(&["namespace", "create", "-o", &alice.to_string(), "n"]);
    run_as(&kvs, ALICE, &["put", "-N", "n", "a=1"]).ok();
    let watching = follow_as(&kvs, ALICE, &["get", "-w", "-N", "n", "a"]);
    assert_eq!(watching.line(), "1");
    let following = follow_as(&kvs, ALICE, &["setroot", "-N", "n", "--from", "1"]);
    assert!(following.line().ends_with(" put a"));
    let of_all = follow_as(&kvs, ALICE, &["setroot", "--all", "--from", "initial"]);
    while !of_all.line().starts_with("n state ") {}
    let owner = kvs.background(&["setroot", "-N", "n", "--from", "1", "--json"]);
    owner.line();

    refused(
        &kvs,
        ALICE,
        &["namespace", "chown", "n", &alice.to_string()],
        "kvs: n: Operation not permitted: changing the owner of a namespace is for the instance owner (uid 0)\n",
    );
    assert_eq!(kvs.ok(&["namespace", "chown", "n", &bob.to_string()]), "");
    assert_eq!(kvs.ok(&["getroot", "-o", "-N", "n"]), format!("{bob}\n"));
    let event = object(&owner.line());
    assert_eq!(event["event"], "owner_changed");
    assert_eq!(
        (&event["owner"], &event["before"]),
        (&bob.into(), &alice.into())
    );
    let mut told = std::iter::from_fn(|| of_all.lines.next());
    let news = told.find(|line| !line.contains(" state "));
    assert_eq!(news, Some(format!("n owner-changed {bob}")));
    if !other {
        return;
    }
    ends_without_right(watching, "a");
    ends_without_right(following, "setroot");
    let not = "kvs: n: Operation not permitted\n";
    refused(&kvs, ALICE, &["namespace", "share", "n"], not);
    let not = "kvs: a: Operation not permitted\n";
    refused(&kvs, ALICE, &["get", "-N", "n", "a"], not);
    refused(&kvs, ALICE, &["put", "-N", "n", "a=2"], not);
    run_as(&kvs, BOB, &["put", "-N", "n", "a=2"]).ok();
    assert_eq!(run_as(&kvs, BOB, &["get", "-N", "n", "a"]).ok(), "2\n");
}

#[test]
fn a_namespace_is_given_to_a_user_that_there_can_be() {
    let kvs = Daemon::start();
    let own = own_uid().to_string();
    assert_eq!(
        kvs.fails(&["namespace", "chown", "nowhere", &own]),
        "kvs: nowhere: Operation not supported: namespace nowhere does not exist; `kvs namespace list` shows those that you may read\n"
    );
    for bad in ["alice", "-1", "4294967295"] {
        let error = kvs.fails(&["namespace", "chown", "primary", bad]);
        assert!(error.starts_with("kvs: "), "{error}");
        assert!(error.contains(bad), "{error}");
    }
    assert_eq!(kvs.ok(&["namespace", "chown", "primary", "77"]), "");
    assert_eq!(kvs.ok(&["getroot", "-o"]), "77\n");
    kvs.ok(&["put", "a=the instance owner may all the same"]);
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
        "kvs: three: Invalid argument: \"nonsense\" is not a blobref\n"
    );
}
