//! What shell scripts rely on: pipelines, signals, nested quotes, concurrent clients.

use std::process::Stdio;

use crate::support::{Daemon, run, with_signals, without_daemon};

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let kvs = Daemon::start();
    let pairs: Vec<String> = (0..5000).map(|n| format!("d.k{n}={n:0100}")).collect();
    let mut arguments = vec!["put"];
    arguments.extend(pairs.iter().map(String::as_str));
    kvs.ok(&arguments);
    let outcome = kvs.script("kvs dir -R -w 0 | head -1; echo ${PIPESTATUS[0]}");
    assert_eq!(outcome.err, "");
    assert!(outcome.out.ends_with(b"\n141\n"), "{outcome:?}");
}

#[test]
fn a_watch_ends_when_its_reader_goes_even_if_nothing_more_happens() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    assert_eq!(kvs.script("kvs get -w a | head -1").ok(), "1\n");
    assert_eq!(
        kvs.script("kvs watch --from 1 a | head -1").ok(),
        "1 put a = 1\n"
    );
}

#[test]
fn a_watch_with_a_count_ends_with_its_reader_too() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let script = "kvs get -w -c 3 a | head -1; echo ${PIPESTATUS[*]}";
    assert_eq!(kvs.script(script).ok(), "1\n141 0\n");
    let script = "set -o pipefail; kvs get -w -c 3 a | { read -r v; echo $v; }; echo $?";
    assert_eq!(kvs.script(script).ok(), "1\n141\n");
}

#[test]
fn a_pipeline_tells_which_of_its_commands_failed() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "b.c=2"]);
    let script = "kvs get a none 2>/dev/null | cat; echo ${PIPESTATUS[*]}";
    assert_eq!(kvs.script(script).ok(), "1\n3 0\n");
    let script = "set -o pipefail; kvs get none 2>/dev/null | cat || echo failed";
    assert_eq!(kvs.script(script).ok(), "failed\n");
    let script = "kvs ls -1 | while read -r key; do kvs get $key 2>/dev/null || echo no; done";
    assert_eq!(kvs.script(script).ok(), "1\nno\n");
    let script = "kvs get -r a | kvs put -r copy=- && kvs get copy";
    assert_eq!(kvs.script(script).ok(), "1\n");
    let script = "false | kvs put -r e=-; echo $?; kvs get -t e";
    assert!(kvs.script(script).ok().starts_with("0\n{\"data\":\"\","));
}

#[test]
fn signals_end_a_command_that_waits_with_their_usual_statuses() {
    let kvs = Daemon::start();
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("KILL", 137)] {
        for command in [
            "kvs get -W never",
            "kvs wait 99",
            "kvs eventlog wait-event -W l e",
        ] {
            // Repeat until it has ended: the first signal may come before the handler is installed.
            let kill = format!("while kill -{signal} $! 2>/dev/null; do :; done");
            let script = format!("{command} & {kill}; wait $! 2>/dev/null; echo $?");
            let told = kvs.script(&script).ok();
            assert_eq!(told, format!("{status}\n"), "{command}, {signal}");
        }
    }
}

#[test]
fn an_interrupt_ends_a_watch_also_in_the_background_of_a_script() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let mut watch = kvs.background(&["watch", "--from", "1", "a"]);
    assert_eq!(watch.line(), "1 put a = 1");
    kvs.script(&format!("kill -INT {}", watch.child.id())).ok();
    assert_eq!(watch.wait().code(), Some(130));
    assert_eq!(watch.lines.next(), None);
    let script =
        "exec 3< <(exec kvs get -w a); read -r line <&3; kill -INT $!; wait $!; echo $line $?";
    assert_eq!(kvs.script(script).ok(), "1 130\n");
}

#[test]
fn exit_statuses_work_in_conditions() {
    let kvs = Daemon::start();
    let script = "kvs put a=1 && kvs get a && ! kvs get b 2>/dev/null && echo done";
    assert_eq!(kvs.script(script).ok(), "1\ndone\n");
}

#[test]
fn a_version_synchronises_two_scripts() {
    let kvs = Daemon::start();
    let script = "next=$(($(kvs version) + 1)); kvs wait $next & kvs put a=1; wait $! && kvs get a";
    assert_eq!(kvs.script(script).ok(), "1\n");
}

#[test]
fn waitcreate_in_the_background() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.script("kvs get --waitcreate a & kvs put a=1; wait $!")
            .ok(),
        "1\n"
    );
}

#[test]
fn many_clients_at_once() {
    let kvs = Daemon::start();
    let script = "for n in $(seq 50); do kvs put d.k$n=$n & done; wait; kvs ls -1 d | wc -l";
    assert_eq!(kvs.script(script).ok().trim(), "50");
    assert_eq!(kvs.version(), kvs.ok(&["log"]).lines().count() as u64);
}

