//! `dir`, `ls`, `mkdir`.

use crate::support::{Daemon, run};

fn filled() -> Daemon {
    let kvs = Daemon::start();
    kvs.ok(&["put", "t.a=69", "t.c.d.e=3.14", "t.b=one\ntwo", "t.empty="]);
    kvs.ok(&["mkdir", "t.void"]);
    kvs.ok(&["link", "t.a", "t.l"]);
    kvs.ok(&["link", "-T", "other", "x.y", "t.m"]);
    kvs
}

#[test]
fn dir_shows_keys_with_values_links_and_directories() {
    let kvs = filled();
    assert_eq!(
        kvs.ok(&["dir", "t"]),
        "t.a = 69\nt.b = one\ntwo\nt.c.\nt.empty = \nt.l -> t.a\nt.m -> other::x.y\nt.void.\n"
    );
    assert_eq!(kvs.ok(&["dir"]), "t.\n");
    assert_eq!(kvs.ok(&["dir", "."]), "t.\n");
}

#[test]
fn dir_recursive_shows_only_empty_directories() {
    let kvs = filled();
    assert_eq!(
        kvs.ok(&["dir", "-R", "-w", "0"]),
        "t.a = 69\nt.b = one\ntwo\nt.c.d.e = 3.14\nt.empty = \nt.l -> t.a\nt.m -> other::x.y\nt.void.\n"
    );
    assert_eq!(kvs.ok(&["dir", "-R", "t.c"]), "t.c.d.e = 3.14\n");
}

#[test]
fn dir_keys_only() {
    let kvs = filled();
    assert_eq!(
        kvs.ok(&["dir", "-d", "t"]),
        "t.a\nt.b\nt.c.\nt.empty\nt.l\nt.m\nt.void.\n"
    );
    assert_eq!(kvs.ok(&["dir", "-Rd", "t.c"]), "t.c.d.e\n");
}

#[test]
fn dir_cuts_lines_to_the_width() {
    let kvs = Daemon::start();
    let long = "x".repeat(200);
    kvs.ok(&["put", &format!("a={long}"), "b=12345678"]);
    assert_eq!(kvs.ok(&["dir", "-w", "10"]), "a = xxx...\nb = 123...\n");
    assert_eq!(kvs.ok(&["dir", "-w", "12"]), "a = xxxxx...\nb = 12345678\n");
    let whole = format!("a = {long}\nb = 12345678\n");
    assert_eq!(kvs.ok(&["dir"]), whole, "what goes into a pipe is whole");
    for unlimited in ["0", "1", "2", "3"] {
        assert_eq!(
            kvs.ok(&["dir", "-w", unlimited]),
            format!("a = {long}\nb = 12345678\n")
        );
    }
    let mut narrow = kvs.command(&["dir"]);
    narrow.env("COLUMNS", "10");
    assert_eq!(run(narrow, b"").ok(), "a = xxx...\nb = 123...\n");
}

#[test]
fn dir_of_something_else_is_an_error() {
    let kvs = filled();
    assert_eq!(
        kvs.fails(&["dir", "t.a"]),
        "kvs: t.a: Not a directory; `kvs get` prints a value, `kvs readlink` where a link leads\n"
    );
    assert_eq!(
        kvs.fails(&["dir", "none"]),
        "kvs: none: No such file or directory\n"
    );
    assert_eq!(
        kvs.fails(&["dir", "t.l"]),
        "kvs: t.l: Not a directory; `kvs get` prints a value, `kvs readlink` where a link leads\n"
    );
}

#[test]
fn an_empty_directory_shows_nothing() {
    let kvs = filled();
    assert_eq!(kvs.ok(&["dir", "-R", "t.void"]), "");
    assert_eq!(kvs.ok(&["ls", "t.void"]), "");
}

#[test]
fn dir_through_a_link_shows_keys_under_the_link() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b.c=1"]);
    kvs.ok(&["link", "a", "l"]);
    assert_eq!(kvs.ok(&["dir", "l"]), "l.b.\n");
    assert_eq!(kvs.ok(&["dir", "-R", "l.b"]), "l.b.c = 1\n");
}

#[test]
fn dir_at_an_old_state() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b=1"]);
    let reference = kvs.ok(&["snapshot"]);
    let object = kvs.ok(&["getroot"]);
    kvs.ok(&["put", "a.b=2", "a.c=3"]);
    assert_eq!(kvs.ok(&["dir", "-a", reference.trim(), "a"]), "a.b = 1\n");
    assert_eq!(kvs.ok(&["dir", "-R", "--at", object.trim()]), "a.b = 1\n");
    assert_eq!(kvs.ok(&["ls", "--at", reference.trim(), "a"]), "b\n");
}

