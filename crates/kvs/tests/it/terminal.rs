//! Output on a terminal: `script` provides a pseudo-terminal as standard output and standard error.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::support::{Background, Daemon, run};
use kvs_testkit::has_program;

/// Runs `text` in a shell on a terminal.
fn on_terminal(kvs: &Daemon, text: &str) -> Command {
    assert!(has_program("script"), "it makes the terminal");
    let mut script = kvs.shell("exec script -qec \"$TEXT\" /dev/null");
    script.env("TEXT", text).env("TERM", "xterm");
    script.stdin(Stdio::null()).stdout(Stdio::piped());
    script
}

/// The output on a terminal, with the line ends of the program.
fn shown(kvs: &Daemon, text: &str) -> String {
    let output = on_terminal(kvs, text).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .replace("\r\n", "\n")
}

#[test]
fn control_characters_do_not_act_on_a_terminal() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.\x1b[2J=\x1b[31mred\ttab\nnext\x07"]);
    let (key, value) = ("\\u{1b}[2J", "\\u{1b}[31mred");
    let got = shown(&kvs, "kvs get \"d.$(printf '\\033[2J')\"");
    assert_eq!(got, format!("{value}\ttab\nnext\\u{{7}}\n"));
    for listing in [
        "kvs dir d",
        "kvs dir -R",
        "kvs ls d",
        "kvs ls -1 d",
        "kvs log",
        "kvs dir -d d",
    ] {
        let text = shown(&kvs, listing);
        assert!(text.contains(key), "{listing}: {text:?}");
        assert!(!text.contains('\x1b'), "{listing}: {text:?}");
    }
    run(kvs.command(&["put", "-r", "e.k=-"]), b"a\xff").ok();
    assert_eq!(
        shown(&kvs, "kvs dir e; kvs get e.k"),
        "e.k = a\\xff\na\\xff\n"
    );
    let error = shown(&kvs, "kvs get \"none$(printf '\\033[2J')\"");
    assert_eq!(
        error,
        format!("kvs: none{key}: No such file or directory\n")
    );
}

#[test]
fn files_and_pipes_get_exact_bytes() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.\x1b[2J=\x1b[31mred"]);
    assert_eq!(kvs.ok(&["get", "d.\x1b[2J"]), "\x1b[31mred\n");
    assert_eq!(kvs.ok(&["ls", "d"]), "\x1b[2J\n");
    assert_eq!(
        shown(&kvs, "kvs get -r \"d.$(printf '\\033[2J')\""),
        "\x1b[31mred"
    );
    assert_eq!(shown(&kvs, "kvs dir d | cat"), "d.\x1b[2J = \x1b[31mred\n");
}

#[test]
fn help_and_errors_have_no_colours_where_they_are_unwanted() {
    let kvs = Daemon::start();
    assert!(shown(&kvs, "kvs get --help").contains('\x1b'));
    for unwanted in ["NO_COLOR=1", "TERM=dumb", "CI=true TERM=dumb"] {
        let help = shown(&kvs, &format!("{unwanted} kvs get --help"));
        assert!(!help.contains('\x1b'), "{unwanted}: {help:?}");
        let error = shown(&kvs, &format!("{unwanted} kvs get --nonsense"));
        assert!(!error.contains('\x1b'), "{unwanted}: {error:?}");
    }
    assert!(!kvs.ok(&["get", "--help"]).contains('\x1b'));
}

#[test]
fn lines_are_as_wide_as_the_terminal() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=123456789012345678901234567890"]);
    assert_eq!(
        shown(&kvs, "stty cols 20; COLUMNS=9 kvs dir"),
        "a = 1234567890123...\n"
    );
}

#[test]
fn long_work_shows_on_a_terminal_how_far_it_is() {
    let kvs = Daemon::start();
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo").display().to_string();
    kvs.script(&format!("mkfifo {fifo}")).ok();
    // Work that lasts as long as the test needs.
    let put = format!("kvs put -r long=- < {fifo}");
    let mut put = on_terminal(&kvs, &put).spawn().unwrap();
    let mut input = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    input.write_all(&vec![b'x'; 3 << 20]).unwrap();
    let mut terminal = put.stdout.take().unwrap();
    let mut text = Vec::new();
    while !contains(&text, b"3.00 MiB") {
        let mut byte = [0];
        terminal.read_exact(&mut byte).expect("a line about it");
        text.push(byte[0]);
    }
    drop(input);
    terminal.read_to_end(&mut text).unwrap();
    assert!(put.wait().unwrap().success());
    assert!(
        contains(&text, b"MiB/s"),
        "{}",
        String::from_utf8_lossy(&text)
    );
    assert!(
        text.ends_with(b"\x1b[2K") || text.ends_with(b"\r"),
        "it is cleared: {text:?}"
    );
    assert_eq!(kvs.script("kvs get -r long | wc -c").ok().trim(), "3145728");
}

#[test]
fn an_interrupt_at_the_terminal_ends_long_work_and_leaves_nothing() {
    let kvs = Daemon::start();
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo").display().to_string();
    kvs.script(&format!("mkfifo {fifo}")).ok();
    let put = format!("echo $$; exec kvs put -r long=- < {fifo}");
    let mut put = Background::new(on_terminal(&kvs, &put));
    let id = put.line();
    let mut input = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    input.write_all(&vec![b'x'; 3 << 20]).unwrap();
    // The second write completes only after kvs has read the first, so kvs is running.
    kvs.script(&format!("kill -INT {}", id.trim())).ok();
    assert_eq!(put.wait().code(), Some(130));
    assert_eq!(
        kvs.fails(&["get", "long"]),
        "kvs: long: No such file or directory\n"
    );
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