#[test]
fn start_runs_a_command_beside_a_private_daemon() {
    let kvs = env!("CARGO_BIN_EXE_kvs");
    let script = format!("'{kvs}' put 'a=it'\"'\"'s' && '{kvs}' get a; exit 7");
    let outcome = run(without_daemon(&["start", "--", "sh", "-c", &script]), b"");
    assert_eq!(
        (outcome.code, outcome.out.as_slice()),
        (Some(7), &b"it's\n"[..]),
        "{outcome:?}"
    );
    let nested = format!(
        "sh -c \"'{kvs}' put \\\"a=\\$(echo 'x  y')\\\"\"; sh -c '\"{kvs}\" get a | tr x \"\\\"\"'"
    );
    let outcome = run(without_daemon(&["start", "sh", "-c", &nested]), b"");
    assert_eq!(
        (outcome.code, String::from_utf8_lossy(&outcome.out).as_ref()),
        (Some(0), "\"  y\n"),
        "{outcome:?}"
    );
    let outcome = run(without_daemon(&["start", "--", "no-such-command"]), b"");
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            Some(127),
            "kvs: no-such-command: No such file or directory\n"
        )
    );
    let outcome = run(without_daemon(&["start", kvs, "version"]), b"");
    assert_eq!(
        (outcome.code, outcome.out.as_slice()),
        (Some(0), &b"0\n"[..]),
        "{outcome:?}"
    );
}

#[test]
fn what_a_command_of_start_leaves_behind_ends_with_the_daemon() {
    let kvs = env!("CARGO_BIN_EXE_kvs");
    let directory = tempfile::tempdir().unwrap();
    // The watch keeps its own end of the pipe open, and inherits our standard error.
    let script = format!(
        "cd '{}' && mkfifo lines && exec 3<>lines; '{kvs}' put a=1;
         '{kvs}' get -w a >&3 & read line <&3; echo $line",
        directory.path().display()
    );
    let outcome = run(without_daemon(&["start", "sh", "-c", &script]), b"");
    assert_eq!(
        (outcome.code, outcome.out.as_slice()),
        (Some(0), &b"1\n"[..]),
        "{outcome:?}"
    );
    assert!(
        outcome.err.contains("cannot connect to unix:"),
        "{outcome:?}"
    );
}

#[test]
fn a_full_device_is_an_error() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = kvs.command(&["get", "a"]);
    let output = command
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "kvs: standard output: No space left on device\n"
    );
}

/// `kvs start` with a command that waits and a separate temporary directory.
fn started(directory: &std::path::Path, command: &str) -> crate::support::Background {
    let mut start = with_signals(&["start", "--", "sh", "-c", command]);
    start.env("TMPDIR", directory).stdout(Stdio::piped());
    let start = crate::support::Background::new(start);
    // After exec, the default signal handling applies.
    let name = format!("/proc/{}/comm", start.child.id());
    while std::fs::read_to_string(&name).unwrap() != "kvs\n" {
        std::thread::yield_now();
    }
    start
}

fn kill(signal: &str, pid: u32) {
    let status = std::process::Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Processes with the directory in their command lines.
fn processes_of(directory: &std::path::Path) -> Vec<String> {
    let name = directory.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&name).then_some(line)
    });
    lines.collect()
}

#[test]
fn no_signal_to_demo_or_bench_leaves_a_daemon_or_a_directory_behind() {
    for verb in [
        &["demo", "--jobs", "1000000"][..],
        &["bench", "put", "--seconds", "60"],
    ] {
        for (signal, status) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
            let directory = tempfile::tempdir().unwrap();
            let mut command = with_signals(verb);
            command.env("TMPDIR", directory.path());
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut command = crate::support::Background::new(command);
            let deadline = std::time::Instant::now() + crate::support::PATIENCE;
            while processes_of(directory.path()).is_empty() {
                assert!(std::time::Instant::now() < deadline, "no daemon begins");
                std::thread::yield_now();
            }
            kill(signal, command.child.id());
            assert_eq!(command.wait().code(), Some(status), "{verb:?} {signal}");
            assert_eq!(
                std::fs::read_dir(directory.path()).unwrap().count(),
                0,
                "{verb:?}"
            );
            while !processes_of(directory.path()).is_empty() {
                assert!(std::time::Instant::now() < deadline, "a process is left");
                std::thread::yield_now();
            }
        }
    }
}

/// Waits until a directory is empty.
#[track_caller]
fn becomes_empty(directory: &std::path::Path) {
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while std::fs::read_dir(directory).unwrap().next().is_some() {
        assert!(std::time::Instant::now() < deadline, "something is left");
        std::thread::yield_now();
    }
}

#[test]
fn no_signal_to_start_leaves_its_command_or_its_store_behind() {
    for (signal, status) in [("TERM", Some(143)), ("HUP", Some(129)), ("KILL", None)] {
        let directory = tempfile::tempdir().unwrap();
        let mut start = started(directory.path(), "echo $$; exec sleep 60");
        let command: u32 = start.line().parse().unwrap();
        kill(signal, start.child.id());
        assert_eq!(start.wait().code(), status, "{signal}");
        // The command's end of the pipe is closed when it has ended.
        assert_eq!(start.lines.next(), None, "{signal}: {command} is left");
        becomes_empty(directory.path());
    }
}

#[test]
fn a_signal_while_start_begins_leaves_nothing_behind() {
    for signal in ["TERM", "HUP", "KILL"] {
        for pause in 0..12 {
            let directory = tempfile::tempdir().unwrap();
            let mut start = started(directory.path(), "exec sleep 60 >/dev/null");
            (0..pause * 3_000).for_each(|_| std::thread::yield_now());
            kill(signal, start.child.id());
            start.wait();
            becomes_empty(directory.path());
        }
    }
}