#[test]
fn a_directory_of_many_pages_is_shown_whole_and_sorted() {
    let kvs = Daemon::start();
    let pairs: Vec<String> = (0..9000).map(|n| format!("d.k{n:05}={n}")).collect();
    let mut arguments = vec!["put"];
    arguments.extend(pairs.iter().map(String::as_str));
    kvs.ok(&arguments);
    let shown = kvs.ok(&["dir", "-R"]);
    let expected: String = (0..9000).map(|n| format!("d.k{n:05} = {n}\n")).collect();
    assert!(shown == expected);
    assert_eq!(kvs.ok(&["ls", "-1", "d"]).lines().count(), 9000);
}

#[test]
fn ls_lays_names_out_in_columns_without_a_terminal() {
    let kvs = Daemon::start();
    let pairs: Vec<String> = (0..50).map(|n| format!("d.{n:04}=x")).collect();
    let mut arguments = vec!["put"];
    arguments.extend(pairs.iter().map(String::as_str));
    kvs.ok(&arguments);
    let shown = kvs.ok(&["ls", "d"]);
    assert_eq!(shown.lines().count(), 5);
    assert!(shown.starts_with("0000    0001    0002    "), "{shown}");
    assert!(shown.lines().all(|line| line == line.trim_end()), "{shown}");
    assert_eq!(kvs.ok(&["ls", "-w", "40", "d"]).lines().count(), 10);
    assert_eq!(kvs.ok(&["ls", "-w40", "d"]).lines().count(), 10);
    assert_eq!(kvs.ok(&["ls", "-w", "0", "d"]).lines().count(), 1);
    assert_eq!(kvs.ok(&["ls", "-1", "d"]).lines().count(), 50);
    let mut narrow = kvs.command(&["ls", "d"]);
    narrow.env("COLUMNS", "20");
    assert_eq!(run(narrow, b"").ok().lines().count(), 25);
}

#[test]
fn ls_classifies() {
    let kvs = filled();
    assert_eq!(
        kvs.ok(&["ls", "-1F", "t"]),
        "a\nb\nc.\nempty\nl@\nm@\nvoid.\n"
    );
    assert_eq!(
        kvs.ok(&["ls", "-1Fd", "t.a", "t.c", "t.l"]),
        "t.a\nt.c.\nt.l@\n"
    );
    assert_eq!(kvs.ok(&["ls", "-1", "--classify"]), "t.\n");
}

#[test]
fn ls_shows_singles_first_then_directories_under_headers() {
    let kvs = filled();
    assert_eq!(
        kvs.ok(&["ls", "-1", "t.void", "t.c", "t.b", "t.a"]),
        "t.a\nt.b\n\nt.c:\nd\n\nt.void:\n"
    );
    assert_eq!(
        kvs.ok(&["ls", "-1", "t.c"]),
        "d\n",
        "one directory alone has no header"
    );
    assert_eq!(kvs.ok(&["ls", "t.a"]), "t.a\n");
    assert_eq!(kvs.ok(&["ls", "t.b", "t.a"]), "t.a    t.b\n");
}

#[test]
fn ls_recursive_descends_with_headers() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b.c=1", "a.d=2", "e=3"]);
    assert_eq!(
        kvs.ok(&["ls", "-R"]),
        ".:\na    e\n\na:\nb    d\n\na.b:\nc\n"
    );
    assert_eq!(kvs.ok(&["ls", "-RF", "a"]), "a:\nb.    d\n\na.b:\nc\n");
}

#[test]
fn ls_follows_a_link_to_a_directory_unless_it_classifies_or_shows_itself() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b=1"]);
    kvs.ok(&["link", "a", "l"]);
    kvs.ok(&["link", "nowhere", "n"]);
    assert_eq!(kvs.ok(&["ls", "l"]), "b\n");
    assert_eq!(kvs.ok(&["ls", "-F", "l"]), "l@\n");
    assert_eq!(kvs.ok(&["ls", "-d", "l"]), "l\n");
    assert_eq!(
        kvs.ok(&["ls", "-F", "l."]),
        "b\n",
        "a trailing dot demands a directory"
    );
    assert_eq!(kvs.ok(&["ls", "n"]), "n\n", "a link to nowhere is a link");
}

#[test]
fn ls_with_a_trailing_dot_demands_a_directory() {
    let kvs = filled();
    assert_eq!(kvs.ok(&["ls", "-d", "t.c."]), "t.c\n");
    assert_eq!(
        kvs.fails(&["ls", "t.a."]),
        "kvs: t.a.: Not a directory: it is not a directory, which the dot at the end demands\n"
    );
}

