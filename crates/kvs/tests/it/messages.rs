//! Messages and statuses of failing commands, word for word.

use crate::support::{Daemon, run, without_daemon};

const NAMESPACES: &str = "`kvs namespace list` shows those that you may read";
const NO_DAEMON: &str = "`kvs serve` starts a daemon; --uri or $KVS_URI names another one";
const NO_REFERENCE: &str = "is not a snapshot reference (NAMESPACE@VERSION:BLOBREF)";
const NO_NAME: &str =
    "cannot name a namespace: 1 to 255 bytes without '@', ':', blanks or control characters";
const NO_VALUE: &str =
    "Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object";
const NO_DIRECTORY: &str =
    "Not a directory; `kvs get` prints a value, `kvs readlink` where a link leads";
const LOOP: &str = "Too many levels of symbolic links: more than 10 links on the way to";
const ABROAD: &str = "Invalid argument: a link on the way leads into namespace 'other', and a transaction writes in one namespace";
const EMPTY: &str = "Invalid argument: key must not be empty";

/// A store at version 1 with a value `a`, a directory `d`, links to both, a dangling link and a
/// link loop.
fn filled() -> Daemon {
    let kvs = Daemon::start();
    let text = "put a=1\nput d.x=2\nput text=foo\nlink a la\nlink d ld\nlink loop1 loop2\n\
                link loop2 loop1\nlink other::x abroad\n";
    let outcome = run(kvs.command(&["txn"]), text.as_bytes());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    kvs
}

