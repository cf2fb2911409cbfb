//! `unlink`.

use crate::support::Daemon;

#[test]
fn values_links_and_empty_directories_go() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "b=2"]);
    kvs.ok(&["mkdir", "d"]);
    kvs.ok(&["link", "a", "l"]);
    assert_eq!(kvs.ok(&["unlink", "b", "d", "l"]), "");
    assert_eq!(kvs.ok(&["dir"]), "a = 1\n", "what a link leads to stays");
}

#[test]
fn a_missing_key_is_an_error_that_force_forgives() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["unlink", "a"]),
        "kvs: cannot unlink 'a': No such file or directory\n"
    );
    assert_eq!(kvs.ok(&["unlink", "-f", "a"]), "");
    assert_eq!(kvs.ok(&["unlink", "-Rf", "a", "b"]), "");
    assert_eq!(kvs.ok(&["unlink", "-fs", "a"]), "0\n");
}

#[test]
fn a_full_directory_needs_recursive() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a.b.c=1"]);
    assert_eq!(
        kvs.fails(&["unlink", "a"]),
        "kvs: cannot unlink 'a': Directory not empty; -R removes it with all that is in it\n"
    );
    assert_eq!(
        kvs.fails(&["unlink", "-f", "a.b"]),
        "kvs: cannot unlink 'a.b': Directory not empty; -R removes it with all that is in it\n"
    );
    assert_eq!(kvs.ok(&["unlink", "-R", "a"]), "");
    assert_eq!(kvs.ok(&["dir"]), "");
}

#[test]
fn every_key_is_checked_before_any_goes() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1", "d.e=2"]);
    let before = kvs.version();
    assert_eq!(
        kvs.fails(&["unlink", "a", "none"]),
        "kvs: cannot unlink 'none': No such file or directory\n"
    );
    assert_eq!(
        kvs.fails(&["unlink", "a", "d"]),
        "kvs: cannot unlink 'd': Directory not empty; -R removes it with all that is in it\n"
    );
    assert_eq!(kvs.ok(&["get", "a"]), "1\n");
    assert_eq!(kvs.version(), before);
    kvs.ok(&["unlink", "-R", "a", "d"]);
    assert_eq!(kvs.version(), before + 1, "one commit for all");
}

#[test]
fn the_root_stays() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    assert_eq!(
        kvs.fails(&["unlink", "-R", "."]),
        "kvs: .: Invalid argument: the root cannot be written\n"
    );
}

#[test]
fn unlink_can_print_its_version() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "a=1"]);
    let printed = kvs.ok(&["unlink", "-s", "a"]);
    assert_eq!(printed, kvs.ok(&["version"]));
    kvs.ok(&["put", "a=1"]);
    let printed = kvs.ok(&["unlink", "-O", "a"]);
    assert_eq!(printed, kvs.ok(&["getroot"]));
}
