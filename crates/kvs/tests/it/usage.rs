//! What is said about the command line itself, and when there is no daemon.

use crate::support::{Daemon, run, without_daemon};

/// Every verb that people type.
const VERBS: [&str; 26] = [
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
    "txn",
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
    "bench",
    "completions",
    "man",
];

#[test]
fn help_of_every_verb_succeeds_with_examples() {
    for verb in VERBS {
        let help = run(without_daemon(&[verb, "--help"]), b"").ok();
        assert!(help.contains(&format!("Usage: kvs {verb}")), "{help}");
        assert!(help.contains("Examples:"), "{verb} has no examples");
    }
    for path in [
        ["eventlog", "append"],
        ["eventlog", "get"],
        ["eventlog", "wait-event"],
        ["namespace", "create"],
        ["namespace", "remove"],
        ["namespace", "chown"],
        ["snapshot", "unpin"],
        ["snapshot", "list"],
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
fn serve_says_what_is_wrong_with_its_numbers() {
    for (option, wrong, because) in [
        ("--threads", "0", "0 is not in 1..=1024"),
        ("--threads", "1025", "1025 is not in 1..=1024"),
        ("--busy-poll", "11ms", "longer than 10 ms"),
        ("--busy-poll", "7", "such as 200us"),
        ("--busy-poll", "7 ms", "not a duration"),
        ("--retain-time", "1.5x", "unknown unit 'x'"),
        ("--retain-bytes", "1.5P", "unknown unit 'P'"),
    ] {
        let err = run(without_daemon(&["serve", option, wrong]), b"").fails();
        assert!(err.starts_with("kvs: ") && err.contains(because), "{err}");
    }
}

#[test]
fn however_many_threads_serve_and_however_they_wait_every_put_is_there() {
    for options in [
        ["--threads", "1", "--busy-poll", "0"],
        ["--threads", "1", "--busy-poll", "10ms"],
        ["--threads", "4", "--busy-poll", "10ms"],
    ] {
        let daemon = Daemon::start_with(&options);
        let script = "for i in 1 2 3 4; do
            (for k in 1 2 3 4 5; do kvs put d.$i.$k=$k; done) &
        done; wait; kvs dir -R d | grep -c ' = '";
        let done = daemon.script(script);
        assert_eq!(done.ok(), "20\n", "{options:?}");
        assert_eq!(daemon.ok(&["get", "d.4.5"]), "5\n");
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

#[test]
fn completions_of_every_shell_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(without_daemon(&["completions", shell]), b"").ok();
        for verb in VERBS {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        assert!(script.contains("waitcreate"), "{shell}");
    }
    run(without_daemon(&["completions", "csh"]), b"").fails();
    let script = run(without_daemon(&["completions", "bash"]), b"").ok();
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", "source /dev/stdin && complete -p kvs"]);
    assert!(run(bash, script.as_bytes()).ok().contains("_kvs"));
}

#[test]
fn every_verb_has_a_manual_page_with_its_examples() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert_eq!(run(without_daemon(&["man", "--dir", path]), b"").ok(), "");
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    for verb in VERBS {
        let page = read(&format!("kvs-{verb}.1"));
        assert!(page.contains(".TH kvs-"), "{verb}");
        assert!(page.contains("Examples:"), "{verb}");
    }
    assert!(read("kvs.1").contains("eventlog"));
    assert!(read("kvs-eventlog-get.1").contains("unformatted"));
    assert!(!directory.path().join("kvs-demo-client.1").exists());
    let page = run(without_daemon(&["man", "eventlog", "get"]), b"").ok();
    assert_eq!(page, read("kvs-eventlog-get.1"));
    assert_eq!(
        run(without_daemon(&["man", "frob"]), b"").fails(),
        "kvs: man: there is no verb 'frob'\n"
    );
    let err = run(without_daemon(&["man", "--dir", "/none/such"]), b"").fails();
    assert!(err.starts_with("kvs: /none/such: No such file"), "{err}");
}