/// Arguments, status and message.
type Case<'c> = (&'c [&'c str], i32, String);

#[track_caller]
fn check(kvs: &Daemon, cases: &[Case<'_>]) {
    for (arguments, status, said) in cases {
        let outcome = kvs.run(arguments);
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (Some(*status), format!("kvs: {said}\n").as_str()),
            "{arguments:?}"
        );
        assert_eq!(outcome.out, b"", "{arguments:?}");
    }
}

#[test]
fn reading_says_what_is_wrong_with_which_key() {
    let kvs = filled();
    let missing = |key: &str| format!("{key}: No such file or directory");
    check(
        &kvs,
        &[
            (&["get", "none"], 3, missing("none")),
            (&["get", "a.b"], 3, missing("a.b")),
            (&["get", "a", "--at", "0"], 3, missing("a")),
            (&["dir", "none"], 3, missing("none")),
            (&["ls", "none"], 3, missing("none")),
            (
                &["ls", "z*"],
                3,
                format!("{}: no key matches", missing("z*")),
            ),
            (&["readlink", "none"], 3, missing("none")),
            (&["get", "d"], 1, format!("d: {NO_VALUE}")),
            (&["get", "ld"], 1, format!("ld: {NO_VALUE}")),
            (&["get", "."], 1, format!(".: {NO_VALUE}")),
            (&["eventlog", "get", "d"], 1, format!("d: {NO_VALUE}")),
            (&["dir", "a"], 1, format!("a: {NO_DIRECTORY}")),
            (
                &["ls", "a."],
                1,
                "a.: Not a directory: it is not a directory, which the dot at the end demands; \
                 `kvs get` prints a value, `kvs readlink` where a link leads"
                    .replace(
                        "; `kvs get` prints a value, `kvs readlink` where a link leads",
                        "",
                    ),
            ),
            (
                &["readlink", "a"],
                1,
                "a: Invalid argument: it is not a symbolic link".into(),
            ),
            (&["get", ""], 1, format!("'': {EMPTY}")),
            (&["dir", ""], 1, format!("'': {EMPTY}")),
            (&["ls", ""], 1, format!("'': {EMPTY}")),
            (&["watch", ""], 1, format!("watch: {EMPTY}")),
            (&["get", "loop1"], 1, format!("loop1: {LOOP} loop1")),
            (
                &["eventlog", "get", "none"],
                3,
                "eventlog path none not found".into(),
            ),
            (
                &["eventlog", "get", "text"],
                1,
                "text: cannot decode improperly formatted eventlog".into(),
            ),
            (
                &["log", "a["],
                1,
                "log: Invalid argument: pattern 'a[': '[' without a matching ']'".into(),
            ),
            (
                &["watch", "a["],
                1,
                "watch: Invalid argument: pattern 'a[': '[' without a matching ']'".into(),
            ),
            (
                &["ls", "a["],
                1,
                "a[: Invalid argument: pattern 'a[': '[' without a matching ']'".into(),
            ),
        ],
    );
}

#[test]
fn writing_says_what_is_wrong_with_which_key() {
    let kvs = filled();
    let root = ".: Invalid argument: the root cannot be written";
    check(
        &kvs,
        &[
            (&["put", "=1"], 1, format!("'': {EMPTY}")),
            (&["put", "b=1", "=1"], 1, format!("'': {EMPTY}")),
            (&["put", ".=1"], 1, root.into()),
            (&["mkdir", "."], 1, root.into()),
            (&["unlink", "-R", "."], 1, root.into()),
            (
                &["put", "-A", "d=1"],
                1,
                "d: Is a directory: nothing can be appended to a directory".into(),
            ),
            (
                &["put", "-A", "la=1"],
                1,
                "la: Operation not supported: nothing can be appended to a link; append to what it leads to"
                    .into(),
            ),
            (
                &["eventlog", "append", "d", "e"],
                1,
                "d: Is a directory: nothing can be appended to a directory".into(),
            ),
            (&["put", "abroad.x=1"], 1, format!("abroad.x: {ABROAD}")),
            (&["put", "loop1.x=1"], 1, format!("loop1.x: {LOOP} loop1.x")),
            (
                &["put", "-t", "b={}"],
                1,
                "b: Protocol error: bad tree object at .: a tree object has exactly the members ver (1), type and data"
                    .into(),
            ),
            (
                &["put", "a"],
                2,
                "put: you must specify a value as key=value".into(),
            ),
            (
                &["unlink", "none"],
                3,
                "cannot unlink 'none': No such file or directory".into(),
            ),
            (
                &["unlink", "d"],
                1,
                "cannot unlink 'd': Directory not empty; -R removes it with all that is in it"
                    .into(),
            ),
            (&["unlink", ""], 1, format!("cannot unlink '': {EMPTY}")),
            (&["link", "", "b"], 1, format!("'': {EMPTY}")),
            (
                &["link", "-T", "", "x", "y"],
                1,
                "y: Invalid argument: the target namespace has no name".into(),
            ),
            (
                &["copy", "none", "x"],
                3,
                "none: No such file or directory".into(),
            ),
            (
                &["copy", ".", "x"],
                1,
                ".: Invalid argument: the root cannot be copied or moved; name what is in it".into(),
            ),
            (
                &["copy", "a", "a.b"],
                1,
                "a.b: Invalid argument: a value cannot be copied below itself".into(),
            ),
            (
                &["move", "d", "d.e"],
                1,
                "d.e: Invalid argument: it cannot be moved below itself".into(),
            ),
            (
                &["eventlog", "append", "log", ""],
                2,
                "eventlog append: the name of the event must not be empty".into(),
            ),
            (
                &["eventlog", "append", "-t", "-1", "log", "e"],
                2,
                "--timestamp: must be a number of seconds above 0".into(),
            ),
            (
                &["eventlog", "append", "log", "e", "{"],
                2,
                "eventlog append: the context is not a JSON object".into(),
            ),
        ],
    );
    assert_eq!(kvs.version(), 1, "what is refused changes nothing");
}

#[test]
fn a_namespace_that_is_not_there_is_named_by_every_verb() {
    let kvs = filled();
    let none = format!("Operation not supported: namespace nosuch does not exist; {NAMESPACES}");
    for (verb, context) in [
        (&["get", "a"][..], "a"),
        (&["get", "a", "b"], "a"),
        (&["get", "-w", "a"], "a"),
        (&["put", "a=1"], "a"),
        (&["mkdir", "a"], "a"),
        (&["link", "a", "b"], "link"),
        (&["readlink", "a"], "a"),
        (&["dir"], "."),
        (&["ls"], "ls"),
        (&["version"], "version"),
        (&["getroot"], "getroot"),
        (&["wait", "3"], "wait"),
        (&["snapshot"], "snapshot"),
        (&["watch", "a"], "watch"),
        (&["setroot"], "setroot"),
        (&["log"], "log"),
        (&["eventlog", "get", "a"], "a"),
    ] {
        let arguments = [&["-N", "nosuch"], verb].concat();
        check(&kvs, &[(&arguments, 3, format!("{context}: {none}"))]);
    }
    check(
        &kvs,
        &[
            (
                &["unlink", "-N", "nosuch", "a"],
                3,
                format!("cannot unlink 'a': {none}"),
            ),
            (&["copy", "-S", "nosuch", "a", "b"], 3, format!("a: {none}")),
            (&["copy", "-D", "nosuch", "a", "b"], 3, format!("b: {none}")),
            (
                &["namespace", "chown", "nosuch", "3"],
                3,
                format!("nosuch: {none}"),
            ),
            (
                &["namespace", "share", "nosuch", "--read", "3"],
                3,
                format!("nosuch: {none}"),
            ),
            (
                &["namespace", "share", "nosuch"],
                3,
                format!("nosuch: {none}"),
            ),
            (
                &["namespace", "remove", "primary"],
                1,
                "primary: Operation not supported: the primary namespace cannot be removed".into(),
            ),
            (
                &["namespace", "create", "primary"],
                1,
                "primary: File exists: namespace primary exists already".into(),
            ),
            (
                &["namespace", "create", "a b"],
                1,
                format!("a b: Invalid argument: \"a b\" {NO_NAME}"),
            ),
            (
                &["namespace", "create", ""],
                1,
                format!("'': Invalid argument: \"\" {NO_NAME}"),
            ),
            (
                &["namespace", "create", "-r", "junk", "q"],
                1,
                "q: Invalid argument: \"junk\" is not a blobref".into(),
            ),
            (
                &["namespace", "create", "--from", "junk", "q"],
                1,
                format!("q: Invalid argument: \"junk\" {NO_REFERENCE}"),
            ),
        ],
    );
}

#[test]
fn what_names_no_state_is_said_to() {
    let kvs = filled();
    let junk = |text: &str| {
        format!(
            "--at: Invalid argument: '{text}' {NO_REFERENCE}, a version, a blobref or a dirref object"
        )
    };
    let later = "stale-snapshot: namespace primary is at version 1, 99 does not exist yet";
    check(
        &kvs,
        &[
            (&["get", "--at", "junk", "a"], 2, junk("junk")),
            (&["version", "--at", ""], 2, junk("")),
            (&["dir", "--at=-1"], 2, junk("-1")),
            (&["get", "--at", "99", "a"], 1, format!("a: {later}")),
            (
                &["snapshot", "--version", "99"],
                1,
                format!("snapshot: {later}"),
            ),
            (
                &["get", "--at", "blake3-00", "a"],
                1,
                "a: Invalid argument: \"blake3-00\" is not a blobref".into(),
            ),
            (
                &["snapshot", "pin", "junk"],
                1,
                format!("junk: Invalid argument: \"junk\" {NO_REFERENCE}"),
            ),
            (&["snapshot", "unpin", "9"], 3, "9: not pinned".into()),
            (&["snapshot", "unpin", ""], 3, ": not pinned".into()),
            (
                &["setroot", "--after", "junk"],
                1,
                "setroot: Invalid argument: 'junk' is not a place as root moves carry it".into(),
            ),
            (
                &["setroot", "--all", "--from", "3"],
                1,
                "setroot: Invalid argument: following from a version is for one namespace".into(),
            ),
            (
                &["log", "--from", "9", "--to", "3"],
                2,
                "log: --to is before --from; --reverse prints the newest first".into(),
            ),
        ],
    );
    for arguments in [
        &["wait", "abc"][..],
        &["wait", ""],
        &["wait", "+1"],
        &["wait", "18446744073709551616"],
        &["snapshot", "--version", "v1"],
        &["log", "--from", "1.5"],
    ] {
        let outcome = kvs.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        let said = ": not a version: a whole number such as 42\n";
        assert!(outcome.err.contains(said), "{arguments:?}: {}", outcome.err);
    }
}

#[test]
fn a_transaction_names_the_line() {
    let kvs = filled();
    let many: String = (0..800_000).map(|n| format!("put a.k{n}=1\n")).collect();
    let some: String = (0..20_000).map(|n| format!("put a.k{n}=1\n")).collect();
    for (text, status, said) in [
        (
            "put b=1\nif-unchanged a 99\n",
            1,
            "line 2: stale-snapshot: version 99 of namespace primary does not exist yet, the newest is 1",
        ),
        (
            "if-equals a=7",
            4,
            "line 1: condition-failed: equals a: the value differs",
        ),
        (
            "put b=1\nif-absent a",
            4,
            "line 2: condition-failed: absent a: there is a value",
        ),
        ("add a=x", 1, "line 1: 'x' is not a number that fits"),
        (
            "\nadd text=1",
            1,
            "line 2: Invalid argument: add text: value is not a 64-bit decimal integer",
        ),
        ("frob a=1", 1, "line 1: there is no operation 'frob'"),
        (
            "put b=1\nput =1",
            1,
            "line 2: Invalid argument: key must not be empty",
        ),
        (
            "append d=1",
            1,
            "line 1: Is a directory: append d: nothing can be appended to a directory",
        ),
        (
            &many,
            1,
            "txn: limit: operations of commit: 800000 elements, at most 10000",
        ),
        (
            &some,
            1,
            "txn: limit: operations of commit: 20000 elements, at most 10000",
        ),
    ] {
        let outcome = run(kvs.command(&["txn"]), text.as_bytes());
        assert_eq!(
            (outcome.code, outcome.err),
            (Some(status), format!("kvs: {said}\n"))
        );
    }
    let outcome = run(kvs.command(&["txn"]), b"put b=1\nput c=\xff\n");
    assert_eq!(
        outcome.err,
        "kvs: stdin: Invalid argument: line 2 is not UTF-8; other bytes are written \\xHH\n"
    );
    assert_eq!(kvs.version(), 1);
}

#[test]
fn what_is_not_utf8_is_shown() {
    use std::os::unix::ffi::OsStrExt as _;
    let kvs = filled();
    let bytes = std::ffi::OsStr::from_bytes;
    for (arguments, said) in [
        (
            [bytes(b"put"), bytes(b"\xffa=1")],
            "put: Invalid argument: the key '\u{fffd}a' is not UTF-8",
        ),
        (
            [bytes(b"get"), bytes(b"b\xff")],
            "get: Invalid argument: 'b\u{fffd}' is not UTF-8, as keys and options are",
        ),
        (
            [bytes(b"watch"), bytes(b"\xff*")],
            "watch: Invalid argument: '\u{fffd}*' is not UTF-8, as keys and options are",
        ),
    ] {
        let mut command = kvs.command(&[]);
        command.args(arguments);
        let outcome = run(command, b"");
        let first = outcome.err.lines().next().unwrap_or_default().to_owned();
        assert_eq!((outcome.code, first), (Some(2), format!("kvs: {said}")));
    }
    for variable in ["KVS_URI", "KVS_NAMESPACE", "FLUX_KVS_NAMESPACE"] {
        let mut command = kvs.command(&["version"]);
        command.env(variable, bytes(b"unix:/\xff"));
        let outcome = run(command, b"");
        assert_eq!(outcome.code, Some(2), "{variable}");
        assert!(
            outcome.err.starts_with(&format!("kvs: {variable}: ")),
            "{outcome:?}"
        );
    }
}

#[test]
fn without_a_daemon_each_place_is_told_where_one_was_sought() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let socket = format!("unix:{path}/none.sock");
    let outcome = run(without_daemon(&["--uri", &socket, "version"]), b"");
    let said = format!("kvs: cannot connect to {socket}: No such file or directory; {NO_DAEMON}\n");
    assert_eq!((outcome.code, outcome.err), (Some(6), said));
    let mut command = without_daemon(&["version"]);
    command.env("XDG_RUNTIME_DIR", &path);
    let outcome = run(command, b"");
    let first =
        format!("kvs: cannot connect to unix:{path}/kvs/kvs.sock: No such file or directory; ");
    assert!(outcome.err.starts_with(&first), "{outcome:?}");
    // Another daemon may be running there on this machine.
    assert!(outcome.err.contains("/run/kvs/kvs.sock") || outcome.code == Some(0));
    let long = format!("unix:/{}", "x".repeat(120));
    let outcome = run(without_daemon(&["--uri", &long, "version"]), b"");
    let said =
        format!("kvs: {long}: the path of a socket has at most 107 bytes, and this one has 121\n");
    assert_eq!((outcome.code, outcome.err), (Some(2), said));
    // A file that is not a socket refuses connections.
    let outcome = run(
        without_daemon(&["--uri", &format!("unix:{path}"), "version"]),
        b"",
    );
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    let outcome = run(without_daemon(&["--uri", "tcp:1", "version"]), b"");
    let said = "kvs: 'tcp:1' is not an address such as unix:/run/kvs/kvs.sock\n";
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(2), said));
}

#[test]
fn what_takes_too_long_has_a_status_of_its_own() {
    let kvs = filled();
    check(
        &kvs,
        &[
            (
                &["wait", "-t", "1ms", "7"],
                5,
                "wait: timeout: version 7 was not reached".into(),
            ),
            (
                &["get", "-W", "--timeout", "1ms", "never"],
                5,
                "get: timeout: the 1ms of --timeout are over".into(),
            ),
            (
                &["watch", "--timeout", "0.002", "never"],
                5,
                "watch: timeout: the 2ms of --timeout are over".into(),
            ),
            (
                &["eventlog", "wait-event", "-W", "-t", "1ms", "log", "e"],
                5,
                "wait-event timeout on event 'e'".into(),
            ),
        ],
    );
    let outcome = kvs.run(&["get", "-w", "--timeout", "100ms", "a"]);
    let expected = (Some(5), &b"1\n"[..]);
    assert_eq!(
        (outcome.code, outcome.out.as_slice()),
        expected,
        "{outcome:?}"
    );
}
