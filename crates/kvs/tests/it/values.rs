//! `put` and `get`.

use crate::support::{Daemon, ends_well, object, run};

#[test]
fn a_value_is_printed_with_a_newline() {
    let kvs = Daemon::start();
    assert_eq!(kvs.ok(&["put", "a.b=hello world"]), "");
    assert_eq!(kvs.ok(&["get", "a.b"]), "hello world\n");
}

#[test]
fn several_pairs_are_one_transaction_and_come_back_in_argument_order() {
    let kvs = Daemon::start();
    let before = kvs.version();
    kvs.ok(&["put", "a=1", "b=2", "c.d=3"]);
    assert_eq!(kvs.version(), before + 1);
    assert_eq!(kvs.ok(&["get", "c.d", "a", "b"]), "3\n1\n2\n");
}

#[test]
fn the_first_equals_sign_splits() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=b=c"]);
    assert_eq!(kvs.ok(&["get", "a"]), "b=c\n");
}

#[test]
fn put_without_equals_sign_says_what_to_type() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["put", "a"]),
        "kvs: put: you must specify a value as key=value\n"
    );
}

#[test]
fn an_empty_value_prints_nothing() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a="]);
    assert_eq!(kvs.ok(&["get", "a"]), "");
    assert_eq!(kvs.ok(&["get", "-r", "a"]), "");
    assert_eq!(kvs.ok(&["get", "-l", "a"]), "a=");
    assert_eq!(
        kvs.ok(&["get", "-t", "a"]),
        "{\"data\":\"\",\"type\":\"val\",\"ver\":1}\n"
    );
}

#[test]
fn raw_takes_and_gives_exact_bytes() {
    let kvs = Daemon::start();
    let bytes = b"\x00\xff\x1b[2J\n\n";
    assert_eq!(
        run(kvs.command(&["put", "-r", "a=-", "b=-", "c=x"]), bytes).ok(),
        ""
    );
    assert_eq!(kvs.run(&["get", "--raw", "a"]).out, bytes);
    assert_eq!(
        kvs.ok(&["get", "-r", "b", "c"]),
        "x",
        "the second reader of stdin finds it empty"
    );
    assert_eq!(kvs.run(&["get", "a"]).out, [&bytes[..], b"\n"].concat());
}

#[test]
fn a_dash_is_a_value_without_raw() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=-"]);
    assert_eq!(kvs.ok(&["get", "a"]), "-\n");
}

#[test]
fn labels_stand_before_values() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "b=2"]);
    assert_eq!(kvs.ok(&["get", "-l", "a", "b"]), "a=1\nb=2\n");
    assert_eq!(kvs.ok(&["get", "--label", "--raw", "a", "b"]), "a=1b=2");
}

#[test]
fn append_adds_and_creates() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "-A", "a=abc"]);
    kvs.ok(&["put", "--append", "a=def"]);
    kvs.ok(&["put", "--append", "a="]);
    assert_eq!(kvs.ok(&["get", "a"]), "abcdef\n");
    run(kvs.command(&["put", "-r", "-A", "a=-"]), b"\nghi").ok();
    assert_eq!(kvs.ok(&["get", "-r", "a"]), "abcdef\nghi");
}

