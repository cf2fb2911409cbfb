//! Usage errors, help, and commands without a daemon.

use crate::support::{Daemon, run, without_daemon};

/// All public verbs.
const VERBS: [&str; 29] = [
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
    "setroot",
    "status",
    "eventlog",
    "namespace",
    "serve",
    "start",
    "demo",
    "bench",
    "completions",
    "man",
    "help",
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
fn values_of_options_that_are_none_are_explained() {
    for (arguments, says) in [
        (
            &["ls", "-w", "x"][..],
            "'x' for '--width <COLS>': not a whole number\n",
        ),
        (
            &["dir", "--limit", "99999999999999999999999"],
            ": too large a number\n",
        ),
        (&["watch", "--to", "", "a"], "--to"),
        (
            &["namespace", "chown", "n", "bob"],
            "'bob' for '<UID>': not a whole number\n",
        ),
        (
            &["get", "-N", "", "a"],
            "'--namespace <NAME>' but none was supplied",
        ),
        (
            &["-N", "", "get", "a"],
            "'--namespace <NAME>' but none was supplied",
        ),
        (
            &["copy", "-S", "", "a", "b"],
            "'--src-namespace <NAME>' but none",
        ),
    ] {
        let outcome = run(without_daemon(arguments), b"");
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.contains(says), "{outcome:?}");
    }
}

#[test]
fn missing_arguments_print_usage_on_standard_error_and_exit_2() {
    for verb in [
        "put", "get", "mkdir", "unlink", "link", "readlink", "copy", "move", "wait", "watch",
    ] {
        let outcome = run(without_daemon(&[verb]), b"");
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let err = outcome.fails();
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
fn unknown_verbs_and_options_are_errors() {
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
        "kvs: man: there is no verb 'frob'; `kvs help` lists them\n"
    );
    let err = run(without_daemon(&["man", "--dir", "/none/such"]), b"").fails();
    assert!(err.starts_with("kvs: /none/such: No such file"), "{err}");
}

#[test]
fn help_is_a_verb_too() {
    let help = |arguments: &[&str]| run(without_daemon(arguments), b"").ok();
    assert_eq!(help(&["help"]), help(&["--help"]));
    for path in [&["put"][..], &["eventlog", "get"], &["namespace", "create"]] {
        let verb = help(&[&["help"], path].concat());
        assert_eq!(verb, help(&[path, &["--help"]].concat()), "{path:?}");
    }
    let outcome = run(without_daemon(&["help", "eventlog", "frob"]), b"");
    let said = "kvs: help: there is no verb 'frob'; `kvs help` lists them\n";
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(2), said));
}

#[test]
fn what_other_programs_have_is_answered_with_the_verb_that_does_it() {
    for (verb, here) in [
        ("rm", "unlink"),
        ("del", "unlink"),
        ("delete", "unlink"),
        ("set", "put"),
        ("exists", "get KEY >/dev/null"),
        ("cat", "get"),
        ("list", "ls"),
        ("cp", "copy"),
        ("mv", "move"),
    ] {
        let outcome = run(without_daemon(&[verb, "a"]), b"");
        let said = format!("kvs: there is no verb '{verb}'; that is `kvs {here}`\n");
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.err.starts_with(&said), "{outcome:?}");
        let verb_of = here.split(' ').next().unwrap();
        assert!(VERBS.contains(&verb_of), "{here}");
    }
    let outcome = run(without_daemon(&["wathc"]), b"");
    assert!(outcome.err.contains("'watch'"), "{outcome:?}");
}

#[test]
fn what_only_kvs_runs_is_neither_suggested_nor_completed() {
    for hidden in ["demo-client", "bench-peer"] {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = run(without_daemon(&["completions", shell]), b"").ok();
            assert!(!script.contains(hidden), "{shell}");
        }
        assert!(!run(without_daemon(&["help"]), b"").ok().contains(hidden));
    }
    for typo in ["demo-clien", "bench-per", "bench-peers"] {
        let err = run(without_daemon(&[typo]), b"").fails();
        assert!(
            !err.contains("demo-client") && !err.contains("'bench-peer'"),
            "{err}"
        );
    }
}

#[test]
fn usage_errors_have_a_status_of_their_own_for_every_verb() {
    for verb in VERBS {
        for arguments in [
            &[verb, "--frobnicate"][..],
            &[verb, "--frobnicate=1", "a", "b", "c"],
        ] {
            // The command run by `start` has its own options.
            if verb == "start" {
                continue;
            }
            let outcome = run(without_daemon(arguments), b"");
            assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
            assert!(outcome.err.starts_with("kvs: ") && outcome.out.is_empty());
        }
    }
}

#[test]
fn manual_pages_have_exit_statuses_environment_and_files() {
    for verb in VERBS {
        let page = run(without_daemon(&["man", verb]), b"").ok();
        assert!(page.contains(".SH \"EXIT STATUS\""), "{verb}");
        if !["completions", "man", "help"].contains(&verb) {
            assert!(
                page.contains(".SH ENVIRONMENT") && page.contains(".SH FILES"),
                "{verb}"
            );
        }
    }
    let page = run(without_daemon(&["man", "get"]), b"").ok();
    for text in [
        "a condition of a transaction",
        "no daemon answers",
        "KVS_URI",
        "/run/kvs/kvs.sock",
    ] {
        assert!(page.contains(text), "{text} is missing from {page}");
    }
}

#[test]
fn the_statuses_of_the_manual_are_those_of_the_reference() {
    let reference = include_str!("../../../../docs/cli.md");
    let page = run(without_daemon(&["man", "get"]), b"").ok();
    let page = page.replace("\\-", "-");
    // The first such table; that of `serve` comes later.
    let table = reference
        .lines()
        .skip_while(|line| *line != "| status | when |");
    for line in table.take_while(|line| line.starts_with('|')) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(status), Some(when)) = (cells.next(), cells.next()) else {
            continue;
        };
        if matches!(status.parse(), Ok(1..=7u8)) {
            let item = format!("\\fB{status}\\fR\n{}", when.replace('`', ""));
            assert!(page.contains(&item), "{line}: {page}");
        }
    }
}

#[test]
fn what_cannot_be_printed_is_an_error_of_every_verb_also_of_help() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["help"],
        &["man"],
        &["completions", "zsh"],
        &["bench", "put", "--seconds", "0.01", "--json"],
        &["bench", "put", "--seconds", "0.01"],
        &["demo", "--jobs", "1"],
        &["demo", "--jobs", "1", "--json"],
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = without_daemon(arguments);
        let output = command
            .stdout(full)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(
            said, "kvs: standard output: No space left on device\n",
            "{arguments:?}"
        );
    }
}

#[test]
fn a_daemon_logs_its_start_and_its_stop_unless_told_not_to() {
    for (options, logged) in [
        (&[][..], true),
        (&["--log", "warn"], false),
        (&["--log", "off"], false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let uri = format!("unix:{}/kvs.sock", directory.path().display());
        let mut command = without_daemon(&["serve", "--until-eof", "--uri", &uri, "--store"]);
        command.arg(directory.path().join("store")).args(options);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("kvs: serving on ") {
            let read = std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
            assert_ne!(read, 0, "it ended: {said}");
        }
        // The daemon serves until its standard input is closed.
        drop(child.stdin.take());
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        assert!(said.contains(&format!("kvs: serving on {uri}\n")), "{said}");
        let info = said.contains("INFO") && said.contains("stopped");
        assert_eq!(info, logged, "{options:?}: {said}");
    }
    let outcome = run(without_daemon(&["serve", "--log", "loud"]), b"");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}
