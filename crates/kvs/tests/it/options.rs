//! Every option exists under both of its names, and both do the same.

use crate::support::{Daemon, Outcome, run, without_daemon};

/// The options of `flux kvs`.
const TABLE: &[(&str, &[&str])] = &[
    (
        "get",
        &[
            "-r, --raw",
            "-t, --treeobj",
            "-a, --at",
            "-l, --label",
            "-W, --waitcreate",
            "-w, --watch",
            "-u, --uniq",
            "-A, --append",
            "-f, --full",
            "-c, --count",
            "-S, --stream",
            "-N, --namespace",
        ],
    ),
    (
        "put",
        &[
            "-r, --raw",
            "-t, --treeobj",
            "-n, --no-merge",
            "-A, --append",
            "-S, --sync",
            "-O, --treeobj-root",
            "-b, --blobref",
            "-s, --sequence",
            "-N, --namespace",
        ],
    ),
    (
        "dir",
        &[
            "-R, --recursive",
            "-d, --directory",
            "-w, --width",
            "-a, --at",
            "-N, --namespace",
        ],
    ),
    (
        "ls",
        &[
            "-R, --recursive",
            "-d, --directory",
            "-F, --classify",
            "-w, --width",
            "-1",
            "-N, --namespace",
        ],
    ),
    (
        "unlink",
        &[
            "-R, --recursive",
            "-f, --force",
            "-O, --treeobj-root",
            "-b, --blobref",
            "-s, --sequence",
            "-N, --namespace",
        ],
    ),
    (
        "link",
        &[
            "-T, --target-namespace",
            "-O, --treeobj-root",
            "-b, --blobref",
            "-s, --sequence",
            "-N, --namespace",
        ],
    ),
    (
        "readlink",
        &[
            "-a, --at",
            "-o, --namespace-only",
            "-k, --key-only",
            "-N, --namespace",
        ],
    ),
    (
        "mkdir",
        &[
            "-O, --treeobj-root",
            "-b, --blobref",
            "-s, --sequence",
            "-N, --namespace",
        ],
    ),
    ("copy", &["-S, --src-namespace", "-D, --dst-namespace"]),
    ("move", &["-S, --src-namespace", "-D, --dst-namespace"]),
    (
        "getroot",
        &[
            "-o, --owner",
            "-s, --sequence",
            "-b, --blobref",
            "-N, --namespace",
        ],
    ),
    ("version", &["-N, --namespace"]),
    ("wait", &["-t, --timeout", "-N, --namespace"]),
    ("sync", &[]),
    (
        "namespace create",
        &["-o, --owner", "-r, --rootref", "--from"],
    ),
    ("namespace remove", &[]),
    ("namespace list", &["--json"]),
    ("eventlog append", &["-t, --timestamp", "-N, --namespace"]),
    (
        "eventlog get",
        &[
            "-W, --waitcreate",
            "-w, --watch",
            "-c, --count",
            "-u, --unformatted",
            "-H, --human",
            "-L, --color",
            "-S, --stream",
            "-N, --namespace",
        ],
    ),
    (
        "eventlog wait-event",
        &[
            "-W, --waitcreate",
            "-t, --timeout",
            "-u, --unformatted",
            "-q, --quiet",
            "-v, --verbose",
            "-H, --human",
            "-L, --color",
            "-N, --namespace",
        ],
    ),
];

#[test]
fn every_option_has_both_names() {
    for (verb, options) in TABLE {
        let mut arguments: Vec<&str> = verb.split(' ').collect();
        arguments.push("--help");
        let help = run(without_daemon(&arguments), b"").ok();
        for option in *options {
            assert!(help.contains(option), "{verb} {option}: {help}");
        }
    }
}

fn filled() -> Daemon {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "d.b=two", "d.e.f=3", "log={}"]);
    kvs.ok(&["eventlog", "append", "-t", "7", "events", "begun"]);
    kvs.ok(&["link", "-T", "other", "x", "l"]);
    kvs
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn commands_that_read_do_the_same_under_long_names() {
    let kvs = filled();
    let root = kvs.ok(&["getroot", "-b"]);
    let at =
        |option: &str, command: &str| command.replace("AT", &format!("{option} {}", root.trim()));
    for (short, long) in [
        ("get -r a", "get --raw a"),
        ("get -t a d", "get --treeobj a d"),
        ("get -l a", "get --label a"),
        ("get -W a", "get --waitcreate a"),
        ("get -w -c 1 a", "get --watch --count 1 a"),
        ("get -w -c1 a", "get --watch --count=1 a"),
        ("get -wu -c 1 a", "get --watch --uniq --count 1 a"),
        ("get -wA -c 1 a", "get --watch --append --count 1 a"),
        ("get -wf -c 1 a", "get --watch --full --count 1 a"),
        ("get -S a", "get --stream a"),
        ("get AT d.b", "get AT d.b"),
        ("get -N primary a", "get --namespace primary a"),
        ("dir -R", "dir --recursive"),
        ("dir -d", "dir --directory"),
        ("dir -w 7", "dir --width 7"),
        ("dir -w7", "dir --width=7"),
        ("dir AT d", "dir AT d"),
        ("ls -R", "ls --recursive"),
        ("ls -d d", "ls --directory d"),
        ("ls -F", "ls --classify"),
        ("ls -w 9", "ls --width 9"),
        ("readlink -o l", "readlink --namespace-only l"),
        ("readlink -k l", "readlink --key-only l"),
        ("readlink AT l", "readlink AT l"),
        ("getroot -o", "getroot --owner"),
        ("getroot -s", "getroot --sequence"),
        ("getroot -b", "getroot --blobref"),
        ("wait -t 1ms 99", "wait --timeout 1ms 99"),
        ("eventlog get -W events", "eventlog get --waitcreate events"),
        (
            "eventlog get -w -c 1 events",
            "eventlog get --watch --count 1 events",
        ),
        ("eventlog get -S events", "eventlog get --stream events"),
        (
            "eventlog wait-event -W -q events begun",
            "eventlog wait-event --waitcreate --quiet events begun",
        ),
    ] {
        let run = |option, command| kvs.run(&words(&at(option, command)));
        let (short, outcome) = (run("-a", short), run("--at", long));
        assert_eq!(short, outcome, "{long}");
        assert!(
            !outcome.out.is_empty() || !outcome.err.is_empty() || long.contains("quiet"),
            "{long} says nothing"
        );
    }
}

