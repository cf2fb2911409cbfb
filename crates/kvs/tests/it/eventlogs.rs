//! `eventlog append`, `get`, `wait-event`.

use crate::support::{Daemon, Outcome, run};

fn two_events() -> Daemon {
    let kvs = Daemon::start();
    kvs.ok(&["eventlog", "append", "-t", "120", "log", "primus"]);
    kvs.ok(&[
        "eventlog",
        "append",
        "--timestamp=121",
        "log",
        "secundus",
        "{\"n\":1,",
        "\"s\": \"x y\"}",
    ]);
    kvs
}

/// Runs a command with UTC as the local time zone.
fn in_utc(kvs: &Daemon, arguments: &[&str]) -> Outcome {
    let mut command = kvs.command(arguments);
    command.env("TZ", "UTC");
    run(command, b"")
}

#[test]
fn events_are_appended_as_lines_of_json() {
    let kvs = two_events();
    assert_eq!(
        kvs.ok(&["get", "-r", "log"]),
        "{\"timestamp\":120.0,\"name\":\"primus\"}\n\
         {\"timestamp\":121.0,\"name\":\"secundus\",\"context\":{\"n\":1,\"s\":\"x y\"}}\n"
    );
}

#[test]
fn get_prints_time_name_and_context() {
    let kvs = two_events();
    assert_eq!(
        kvs.ok(&["eventlog", "get", "log"]),
        "120.000000 primus\n121.000000 secundus n=1 s=\"x y\"\n"
    );
    assert_eq!(
        kvs.ok(&["eventlog", "get", "-c", "1", "log"]),
        "120.000000 primus\n"
    );
    assert_eq!(
        kvs.ok(&["eventlog", "get", "-S", "-c1", "log"]),
        "120.000000 primus\n"
    );
}

#[test]
fn get_unformatted_prints_json() {
    let kvs = two_events();
    let json = kvs.ok(&["get", "-r", "log"]);
    for option in ["-u", "--unformatted", "--json"] {
        assert_eq!(kvs.ok(&["eventlog", "get", option, "log"]), json);
    }
    kvs.fails(&["eventlog", "get", "-Hu", "log"]);
    kvs.fails(&["eventlog", "wait-event", "-Hu", "log", "primus"]);
}

#[test]
fn human_times_name_the_minute_then_count_from_it() {
    let kvs = two_events();
    let expected = "[Jan01 00:02] primus\n[  +1.000000] secundus n=1 s=\"x y\"\n";
    for arguments in [
        &["eventlog", "get", "-H", "log"][..],
        &["eventlog", "get", "--human", "log"],
        &["eventlog", "wait-event", "-v", "-H", "log", "secundus"],
    ] {
        assert_eq!(in_utc(&kvs, arguments).ok(), expected);
    }
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let kvs = two_events();
    let plain = kvs.ok(&["eventlog", "get", "log"]);
    for option in ["--color=never", "--color=auto", "-Lnever", "-L=auto"] {
        assert_eq!(kvs.ok(&["eventlog", "get", option, "log"]), plain);
    }
    let coloured = "\x1b[32m120.000000\x1b[0m \x1b[33mprimus\x1b[0m\n";
    for option in ["-L", "-Lalways", "-L=always", "--color", "--color=always"] {
        let shown = kvs.ok(&["eventlog", "get", option, "-c", "1", "log"]);
        assert_eq!(shown, coloured, "{option}");
        let shown = kvs.ok(&["eventlog", "wait-event", option, "log", "primus"]);
        assert_eq!(shown, coloured, "{option}");
    }
    let err = kvs.fails(&["eventlog", "get", "--color=foo", "log"]);
    assert!(err.starts_with("kvs: invalid value 'foo'"), "{err}");
    kvs.fails(&["eventlog", "wait-event", "--color=foo", "log", "primus"]);
}

#[test]
fn a_terminal_gets_colours_unless_they_are_unwanted() {
    let kvs = two_events();
    let on_terminal = |environment: &str, arguments: &str| {
        let script = format!(
            "{environment} script -qec \"kvs eventlog get {arguments} -c 1 log\" /dev/null </dev/null"
        );
        String::from_utf8(kvs.script(&script).out).unwrap()
    };
    assert!(on_terminal("TERM=xterm", "").starts_with("\x1b[32m120.000000"));
    assert!(on_terminal("TERM=xterm NO_COLOR=1", "").starts_with("120.000000"));
    assert!(on_terminal("TERM=xterm NO_COLOR=1", "-L").starts_with("\x1b[32m120.000000"));
    assert!(on_terminal("TERM=xterm", "--color=never").starts_with("120.000000"));
}

