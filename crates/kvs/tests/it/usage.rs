//! What is said about the command line itself, and when there is no daemon.

use crate::support::{run, without_daemon};

/// Every verb that people type.
const VERBS: [&str; 22] = [
    "put",
    "get",
    "ls",
    "dir",
    "mkdir",
    "unlink",
    "link",
    "readlink",
    "copy",
    "move",
    "getroot",
    "version",
    "wait",
    "sync",
    "snapshot",
    "watch",
    "log",
    "eventlog",
    "namespace",
    "serve",
    "start",
    "demo",
];

#[test]
fn help_of_every_verb_succeeds_with_examples() {
    for verb in VERBS {
        let help = run(without_daemon(&[verb, "--help"]), b"").ok();
        assert!(help.contains(&format!("Usage: kvs {verb}")), "{help}");
        assert!(help.contains("Examples:"), "{verb} has no examples");
    }
    for path in [
        ["namespace", "create"],
        ["namespace", "list"],
        ["snapshot", "pin"],
    ] {
        let help = run(without_daemon(&[path[0], path[1], "--help"]), b"").ok();
        assert!(help.contains("Examples:"), "{path:?} has no examples");
    }
}

#[test]
fn help_lists_every_verb() {
    let help = run(without_daemon(&["--help"]), b"").ok();
    for verb in VERBS {
        assert!(
            help.contains(&format!("\n  {verb} ")),
            "{verb} is missing from: {help}"
        );
    }
}

#[test]
fn version_names_the_program() {
    let version = run(without_daemon(&["--version"]), b"").ok();
    assert_eq!(version, format!("kvs {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn missing_arguments_print_usage_on_standard_error_and_exit_1() {
    for verb in [
        "put", "get", "mkdir", "unlink", "link", "readlink", "copy", "move", "wait", "watch",
    ] {
        let err = run(without_daemon(&[verb]), b"").fails();
        assert!(err.contains(&format!("Usage: kvs {verb}")), "{err}");
    }
    for arguments in [
        &[][..],
        &["namespace"],
        &["namespace", "create"],
        &["snapshot", "unpin"],
    ] {
        let err = run(without_daemon(arguments), b"").fails();
        assert!(err.contains("Usage: kvs"), "{err}");
    }
}

#[test]
fn unknown_verbs_and_options_exit_1() {
    assert!(
        run(without_daemon(&["frobnicate"]), b"")
            .fails()
            .starts_with("kvs: ")
    );
    assert!(
        run(without_daemon(&["get", "--frobnicate", "a"]), b"")
            .fails()
            .starts_with("kvs: ")
    );
    assert!(
        run(without_daemon(&["link", "a", "b", "c"]), b"")
            .fails()
            .starts_with("kvs: ")
    );
}

#[test]
fn without_a_daemon_it_is_said_where_one_was_sought() {
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("unix:{}/none.sock", directory.path().display());
    let err = run(without_daemon(&["--uri", &uri, "version"]), b"").fails();
    assert!(
        err.starts_with(&format!("kvs: cannot connect to {uri}: ")),
        "{err}"
    );
    let err = run(without_daemon(&["version", "--uri", &uri]), b"").fails();
    assert!(
        err.starts_with(&format!("kvs: cannot connect to {uri}: ")),
        "{err}"
    );
}

#[test]
fn an_address_that_is_none_is_an_error() {
    let err = run(without_daemon(&["--uri", "tcp:1", "version"]), b"").fails();
    assert_eq!(
        err,
        "kvs: 'tcp:1' is not an address such as unix:/run/kvs/kvs.sock\n"
    );
}