#[test]
fn a_long_value_comes_back_whole() {
    let kvs = Daemon::start();
    let bytes: Vec<u8> = (0..6_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
    run(kvs.command(&["put", "-r", "long=-"]), &bytes).ok();
    assert!(kvs.run(&["get", "-r", "long"]).out == bytes);
    assert!(kvs.run(&["get", "-S", "-r", "long"]).out == bytes);
    let object = kvs.ok(&["get", "-t", "long"]);
    assert!(
        object.ends_with(",\"type\":\"valref\",\"ver\":1}\n"),
        "{object}"
    );
}

#[test]
fn tree_objects_go_out_and_in() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "dir.a=hello", "dir.b=goodbye"]);
    assert_eq!(
        kvs.ok(&["get", "-t", "dir.a"]),
        "{\"data\":\"aGVsbG8=\",\"type\":\"val\",\"ver\":1}\n"
    );
    let directory = kvs.ok(&["get", "--treeobj", "dir"]);
    assert!(directory.starts_with("{\"data\":[\"blake3-"), "{directory}");
    assert!(
        directory.ends_with("\"],\"type\":\"dirref\",\"ver\":1}\n"),
        "{directory}"
    );
    kvs.ok(&["put", "-t", &format!("copy={directory}")]);
    assert_eq!(kvs.ok(&["get", "copy.a", "copy.b"]), "hello\ngoodbye\n");
    let object = b"{\"data\":\"YgA=\",\"type\":\"val\",\"ver\":1}";
    run(kvs.command(&["put", "-t", "nul=-"]), object).ok();
    assert_eq!(kvs.run(&["get", "-r", "nul"]).out, b"b\0");
}

#[test]
fn a_bad_tree_object_is_refused() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["put", "-t", "a=hello"]),
        "kvs: a: Protocol error: bad tree object at .: expected value at line 1 column 1\n"
    );
    assert_eq!(
        kvs.fails(&["put", "-t", "a={}"]),
        "kvs: a: Protocol error: bad tree object at .: a tree object has exactly the members ver (1), type and data\n"
    );
    assert_eq!(
        kvs.fails(&["get", "a"]),
        "kvs: a: No such file or directory\n"
    );
}

#[test]
fn the_first_failing_key_ends_get() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "d.e=2"]);
    let outcome = kvs.run(&["get", "a", "none", "a"]);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(outcome.out, b"1\n");
    assert_eq!(outcome.err, "kvs: none: No such file or directory\n");
    assert_eq!(
        kvs.fails(&["get", "d"]),
        "kvs: d: Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object\n"
    );
    assert_eq!(
        kvs.fails(&["get", "."]),
        "kvs: .: Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object\n"
    );
    assert_eq!(
        kvs.fails(&["get", "a.b"]),
        "kvs: a.b: No such file or directory\n"
    );
}

#[test]
fn many_keys_come_in_order_with_long_values_among_them() {
    let kvs = Daemon::start();
    let long = "x".repeat(2_000_000);
    run(kvs.command(&["put", "-r", "long=-"]), long.as_bytes()).ok();
    kvs.ok(&["put", "empty=", "d.v=2"]);
    kvs.ok(&["link", "d", "l"]);
    let mut pairs = vec!["put".to_owned()];
    pairs.extend((0..1500).map(|n| format!("k.{n}={n}")));
    kvs.ok(&pairs.iter().map(String::as_str).collect::<Vec<_>>());
    let mut keys: Vec<String> = (0..1500).map(|n| format!("k.{n}")).collect();
    keys.extend(["long", "empty", "l.v"].map(String::from));
    let mut asked = vec!["get"];
    asked.extend(keys.iter().map(String::as_str));
    let mut expected: String = (0..1500).map(|n| format!("{n}\n")).collect();
    expected.push_str(&format!("{long}\n2\n"));
    assert!(kvs.ok(&asked) == expected);
    let labelled = kvs.ok(&["get", "-l", "l.v", "empty", "k.7"]);
    assert_eq!(labelled, "l.v=2\nempty=k.7=7\n");
    let outcome = kvs.run(&["get", "k.1", "d", "k.2"]);
    assert_eq!(
        (outcome.out.as_slice(), outcome.err.as_str()),
        (
            &b"1\n"[..],
            "kvs: d: Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object\n"
        )
    );
    assert_eq!(
        kvs.fails(&["get", "-N", "none", "a", "b"]),
        kvs.fails(&["get", "-N", "none", "a"])
    );
}