#[test]
fn get_watch_prints_each_event_as_it_is_appended() {
    let kvs = two_events();
    let mut watch = kvs.background(&["eventlog", "get", "-w", "-c", "4", "log"]);
    assert_eq!(watch.line(), "120.000000 primus");
    assert_eq!(watch.line(), "121.000000 secundus n=1 s=\"x y\"");
    kvs.ok(&["eventlog", "append", "-t", "122", "log", "tertius"]);
    assert_eq!(watch.line(), "122.000000 tertius");
    kvs.ok(&["eventlog", "append", "-t", "123", "log", "quartus"]);
    assert_eq!(watch.line(), "123.000000 quartus");
    assert_eq!(watch.wait().code(), Some(0));
}

#[test]
fn an_event_appended_in_two_pieces_of_one_transaction_is_one_event() {
    let kvs = two_events();
    let mut watch = kvs.background(&["eventlog", "wait-event", "log", "late"]);
    let text =
        "append log=\"{\\\"timestamp\\\":5,\"\nappend log=\"\\\"name\\\":\\\"late\\\"}\\n\"\n";
    run(kvs.command(&["txn"]), text.as_bytes()).ok();
    assert_eq!(watch.line(), "5.000000 late");
    assert_eq!(watch.wait().code(), Some(0));
}

#[test]
fn following_what_is_no_eventlog_fails_as_reading_it_does() {
    const MALFORMED: &str = "kvs: log: cannot decode improperly formatted eventlog\n";
    let kvs = Daemon::start();
    let bad = [
        b"foo".as_slice(),
        b"foo\n",
        b"\xff\x00\n",
        b"\xff\x00",
        b"{\"timestamp\":1,\"name\":\"n\"}",
        b"\n",
    ];
    let verbs = [
        &["eventlog", "wait-event", "log", "x"][..],
        &["eventlog", "wait-event", "-W", "log", "x"],
        &["eventlog", "get", "-w", "log"],
        &["eventlog", "get", "-W", "-w", "log"],
        &["eventlog", "get", "-W", "log"],
    ];
    for bytes in bad {
        run(kvs.command(&["put", "-r", "log=-"]), bytes).ok();
        for verb in verbs {
            assert_eq!(kvs.fails(verb), MALFORMED, "{verb:?} {bytes:?}");
        }
    }
    kvs.ok(&["mkdir", "d"]);
    let directory = kvs.fails(&["eventlog", "wait-event", "d", "x"]);
    assert!(directory.contains("d: Is a directory"), "{directory}");
    // The value is a valid log first, then not.
    for tail in ["foo", "foo\n", "{\"timestamp\":1,"] {
        run(
            kvs.command(&["put", "-r", "log=-"]),
            b"{\"timestamp\":1,\"name\":\"a\"}\n",
        )
        .ok();
        let mut waiting = kvs.background(&["eventlog", "wait-event", "-v", "log", "x"]);
        assert_eq!(waiting.line(), "1.000000 a");
        run(kvs.command(&["put", "-r", "-A", "log=-"]), tail.as_bytes()).ok();
        assert_eq!(waiting.lines.next(), None);
        assert!(!waiting.wait().success(), "{tail:?}");
    }
    // An existing event is found, whatever follows it.
    let mut log = b"{\"timestamp\":1,\"name\":\"x\"}\n".to_vec();
    log.extend_from_slice(b"foo");
    run(kvs.command(&["put", "-r", "log=-"]), &log).ok();
    assert_eq!(
        kvs.ok(&["eventlog", "wait-event", "log", "x"]),
        "1.000000 x\n"
    );
}

#[test]
fn a_line_of_any_length_that_never_ends_is_no_event() {
    let kvs = Daemon::start();
    let long = vec![b'{'; 5 << 20];
    run(kvs.command(&["put", "-r", "log=-"]), &long).ok();
    let failed = kvs.fails(&["eventlog", "get", "-w", "log"]);
    assert_eq!(
        failed,
        "kvs: log: cannot decode improperly formatted eventlog\n"
    );
}

#[test]
fn waitcreate_waits_for_the_log_and_the_namespace() {
    let kvs = Daemon::start();
    let get = kvs.background(&["eventlog", "get", "-W", "-u", "log"]);
    let wait = kvs.background(&["eventlog", "wait-event", "-W", "-N", "ns", "log", "b"]);
    kvs.ok(&["eventlog", "append", "-t1", "log", "a"]);
    kvs.ok(&["namespace", "create", "ns"]);
    kvs.ok(&["eventlog", "append", "-N", "ns", "-t1", "log", "a"]);
    kvs.ok(&["eventlog", "append", "-N", "ns", "-t2", "log", "b"]);
    assert_eq!(get.line(), "{\"timestamp\":1.0,\"name\":\"a\"}");
    assert_eq!(wait.line(), "2.000000 b");
    for mut ended in [get, wait] {
        assert_eq!(ended.wait().code(), Some(0));
    }
}