#[test]
fn commands_that_write_can_print_the_root_that_they_made() {
    let kvs = filled();
    kvs.ok(&["put", "u.a=1", "u.b=1", "u.c=1", "u.d=1", "u.e=1", "u.f=1"]);
    let names = [
        "-O",
        "--treeobj-root",
        "-b",
        "--blobref",
        "-s",
        "--sequence",
    ];
    let shown = ["getroot", "getroot -b", "getroot -s"];
    for (index, (option, key)) in names.into_iter().zip("abcdef".chars()).enumerate() {
        for command in [
            format!("put {option} p={index}"),
            format!("mkdir {option} m{index}"),
            format!("link {option} a l{index}"),
            format!("unlink {option} u.{key}"),
        ] {
            let before = kvs.version();
            let printed = kvs.ok(&words(&command));
            assert_eq!(printed, kvs.ok(&words(shown[index / 2])), "{command}");
            assert_eq!(kvs.version(), before + 1, "{command}");
        }
    }
    for verb in ["put k=1", "mkdir k", "link a k", "unlink -f k"] {
        let both = [words(verb), words("-b -s")].concat();
        let Outcome { code, err, .. } = kvs.run(&both);
        assert_eq!(code, Some(2), "{verb}");
        assert!(err.contains("cannot be used with"), "{verb}: {err}");
    }
}

#[test]
fn commands_that_write_do_the_same_under_long_names() {
    let kvs = filled();
    kvs.ok(&["put", "--no-merge", "--sync", "n=1"]);
    run(kvs.command(&["put", "--raw", "r=-"]), b"raw\0").ok();
    assert_eq!(kvs.run(&["get", "-r", "r"]).out, b"raw\0");
    let object = kvs.ok(&["get", "-t", "a"]);
    kvs.ok(&["put", "--treeobj", &format!("t={object}")]);
    assert_eq!(kvs.ok(&["get", "t"]), "1\n");
    kvs.ok(&["unlink", "--force", "none"]);
    kvs.ok(&["unlink", "--recursive", "d"]);
    assert_eq!(
        kvs.fails(&["get", "d"]),
        "kvs: d: No such file or directory\n"
    );
    kvs.ok(&["link", "--target-namespace", "ns", "x.y", "far"]);
    assert_eq!(kvs.ok(&["readlink", "far"]), "ns::x.y\n");
    kvs.ok(&["namespace", "create", "ns"]);
    kvs.ok(&["copy", "--dst-namespace", "ns", "a", "x.y"]);
    assert_eq!(kvs.ok(&["get", "far"]), "1\n");
    kvs.ok(&[
        "move",
        "--src-namespace",
        "ns",
        "--dst-namespace",
        "primary",
        "x.y",
        "back",
    ]);
    assert_eq!(kvs.ok(&["get", "back"]), "1\n");
    let root = kvs.ok(&["getroot", "--blobref"]);
    kvs.ok(&[
        "namespace",
        "create",
        "--owner",
        "7",
        "--rootref",
        root.trim(),
        "copy",
    ]);
    assert_eq!(kvs.ok(&["getroot", "-o", "-N", "copy"]), "7\n");
    assert_eq!(kvs.ok(&["get", "-N", "copy", "a"]), "1\n");
}

#[test]
fn options_of_a_watch_change_nothing_without_one() {
    let kvs = filled();
    for options in ["-u", "-A", "-f", "-c 1", "-c 5", "-uAf -c 2"] {
        let command = format!("get {options} a d.b");
        assert_eq!(kvs.ok(&words(&command)), "1\ntwo\n", "{command}");
    }
}

#[test]
fn a_full_watch_sees_a_parent_that_is_replaced() {
    let kvs = filled();
    kvs.ok(&["put", "new.b=other"]);
    let watch = kvs.background(&["get", "-w", "-f", "-c", "2", "d.b"]);
    assert_eq!(watch.line(), "two");
    kvs.ok(&["move", "new", "d"]);
    assert_eq!(watch.line(), "other");
}

#[test]
fn who_may_read_a_namespace_is_told_as_json_too() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "-o", "7", "n"]);
    kvs.ok(&["namespace", "share", "n", "--read", "9", "--read", "8"]);
    assert_eq!(kvs.ok(&["namespace", "share", "n"]), "8\n9\n");
    assert_eq!(
        kvs.ok(&["namespace", "share", "n", "--json"]),
        "{\"namespace\":\"n\",\"owner\":7,\"readers\":[8,9]}\n"
    );
}