#[test]
fn ls_goes_on_after_a_key_that_fails() {
    let kvs = filled();
    let outcome = kvs.run(&["ls", "-1", "none", "t.c", "nor"]);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(
        outcome.err,
        "kvs: none: No such file or directory\nkvs: nor: No such file or directory\n"
    );
    assert_eq!(outcome.out, b"d\n");
}

#[test]
fn mkdir_leaves_a_directory_and_replaces_anything_else() {
    let kvs = filled();
    let before = kvs.ok(&["dir", "-R", "t.c"]);
    kvs.ok(&["mkdir", "t.c", "t.a", "new.deep"]);
    assert_ne!(before, "");
    assert_eq!(kvs.ok(&["dir", "-R", "t.c"]), before);
    assert_eq!(kvs.ok(&["dir", "t.a"]), "");
    let link = kvs.ok(&["readlink", "t.l"]);
    kvs.ok(&["put", &format!("{}.kept=1", link.trim())]);
    kvs.ok(&["mkdir", "t.l"]);
    assert_eq!(kvs.ok(&["dir", "t.l"]), "", "a link is replaced");
    assert_eq!(kvs.ok(&["get", &format!("{}.kept", link.trim())]), "1\n");
    assert_eq!(kvs.ok(&["dir", "-R", "new"]), "new.deep.\n");
    assert_eq!(
        kvs.fails(&["mkdir", "."]),
        "kvs: .: Invalid argument: the root cannot be written\n"
    );
    let version = kvs.ok(&["mkdir", "-s", "t.x"]);
    assert_eq!(version, kvs.ok(&["version"]));
}

#[test]
fn patterns_stand_for_the_keys_that_they_match() {
    let kvs = Daemon::start();
    kvs.ok(&[
        "put",
        "j.1.state=a",
        "j.2.state=b",
        "j.2.rank=7",
        "k=1",
        "x[1]=lit",
    ]);
    kvs.ok(&["mkdir", "void"]);
    assert_eq!(kvs.ok(&["ls", "-1", "j.*.state"]), "j.1.state\nj.2.state\n");
    assert_eq!(
        kvs.ok(&["ls", "-1", "j.?"]),
        "j.1:\nstate\n\nj.2:\nrank\nstate\n"
    );
    assert_eq!(kvs.ok(&["ls", "-1d", "j.?", "k*"]), "j.1\nj.2\nk\n");
    assert_eq!(
        kvs.ok(&["ls", "x[1]"]),
        "x[1]\n",
        "a key that exists is no pattern"
    );
    let at = kvs.ok(&["snapshot"]);
    kvs.ok(&["unlink", "-R", "j"]);
    assert_eq!(
        kvs.ok(&["ls", "-1", "--at", at.trim(), "j.*.rank"]),
        "j.2.rank\n"
    );
    assert_eq!(kvs.run(&["ls", "j.*"]).code, Some(3));
}

#[test]
fn entries_are_counted_and_limited() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "d.a=1", "d.b=2", "d.s.c=3", "e=4", "f.x=5"]);
    for (arguments, printed) in [
        (&["ls", "--count"][..], "3\n"),
        (&["ls", "--count", "d"], "3\n"),
        (&["ls", "--count", "-R", "d"], "4\n"),
        (&["ls", "--count", "-d", "d", "e"], "2\n"),
        (&["ls", "--count", "d", "f"], "4\n"),
        (&["ls", "--count", "?"], "5\n"),
        (&["ls", "--count", "-d", "?"], "3\n"),
        (&["ls", "--count", "--json", "d"], "{\"count\":3}\n"),
        (&["ls", "-1", "--limit", "2", "d"], "a\nb\n"),
        (&["ls", "-1", "--limit", "2", "e", "d"], "e\n\nd:\na\n"),
        (&["ls", "-1", "--limit", "0", "d"], ""),
        (&["ls", "-1", "--limit", "2", "d.*"], "d.a\nd.b\n"),
        (&["ls", "-1d", "--limit", "99", "*"], "d\ne\nf\n"),
    ] {
        assert_eq!(kvs.ok(arguments), printed, "{arguments:?}");
    }
}