#[test]
fn wait_event_prints_the_match_or_more_or_nothing() {
    let kvs = two_events();
    let wait = |options: &[&str], event| {
        let mut arguments = vec!["eventlog", "wait-event"];
        arguments.extend(options);
        arguments.extend(["log", event]);
        kvs.ok(&arguments)
    };
    assert_eq!(wait(&[], "secundus"), "121.000000 secundus n=1 s=\"x y\"\n");
    assert_eq!(
        wait(&["--unformatted"], "primus"),
        "{\"timestamp\":120.0,\"name\":\"primus\"}\n"
    );
    assert_eq!(wait(&["-v"], "primus"), "120.000000 primus\n");
    assert_eq!(wait(&["--verbose"], "secundus").lines().count(), 2);
    assert_eq!(wait(&["-q"], "secundus"), "");
    assert_eq!(wait(&["--quiet"], "primus"), "");
}

#[test]
fn wait_event_gives_up_after_its_timeout() {
    let kvs = two_events();
    assert_eq!(
        kvs.fails(&["eventlog", "wait-event", "-t", "0.1", "log", "never"]),
        "kvs: wait-event timeout on event 'never'\n"
    );
    assert_eq!(
        kvs.fails(&[
            "eventlog",
            "wait-event",
            "-W",
            "--timeout=50ms",
            "none",
            "e"
        ]),
        "kvs: wait-event timeout on event 'e'\n"
    );
}

#[test]
fn a_missing_log_is_not_found_also_when_it_goes_away() {
    let kvs = two_events();
    for arguments in [
        &["eventlog", "get", "none"][..],
        &["eventlog", "get", "-w", "none"],
        &["eventlog", "wait-event", "none", "e"],
    ] {
        assert_eq!(kvs.fails(arguments), "kvs: eventlog path none not found\n");
    }
    let script = "exec 3< <(exec kvs eventlog wait-event -v log never 2>&1); read -r a <&3; read -r a <&3; \
                  kvs unlink log; cat <&3; wait $!; echo $?";
    assert_eq!(
        kvs.script(script).ok(),
        "kvs: eventlog path log not found\n3\n"
    );
    assert_eq!(
        kvs.fails(&["eventlog", "get", "-N", "none", "log"]),
        "kvs: log: Operation not supported: namespace none does not exist; `kvs namespace list` shows those that you may read\n"
    );
    kvs.ok(&["mkdir", "d"]);
    assert_eq!(
        kvs.fails(&["eventlog", "get", "d"]),
        "kvs: d: Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object\n"
    );
}

#[test]
fn a_malformed_log_gets_its_error() {
    let kvs = Daemon::start();
    for bad in [
        "foo",
        "foo\n",
        "{}\n",
        "{\"timestamp\":1,\"name\":\"n\"}",
        "\n",
    ] {
        kvs.ok(&["put", &format!("log={bad}")]);
        assert_eq!(
            kvs.fails(&["eventlog", "get", "log"]),
            "kvs: log: cannot decode improperly formatted eventlog\n",
            "{bad}"
        );
    }
    assert_eq!(
        kvs.fails(&["eventlog", "wait-event", "log", "n"]),
        "kvs: log: cannot decode improperly formatted eventlog\n"
    );
    kvs.ok(&["put", "log="]);
    assert_eq!(kvs.ok(&["eventlog", "get", "log"]), "");
}

#[test]
fn what_cannot_be_an_event_is_not_appended() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["eventlog", "append", "log", "e", "not_an_object"]),
        "kvs: eventlog append: the context is not a JSON object\n"
    );
    assert_eq!(
        kvs.fails(&["eventlog", "append", "--timestamp=-1", "log", "e"]),
        "kvs: --timestamp: must be a number of seconds above 0\n"
    );
    kvs.fails(&["eventlog", "append", "log", ""]);
    kvs.fails(&["eventlog", "append", "log"]);
    kvs.ok(&["mkdir", "d"]);
    assert_eq!(
        kvs.fails(&["eventlog", "append", "d", "e"]),
        "kvs: d: Is a directory: nothing can be appended to a directory\n"
    );
    assert_eq!(
        kvs.fails(&["eventlog", "append", ".", "e"]),
        "kvs: .: Invalid argument: the root cannot be written\n"
    );
    assert_eq!(kvs.version(), 1);
}

#[test]
fn a_log_of_many_ranges_is_read_whole() {
    let kvs = Daemon::start();
    let line = |n: usize| {
        format!("{{\"timestamp\":1.0,\"name\":\"e{n}\",\"context\":{{\"pad\":\"{n:0100}\"}}}}\n")
    };
    let log: String = (0..20_000).map(line).collect();
    run(kvs.command(&["put", "-r", "log=-"]), log.as_bytes()).ok();
    assert!(kvs.ok(&["eventlog", "get", "-u", "log"]) == log);
    assert_eq!(
        kvs.ok(&["eventlog", "wait-event", "-u", "log", "e19999"]),
        line(19_999)
    );
}
