//! `txn`.

use serde_json::Value;

use crate::support::{Daemon, Outcome, run};

fn txn(kvs: &Daemon, options: &[&str], text: &str) -> Outcome {
    let mut arguments = vec!["txn"];
    arguments.extend(options);
    run(kvs.command(&arguments), text.as_bytes())
}

#[test]
fn a_text_is_one_version() {
    let kvs = Daemon::start();
    kvs.ok(&["put", "old=1", "n=4"]);
    let text = "# everything at once\n\
                put a.b=\"hello world\"\n\
                append log='line\n'\n\
                mkdir d\n\
                link ns::a.b l\n\
                copy a.b c\n\
                move old new\n\
                add n=-1\n\
                put-object 'o={\"data\":\"YQ==\",\"type\":\"val\",\"ver\":1}'\n\
                {\"op\":\"put\",\"key\":\"j\",\"value_base64\":\"/wA=\"}\n\
                unlink missing\n";
    // A quoted string ends on its line.
    let text = text.replace("'line\n'", "\"line\\n\"");
    assert_eq!(txn(&kvs, &[], &text).ok(), "");
    assert_eq!(kvs.version(), 2);
    assert_eq!(
        kvs.ok(&["get", "a.b", "c", "new", "n", "o", "log"]),
        "hello world\nhello world\n1\n3\na\nline\n\n"
    );
    assert_eq!(kvs.ok(&["readlink", "l"]), "ns::a.b\n");
    assert_eq!(kvs.run(&["get", "-r", "j"]).out, b"\xff\0");
    kvs.fails(&["get", "old"]);
}

#[test]
fn a_file_or_an_array_will_do() {
    let kvs = Daemon::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "[{\"op\":\"put\",\"key\":\"a\",\"value\":\"1\"},\n {\"op\":\"add\",\"key\":\"a\",\"delta\":1}]",
    )
    .unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(kvs.ok(&["txn", "-s", path]), "1\n");
    assert_eq!(kvs.ok(&["get", "a"]), "2\n");
    assert_eq!(txn(&kvs, &["-s", "-"], "add a=1\n").ok(), "2\n");
    assert_eq!(
        kvs.fails(&["txn", "/none/such"]),
        "kvs: /none/such: No such file or directory\n"
    );
}

#[test]
fn json_tells_what_each_operation_gave() {
    let kvs = Daemon::start();
    let printed = txn(&kvs, &["--json"], "if-absent n\n\nadd n=5\nput a=1\n").ok();
    let answer: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["namespace"], "primary");
    let expected: Value = serde_json::from_str(r#"[{"line":3,"sum":5},{"line":4}]"#).unwrap();
    assert_eq!(answer["results"], expected);
    let snapshot = answer["snapshot"].as_str().unwrap();
    assert_eq!(kvs.ok(&["get", "--at", snapshot, "n"]), "5\n");
}

#[test]
fn conditions_decide_over_all_of_it() {
    let kvs = Daemon::start();
    let lock = "if-absent lock\nput lock=me\n";
    txn(&kvs, &[], lock).ok();
    assert_eq!(
        txn(&kvs, &[], lock).fails(),
        "kvs: line 1: condition-failed: absent lock: there is a value\n"
    );
    txn(
        &kvs,
        &[],
        "if-equals lock=me\nif-present lock\nif-unchanged lock 1\nput a=1",
    )
    .ok();
    assert_eq!(
        txn(&kvs, &[], "put b=1\nif-present lock\nif-equals lock=you").fails(),
        "kvs: line 3: condition-failed: equals lock: the value has 2 bytes, not 3\n"
    );
    kvs.ok(&["put", "lock=you"]);
    let err = txn(&kvs, &[], "if-unchanged lock 1\nput a=2").fails();
    assert!(
        err.starts_with("kvs: line 1: condition-failed: unchanged lock: "),
        "{err}"
    );
    assert_eq!(kvs.ok(&["get", "a"]), "1\n");
    kvs.fails(&["get", "b"]);
}

#[test]
fn errors_name_the_line() {
    let kvs = Daemon::start();
    kvs.ok(&["mkdir", "d"]);
    assert_eq!(
        txn(&kvs, &[], "put a=1\n\nappend d=x\n").fails(),
        "kvs: line 3: Is a directory: append d: nothing can be appended to a directory\n"
    );
    assert_eq!(
        txn(&kvs, &[], "put a=1\nput b\n").fails(),
        "kvs: line 2: usage: put KEY=VALUE\n"
    );
    let err = txn(&kvs, &[], "put a=1\nput .=1\n").fails();
    assert!(err.starts_with("kvs: line 2: Invalid argument"), "{err}");
    let err = txn(&kvs, &[], "put a=1\n\nput =1\n").fails();
    assert!(err.starts_with("kvs: line 3: Invalid argument"), "{err}");
    assert_eq!(kvs.version(), 1, "nothing was committed");
    assert_eq!(txn(&kvs, &["-s"], "if-present d").ok(), "1\n", "a check");
}

#[test]
fn a_transaction_may_have_a_name() {
    let kvs = Daemon::start();
    txn(&kvs, &["--name", "deploy", "-n"], "put a=1").ok();
    assert!(kvs.ok(&["log"]).contains("(deploy)"));
}