#[test]
fn the_root_and_the_empty_key_cannot_be_written() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["put", ".=1"]),
        "kvs: .: Invalid argument: the root cannot be written\n"
    );
    assert_eq!(
        kvs.fails(&["put", "=1"]),
        "kvs: '': Invalid argument: key must not be empty\n"
    );
    assert_eq!(
        kvs.fails(&["put", "a=1", "..=1"]),
        "kvs: ..: Invalid argument: the root cannot be written\n"
    );
    assert_eq!(kvs.version(), 0, "nothing was committed");
}

#[test]
fn appending_to_a_directory_or_link_is_refused() {
    let kvs = Daemon::start();
    kvs.ok(&["mkdir", "d"]);
    kvs.ok(&["link", "x", "l"]);
    assert_eq!(
        kvs.fails(&["put", "-A", "d=1"]),
        "kvs: d: Is a directory: nothing can be appended to a directory\n"
    );
    assert_eq!(
        kvs.fails(&["put", "-A", "l=1"]),
        "kvs: l: Operation not supported: nothing can be appended to a link; append to what it leads to\n"
    );
    assert_eq!(
        kvs.fails(&["put", "-A", "a=1", "d=1"]),
        "kvs: d: Is a directory: nothing can be appended to a directory\n"
    );
    assert_eq!(
        kvs.fails(&["get", "a"]),
        "kvs: a: No such file or directory\n",
        "all or nothing"
    );
}

#[test]
fn a_put_through_a_value_replaces_it() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    kvs.ok(&["put", "a.b=2"]);
    assert_eq!(kvs.ok(&["get", "a.b"]), "2\n");
    assert_eq!(
        kvs.fails(&["get", "a"]),
        "kvs: a: Is a directory; `kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object\n"
    );
}

#[test]
fn keys_are_normalised() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "...a..b...=1"]);
    assert_eq!(kvs.ok(&["get", "a.b", "a..b.", "..a.b"]), "1\n1\n1\n");
    assert_eq!(kvs.ok(&["get", "-l", "..a.b"]), "..a.b=1\n");
}

#[test]
fn a_put_can_print_its_root_blobref_or_version() {
    let kvs = Daemon::start();
    let version = kvs.ok(&["put", "-s", "a=1"]);
    assert_eq!(version, kvs.ok(&["version"]));
    let blobref = kvs.ok(&["put", "-b", "a=2"]);
    assert_eq!(blobref, kvs.ok(&["getroot", "-b"]));
    let root = kvs.ok(&["put", "-O", "a=3"]);
    assert_eq!(root, kvs.ok(&["getroot"]));
    let err = kvs.fails(&["put", "-O", "-s", "a=4"]);
    assert!(err.starts_with("kvs: "), "{err}");
}

#[test]
fn sync_and_no_merge_are_taken() {
    let kvs = Daemon::start();
    assert_eq!(kvs.ok(&["put", "-S", "-n", "a=1"]), "");
    assert_eq!(kvs.ok(&["sync"]), "");
}

#[test]
fn at_reads_an_old_state() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b=old"]);
    let reference = kvs.ok(&["snapshot"]);
    let object = kvs.ok(&["getroot"]);
    let blobref = kvs.ok(&["getroot", "-b"]);
    let directory = kvs.ok(&["get", "-t", "a"]);
    let version = kvs.ok(&["version"]);
    kvs.ok(&["put", "a.b=new"]);
    for at in [&reference, &object, &blobref, &version] {
        assert_eq!(kvs.ok(&["get", "--at", at.trim(), "a.b"]), "old\n", "{at}");
    }
    assert_eq!(kvs.ok(&["get", "-a", directory.trim(), "b"]), "old\n");
    assert_eq!(kvs.ok(&["get", "a.b"]), "new\n");
}

#[test]
fn a_bad_at_is_invalid() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["get", "--at", "nonsense", "a"]),
        "kvs: --at: Invalid argument: 'nonsense' is not a snapshot reference (NAMESPACE@VERSION:BLOBREF), a version, a blobref or a dirref object\n"
    );
    let err = kvs.fails(&[
        "get",
        "--at",
        "{\"data\":\"\",\"type\":\"val\",\"ver\":1}",
        "a",
    ]);
    assert_eq!(
        err,
        "kvs: --at: Invalid argument: '{\"data\":\"\",\"type\":\"val\",\"ver\":1}' is not a snapshot reference (NAMESPACE@VERSION:BLOBREF), a version, a blobref or a dirref object\n"
    );
}

