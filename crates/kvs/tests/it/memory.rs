//! Memory use of commands, whatever the size of their output.

use std::io::Read as _;
use std::process::Stdio;

use crate::support::{Daemon, run};

/// Most memory that a command may use, in KiB.
const MOST_KIB: u64 = 64 * 1024;

/// Bytes of the test values and outputs: well above what a command may hold.
const LONG: usize = 80 << 20;

/// Bytes of output still unread when a command's memory is last sampled: enough to fill its buffer
/// and the pipe, so that it has not ended.
const UNREAD: usize = 512 * 1024;

/// Memory that a process has allocated and touched, in KiB. Pages of the program file do not count:
/// how many are mapped depends on the page cache.
fn allocated(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let figure = line.unwrap().split_whitespace().nth(1).unwrap();
    figure.parse().unwrap()
}

/// Runs a command that prints at least `least` bytes. Returns its peak memory in KiB while its
/// output was read, and the number of bytes printed.
fn peak(kvs: &Daemon, arguments: &[&str], least: usize) -> (u64, usize) {
    let mut command = kvs.command(arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut buffer, mut printed, mut peak) = (vec![0; 1 << 16], 0, 0);
    while printed < least - UNREAD {
        let count = out.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "{arguments:?} printed {printed} bytes");
        printed += count;
        peak = peak.max(allocated(child.id()));
    }
    peak = peak.max(allocated(child.id()));
    loop {
        match out.read(&mut buffer).unwrap() {
            0 => break,
            count => printed += count,
        }
    }
    assert!(child.wait().unwrap().success(), "{arguments:?}");
    (peak, printed)
}

#[track_caller]
fn within(kvs: &Daemon, arguments: &[&str], least: usize) {
    let (peak, printed) = peak(kvs, arguments, least);
    assert!(printed >= least, "{arguments:?} printed {printed} bytes");
    assert!(peak <= MOST_KIB, "{arguments:?} took {peak} KiB");
}

/// Text of `bytes` bytes, some of which need an escape.
fn text(bytes: usize) -> Vec<u8> {
    let line = format!("\"{}\" €\n", "x".repeat(990));
    line.bytes()
        .cycle()
        .take(bytes / line.len() * line.len())
        .collect()
}

#[test]
fn what_the_command_line_prints_does_not_take_its_size_in_memory() {
    let kvs = Daemon::start_with(&["--durability", "none"]);
    kvs.ok(&["namespace", "create", "job"]);
    kvs.ok(&["link", "-T", "job", "d", "l"]);
    for put in [
        &["put", "-r", "d.big=-"][..],
        &["put", "-N", "job", "-r", "d.big=-"],
    ] {
        run(kvs.command(put), &text(LONG)).ok();
    }
    let watch = ["watch", "--from", "initial", "--count", "1"];
    let json = [&watch[..], &["--json"]].concat();
    let appended = [&watch[..], &["--mode", "append"]].concat();
    let exec = [&watch[..], &["--mode", "latest", "--exec", "cat"]].concat();
    for verb in [
        &["get"][..],
        &["get", "-r"],
        &["get", "--json"],
        &["get", "-W"],
        &["get", "-w", "-u", "-c", "1"],
        &["get", "-w", "-A", "--json", "-c", "1"],
        &appended,
        &exec,
    ] {
        within(&kvs, &[verb, &["d.big"]].concat(), LONG - 1024);
    }
    for verb in [
        &["get", "-w", "-c", "1"][..],
        &["get", "-w", "-A", "-c", "1"],
        &watch,
        &json,
    ] {
        within(&kvs, &[verb, &["l.big"]].concat(), LONG - 1024);
    }
    for verb in [&["dir", "-w", "0"][..], &["dir", "--json"]] {
        within(&kvs, &[verb, &["d"]].concat(), LONG - 1024);
    }
}

#[test]
fn a_version_of_many_keys_is_printed_part_by_part() {
    let kvs = Daemon::start_with(&["--durability", "none"]);
    kvs.ok(&["put", "d.a=1", "d.b=2"]);
    for _ in 0..17 {
        kvs.ok(&["mkdir", "n"]);
        kvs.ok(&["copy", "d", "n.y"]);
        kvs.ok(&["move", "d", "n.x"]);
        kvs.ok(&["move", "n", "d"]);
    }
    let version = kvs.version() + 1;
    kvs.ok(&["unlink", "-R", "d"]);
    let from = version.to_string();
    let watch = ["watch", "--from", &from, "--count", "1"];
    for more in [&["d"][..], &["--json", "d"], &["--exec", "cat", "d"]] {
        // 2^18 values and as many directories.
        within(&kvs, &[&watch, more].concat(), (1 << 19) * 40);
    }
}

/// Fills `d` with `names` long names.
fn wide(kvs: &Daemon, names: usize) {
    let name = |n: usize| format!("{n:07}-{}", "n".repeat(200));
    for first in (0..names).step_by(2_000) {
        let last = (first + 2_000).min(names);
        let lines = (first..last).map(|n| format!("mkdir d.{}\n", name(n)));
        run(kvs.command(&["txn"]), lines.collect::<String>().as_bytes()).ok();
    }
}

#[test]
fn a_directory_of_very_many_names_takes_little_memory() {
    const NAMES: usize = 40_000;
    let kvs = Daemon::start_with(&["--durability", "none"]);
    wide(&kvs, NAMES);
    let least = NAMES * 208;
    for verb in [
        &["ls"][..],
        &["ls", "-1"],
        &["ls", "-F", "-w", "0"],
        &["ls", "--json"],
        &["ls", "-R"],
        &["dir"],
        &["dir", "-R"],
    ] {
        let (peak, printed) = peak(&kvs, &[verb, &["d"]].concat(), least);
        assert!(printed >= least, "{verb:?} printed {printed} bytes");
        // The names alone take 8 MiB, one allocation each.
        assert!(peak <= 10 * 1024, "{verb:?} took {peak} KiB");
    }
    for arguments in [
        &["ls", "-d", "*.00*"],
        &["ls", "-1", "*.00*"],
        &["dir", "-Rd", "*"],
    ] {
        let (peak, printed) = peak(&kvs, arguments, least);
        assert!(printed >= least, "{arguments:?} printed {printed} bytes");
        assert!(peak <= 10 * 1024, "{arguments:?} took {peak} KiB");
    }
}
