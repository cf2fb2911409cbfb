//! `link`, `readlink`, `copy`, `move`.

use crate::support::{Daemon, run};

#[test]
fn links_are_followed_when_reading() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b=1"]);
    kvs.ok(&["link", "a", "l"]);
    kvs.ok(&["link", "l.b", "m"]);
    assert_eq!(kvs.ok(&["get", "l.b", "m"]), "1\n1\n");
    assert_eq!(kvs.ok(&["readlink", "l", "m"]), "a\nl.b\n");
    assert_eq!(
        kvs.ok(&["get", "-t", "l"]),
        "{\"data\":{\"target\":\"a\"},\"type\":\"symlink\",\"ver\":1}\n"
    );
}

#[test]
fn links_are_followed_on_the_way_when_writing_and_replaced_at_the_end() {
    let kvs = Daemon::start();
    kvs.ok(&["mkdir", "a"]);
    kvs.ok(&["link", "a", "l"]);
    kvs.ok(&["put", "l.x=1"]);
    assert_eq!(kvs.ok(&["get", "a.x"]), "1\n");
    kvs.ok(&["put", "l=2"]);
    assert_eq!(
        kvs.fails(&["readlink", "l"]),
        "kvs: l: Invalid argument: it is not a symbolic link\n"
    );
    assert_eq!(kvs.ok(&["get", "l", "a.x"]), "2\n1\n");
}

#[test]
fn readlink_shows_namespace_key_or_both() {
    let kvs = Daemon::start();
    kvs.ok(&["link", "-T", "other", "x.y", "l"]);
    kvs.ok(&["link", "x", "m"]);
    assert_eq!(kvs.ok(&["readlink", "l"]), "other::x.y\n");
    assert_eq!(kvs.ok(&["readlink", "-o", "l", "m"]), "other\n");
    assert_eq!(kvs.ok(&["readlink", "-k", "l", "m"]), "x.y\nx\n");
    assert_eq!(
        kvs.fails(&["readlink", "none"]),
        "kvs: none: No such file or directory\n"
    );
    assert_eq!(
        kvs.fails(&["readlink", "."]),
        "kvs: .: Invalid argument: it is not a symbolic link\n"
    );
}

#[test]
fn readlink_at_an_old_state() {
    let kvs = Daemon::start();
    kvs.ok(&["link", "old", "l"]);
    let reference = kvs.ok(&["snapshot"]);
    kvs.ok(&["link", "new", "l"]);
    assert_eq!(kvs.ok(&["readlink", "-a", reference.trim(), "l"]), "old\n");
}

#[test]
fn more_than_ten_links_and_cycles_are_errors() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "k0=1"]);
    for n in 0..11 {
        kvs.ok(&["link", &format!("k{n}"), &format!("k{}", n + 1)]);
    }
    assert_eq!(kvs.ok(&["get", "k10"]), "1\n");
    assert_eq!(
        kvs.fails(&["get", "k11"]),
        "kvs: k11: Too many levels of symbolic links: more than 10 links on the way to k1\n"
    );
    kvs.ok(&["link", "a", "b"]);
    kvs.ok(&["link", "b", "a"]);
    assert_eq!(
        kvs.fails(&["get", "a"]),
        "kvs: a: Too many levels of symbolic links: more than 10 links on the way to a\n"
    );
    assert_eq!(
        kvs.fails(&["put", "a.x=1"]),
        "kvs: a.x: Too many levels of symbolic links: more than 10 links on the way to a.x\n"
    );
}

#[test]
fn copy_takes_values_directories_and_links_as_they_are() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.x=1"]);
    kvs.ok(&["link", "a", "l"]);
    assert_eq!(kvs.ok(&["copy", "a", "b"]), "");
    assert_eq!(kvs.ok(&["copy", "l", "m"]), "");
    assert_eq!(kvs.ok(&["get", "a.x", "b.x", "m.x"]), "1\n1\n1\n");
    assert_eq!(kvs.ok(&["readlink", "m"]), "a\n");
    kvs.ok(&["copy", "a", "l"]);
    assert_eq!(
        kvs.fails(&["readlink", "l"]),
        "kvs: l: Invalid argument: it is not a symbolic link\n"
    );
}