#[test]
fn a_snapshot_that_never_was_is_stale() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let other = kvs.ok(&["getroot", "-b"]);
    let now = kvs.ok(&["put", "-s", "a=2"]);
    let reference = format!("primary@{}:{}", now.trim(), other.trim());
    let err = kvs.fails(&["get", "--at", &reference, "a"]);
    assert!(err.starts_with("kvs: a: stale-snapshot: "), "{err}");
}

#[test]
fn a_long_value_goes_in_from_standard_input_and_comes_out_in_pieces() {
    let kvs = Daemon::start();
    let script =
        "seq 1 3000000 | tee >(cksum >&2) | kvs put -r big=- && kvs get -r -S big | cksum >&2";
    let outcome = kvs.script(&format!("({script}) 2>&1 | uniq"));
    let sums = String::from_utf8(outcome.out).unwrap();
    assert_eq!(sums.lines().count(), 1, "{sums}");
    assert!(sums.trim().ends_with(" 22888896"), "{sums}");
    // The first value from standard input gets all of it.
    let both = kvs.script(
        "seq 1 300000 | kvs put -r a=- b=- c=- && kvs get a | wc -c && kvs get -r b c | wc -c",
    );
    assert_eq!(
        both.ok().split_whitespace().collect::<Vec<_>>(),
        ["1988896", "0"]
    );
    let none = kvs.script("seq 1 300000 | kvs put -r a.=- .=-");
    assert_eq!(none.code, Some(1), "{none:?}");
}

/// Commits a transaction given as text.
fn txn(kvs: &Daemon, text: &str) {
    run(kvs.command(&["txn"]), text.as_bytes()).ok();
}

#[test]
fn appends_of_one_transaction_count_and_print_for_themselves() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let get = kvs.background(&["get", "-w", "-A", "-c", "4", "a"]);
    let plain = kvs.background(&["get", "-w", "-c", "3", "a"]);
    assert_eq!((get.line(), plain.line()), ("1".into(), "1".into()));
    txn(&kvs, "append a=2\nappend a=3\n");
    assert_eq!((get.line(), get.line()), ("2".into(), "3".into()));
    assert_eq!(plain.line(), "123", "a version has one value");
    // An append too long for an event is still one append.
    let long = "x".repeat(200_000);
    txn(&kvs, &format!("append a={long}\nappend other=1\n"));
    assert_eq!(get.line(), long);
    assert_eq!(plain.line(), format!("123{long}"));
    ends_well(get);
    ends_well(plain);
}

#[test]
fn a_value_that_was_put_or_removed_and_appended_to_in_one_transaction_was_replaced() {
    for text in [
        "put d.a=new\nappend d.a=er\n",
        "append d.a=lost\nunlink d.a\nappend d.a=new\n",
        "unlink d\nappend d.a=new\n",
    ] {
        let kvs = Daemon::start();
        kvs.ok(&["put", "d.a=1"]);
        let mut get = kvs.background(&["get", "-w", "-A", "d.a"]);
        assert_eq!(get.line(), "1");
        txn(&kvs, text);
        assert_eq!(get.lines.next(), None, "{text}");
        assert!(!get.wait().success());
    }
}

#[test]
fn appended_bytes_are_objects_where_that_is_asked_for() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let get = kvs.background(&["get", "--json", "-w", "-A", "-c", "3", "a"]);
    assert_eq!(object(&get.line())["value"], "1");
    let long = "x".repeat(200_000);
    txn(&kvs, &format!("append a={long}\nappend a=2\n"));
    assert_eq!(object(&get.line())["value"], *long);
    assert_eq!(object(&get.line())["value"], "2");
    ends_well(get);
}
