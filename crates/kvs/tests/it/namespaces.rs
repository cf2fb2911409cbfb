//! `namespace`, `-N` and the environment.

use crate::support::{Daemon, run};

#[test]
fn namespaces_are_made_listed_and_removed() {
    let kvs = Daemon::start();
    let uid = kvs.script("id -u").ok();
    assert_eq!(kvs.ok(&["namespace", "create", "b", "a"]), "");
    let row = |name: &str| format!("{name:<36} {:>10} 0x00000000\n", uid.trim());
    let header = format!("{:<36} {:>10} {}\n", "NAMESPACE", "OWNER", "FLAGS");
    assert_eq!(
        kvs.ok(&["namespace", "list"]),
        [header.clone(), row("a"), row("b"), row("primary")].concat()
    );
    assert_eq!(kvs.ok(&["namespace", "remove", "a", "b", "never"]), "");
    assert_eq!(
        kvs.ok(&["namespace", "list"]),
        [header, row("primary")].concat()
    );
}

#[test]
fn a_namespace_is_another_tree() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "other"]);
    kvs.ok(&["put", "-N", "other", "a=there"]);
    kvs.ok(&["put", "a=here"]);
    assert_eq!(kvs.ok(&["get", "a"]), "here\n");
    assert_eq!(kvs.ok(&["get", "--namespace", "other", "a"]), "there\n");
    assert_eq!(kvs.ok(&["version", "-N", "other"]), "1\n");
}

#[test]
fn the_environment_names_the_namespace() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "one", "two"]);
    kvs.ok(&["put", "a=primary"]);
    kvs.ok(&["put", "-N", "one", "a=one"]);
    kvs.ok(&["put", "-N", "two", "a=two"]);
    let get = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = kvs.command(arguments);
        command.envs(variables.iter().copied());
        run(command, b"").ok()
    };
    assert_eq!(
        get(&[("FLUX_KVS_NAMESPACE", "one")], &["get", "a"]),
        "one\n"
    );
    assert_eq!(get(&[("KVS_NAMESPACE", "two")], &["get", "a"]), "two\n");
    let both = [("KVS_NAMESPACE", "two"), ("FLUX_KVS_NAMESPACE", "one")];
    assert_eq!(get(&both, &["get", "a"]), "two\n");
    assert_eq!(get(&both, &["get", "-N", "primary", "a"]), "primary\n");
    assert_eq!(get(&[("KVS_NAMESPACE", "")], &["get", "a"]), "primary\n");
}

#[test]
fn an_unknown_namespace_is_not_supported() {
    let kvs = Daemon::start();
    let not = "Operation not supported: namespace none does not exist; \
               `kvs namespace list` shows those that you may read";
    assert_eq!(
        kvs.fails(&["get", "-N", "none", "a"]),
        format!("kvs: a: {not}\n")
    );
    assert_eq!(
        kvs.fails(&["put", "-N", "none", "a=1"]),
        format!("kvs: a: {not}\n")
    );
    assert_eq!(
        kvs.fails(&["version", "-N", "none"]),
        format!("kvs: version: {not}\n")
    );
    assert_eq!(
        kvs.fails(&["watch", "-N", "none", "a"]),
        format!("kvs: watch: {not}\n")
    );
}

#[test]
fn what_exists_cannot_be_created_and_primary_not_removed() {
    let kvs = Daemon::start();
    assert_eq!(
        kvs.fails(&["namespace", "create", "primary"]),
        "kvs: primary: File exists: namespace primary exists already\n"
    );
    assert_eq!(
        kvs.fails(&["namespace", "remove", "primary"]),
        "kvs: primary: Operation not supported: the primary namespace cannot be removed\n"
    );
}

#[test]
fn waitcreate_waits_for_the_namespace_too() {
    let kvs = Daemon::start();
    let mut waiting = kvs.background(&["get", "-W", "-N", "later", "a"]);
    kvs.ok(&["namespace", "create", "later"]);
    kvs.ok(&["put", "-N", "later", "a=1"]);
    assert_eq!(waiting.line(), "1");
    assert!(waiting.wait().success());
}

#[test]
fn a_namespace_before_the_verb_is_for_any_verb_that_is_given_none() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "one", "two"]);
    kvs.ok(&["-N", "one", "put", "a=1"]);
    assert_eq!(kvs.ok(&["get", "-N", "one", "a"]), "1\n");
    assert_eq!(kvs.ok(&["--namespace", "one", "getroot", "-s"]), "1\n");
    kvs.ok(&["-N", "one", "put", "-N", "two", "a=2"]);
    assert_eq!(
        kvs.ok(&["-N", "two", "get", "a"]),
        "2\n",
        "the verb's own wins"
    );
    kvs.ok(&["-N", "one", "copy", "-D", "two", "a", "b"]);
    kvs.ok(&["-N", "two", "move", "b", "c"]);
    assert_eq!(kvs.ok(&["-N", "two", "get", "c"]), "1\n");
    kvs.ok(&["-N", "one", "namespace", "create", "three"]);
    let reference = kvs.ok(&["-N", "two", "snapshot"]);
    assert_eq!(
        kvs.fails(&["-N", "one", "get", "--at", reference.trim(), "a"]),
        "kvs: a: Invalid argument: snapshot two@3:blake3-8f16302c3b4e63ec8909979b6075db12e1751da9775916ed703fa7168840102c is not of namespace one\n",
        "a reference names its namespace itself"
    );
}

#[test]
fn a_namespace_made_again_is_another_one() {
    let kvs = Daemon::start();
    kvs.ok(&["namespace", "create", "n"]);
    kvs.ok(&["put", "-N", "n", "a=first"]);
    let old = kvs.ok(&["snapshot", "-N", "n"]);
    let mut get = kvs.background(&["get", "-N", "n", "-w", "a"]);
    let mut watch = kvs.background(&["watch", "-N", "n", "--from", "1", "a"]);
    assert_eq!(get.line(), "first");
    assert_eq!(watch.line(), "1 put a = first");
    kvs.ok(&["namespace", "remove", "n"]);
    assert_eq!(
        get.wait().code(),
        Some(3),
        "watches end with their namespace"
    );
    assert_eq!(watch.wait().code(), Some(3));
    kvs.ok(&["namespace", "create", "n"]);
    assert_eq!(kvs.ok(&["version", "-N", "n"]), "0\n");
    assert_eq!(
        kvs.fails(&["get", "-N", "n", "a"]),
        "kvs: a: No such file or directory\n"
    );
    kvs.ok(&["put", "-N", "n", "a=second"]);
    let err = kvs.fails(&["get", "--at", old.trim(), "a"]);
    assert!(err.starts_with("kvs: a: stale-snapshot: "), "{err}");
    assert_eq!(kvs.ok(&["get", "-N", "n", "a"]), "second\n");
}