#[test]
fn move_takes_the_source_away_in_one_version() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.x=1"]);
    let before = kvs.version();
    assert_eq!(kvs.ok(&["move", "a", "b.c"]), "");
    assert_eq!(kvs.version(), before + 1);
    assert_eq!(kvs.ok(&["dir", "-R"]), "b.c.x = 1\n");
}

#[test]
fn copying_what_is_missing_the_root_or_into_itself_is_an_error() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.x=1"]);
    assert_eq!(
        kvs.fails(&["copy", "none", "b"]),
        "kvs: none: No such file or directory\n"
    );
    assert_eq!(
        kvs.fails(&["move", "none", "b"]),
        "kvs: none: No such file or directory\n"
    );
    for verb in ["copy", "move"] {
        assert_eq!(
            kvs.fails(&[verb, ".", "b"]),
            "kvs: .: Invalid argument: the root cannot be copied or moved; name what is in it\n",
            "the root is to blame"
        );
    }
    let err = kvs.fails(&["move", "a", "a.y"]);
    let because = ": Invalid argument: it cannot be moved below itself\n";
    assert!(err.ends_with(because), "{err}");
}

#[test]
fn a_value_of_any_length_reaches_another_namespace() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    // Longer than a value that the daemon assembles from a tree object.
    let long = vec![b'x'; (64 << 20) + 5];
    run(kvs.command(&["put", "-r", "a=-"]), &long).ok();
    kvs.ok(&["copy", "-D", "other", "a", "b"]);
    kvs.ok(&["move", "-S", "other", "-D", "primary", "b", "c"]);
    assert_eq!(
        kvs.fails(&["get", "-N", "other", "b"]),
        "kvs: b: No such file or directory\n"
    );
    let objects = [kvs.ok(&["get", "-t", "a"]), kvs.ok(&["get", "-t", "c"])];
    assert_eq!(objects[0], objects[1]);
}

#[test]
fn copy_and_move_reach_other_namespaces() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    kvs.ok(&["put", "a.x=1", "a.y=2"]);
    kvs.ok(&["copy", "-D", "other", "a", "b"]);
    assert_eq!(kvs.ok(&["dir", "-R", "-N", "other"]), "b.x = 1\nb.y = 2\n");
    kvs.ok(&["move", "-S", "other", "-D", "primary", "b.x", "c"]);
    assert_eq!(kvs.ok(&["dir", "-R", "-N", "other"]), "b.y = 2\n");
    assert_eq!(kvs.ok(&["get", "c"]), "1\n");
    assert_eq!(
        kvs.fails(&["move", "-S", "other", "none", "c"]),
        "kvs: none: No such file or directory\n"
    );
}

#[test]
fn links_lead_into_other_namespaces_for_readers_only() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    kvs.ok(&["put", "-N", "other", "a.x=1"]);
    kvs.ok(&["link", "-T", "other", "a", "l"]);
    assert_eq!(kvs.ok(&["get", "l.x"]), "1\n");
    assert_eq!(kvs.ok(&["dir", "l"]), "l.x = 1\n");
    assert_eq!(kvs.ok(&["ls", "l"]), "x\n");
    assert_eq!(
        kvs.fails(&["put", "l.x=2"]),
        "kvs: l.x: Invalid argument: a link on the way leads into namespace 'other', and a transaction writes in one namespace\n"
    );
}

#[test]
fn a_link_that_cannot_be_made_names_the_key_that_is_wrong() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    for (target, link, wrong) in [
        ("", "l", "'': Invalid argument: key must not be empty"),
        ("a", "", "'': Invalid argument: key must not be empty"),
        ("a", ".", ".: Invalid argument: the root cannot be written"),
    ] {
        assert_eq!(
            kvs.fails(&["link", target, link]),
            format!("kvs: {wrong}\n")
        );
    }
    kvs.ok(&["link", "b", "c"]);
    kvs.ok(&["link", "c", "b"]);
    assert_eq!(
        kvs.fails(&["link", "a", "b.x"]),
        "kvs: b.x: Too many levels of symbolic links: more than 10 links on the way to b.x\n"
    );
}