#[test]
fn dir_takes_patterns_a_limit_and_counts() {
    let kvs = Daemon::start();
    kvs.ok(&[
        "put",
        "j.1.state=a",
        "j.2.rank=7",
        "j.2.state=b",
        "j.2.x.y=c",
        "k=1",
        "x[1]=lit",
    ]);
    kvs.ok(&["put", "j[2].z=9", "j-k=2"]);
    kvs.ok(&["mkdir", "j.3"]);
    kvs.ok(&["link", "j.1", "j.l"]);
    for (arguments, printed) in [
        (&["j.*.state"][..], "j.1.state = a\nj.2.state = b\n"),
        (&["-d", "j.*.state"], "j.1.state\nj.2.state\n"),
        (
            &["j.?"],
            "j.1.state = a\nj.2.rank = 7\nj.2.state = b\nj.2.x.\nj.l -> j.1\n",
        ),
        (
            &["-R", "j.?"],
            "j.1.state = a\nj.2.rank = 7\nj.2.state = b\nj.2.x.y = c\nj.l -> j.1\n",
        ),
        (
            &["j.**"],
            "j.1.\nj.2.\nj.3.\nj.l -> j.1\nj.1.state = a\nj.2.rank = 7\nj.2.state = b\nj.2.x.\nj.2.x.y = c\n",
        ),
        (
            &["-R", "j.2.**"],
            "j.2.rank = 7\nj.2.state = b\nj.2.x.y = c\n",
        ),
        (&["j[2]"], "j[2].z = 9\n"),
        (&["k*"], "k = 1\n"),
        (&["--limit", "2", "j.?"], "j.1.state = a\nj.2.rank = 7\n"),
        (&["--limit", "1", "-R"], "j.1.state = a\n"),
        (&["--limit", "0", "j"], ""),
        (&["--limit", "99", "j.1"], "j.1.state = a\n"),
        (&["--count", "j"], "4\n"),
        (&["--count"], "5\n"),
        (&["--count", "j.1."], "1\n"),
        (&["--count", "-R", "j"], "6\n"),
        (&["--count", "j.?"], "5\n"),
        (&["--count", "j.*.state"], "2\n"),
        (&["--count", "j.3"], "0\n"),
        (&["--count", "--json", "j.2"], "{\"count\":3}\n"),
        (&["--json", "-d", "k?", "--limit", "3"], ""),
    ] {
        let arguments = [&["dir"][..], arguments].concat();
        if printed.is_empty() && arguments.contains(&"k?") {
            assert_eq!(
                kvs.fails(&arguments),
                "kvs: k?: No such file or directory: no key matches\n"
            );
            continue;
        }
        assert_eq!(kvs.ok(&arguments), printed, "{arguments:?}");
    }
    let old = kvs.ok(&["snapshot"]);
    kvs.ok(&["unlink", "-R", "j"]);
    assert_eq!(
        kvs.ok(&["dir", "--at", old.trim(), "j.*.rank"]),
        "j.2.rank = 7\n"
    );
    assert_eq!(kvs.run(&["dir", "j.*"]).code, Some(3));
    let bad = kvs.fails(&["dir", "a.[b"]);
    assert!(bad.starts_with("kvs: a.[b: Invalid argument: "), "{bad}");
    assert_eq!(
        kvs.run(&["dir", "--limit", "1", "--count", "j"]).code,
        Some(2)
    );
}

#[test]
fn ls_lists_patterns_and_keys_in_the_order_of_keys() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b=1", "a-b=2", "c=3", "d.e.f=4", "d.g.h=5"]);
    let ls = ["ls", "-1", "c", "a*", "*-b", "d.*"];
    assert_eq!(kvs.ok(&ls), "a-b\na-b\nc\n\na:\nb\n\nd.e:\nf\n\nd.g:\nh\n");
    assert_eq!(kvs.ok(&["ls", "-R", "d.?"]), "d.e:\nf\n\nd.g:\nh\n");
}

#[test]
fn a_pipe_gets_values_that_are_not_utf8_as_they_are() {
    let kvs = Daemon::start();
    let long = [b"\xff".repeat(70_000), b"\xe2\x82".to_vec()].concat();
    for value in [b"a\xffb".as_slice(), b"\xc3", b"\x00\xfe\n\xff", &long] {
        run(kvs.command(&["put", "-r", "d.k=-"]), value).ok();
        let expected = [b"d.k = ".as_slice(), value, b"\n"].concat();
        for dir in [&["dir", "d"][..], &["dir", "-R"], &["dir", "-w0", "d.*"]] {
            let got = run(kvs.command(dir), b"");
            assert!(got.out == expected, "{dir:?} {:?}", got.err);
        }
        let got = run(kvs.command(&["get", "d.k"]), b"");
        assert!(got.out == [value, b"\n"].concat(), "{:?}", got.err);
    }
    run(kvs.command(&["put", "-r", "d.k=-"]), b"a\xff\xc3b\n").ok();
    let line = "= a\\xff\\xc3b\\n\n";
    assert!(
        kvs.ok(&["watch", "--from", "initial", "--count", "1", "d.k"])
            .ends_with(line)
    );
    assert!(kvs.ok(&["log", "--values", "-n1"]).ends_with(line));
}
