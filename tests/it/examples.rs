//! The examples of the client library, each against a daemon: they check themselves.

use std::process::Command;

use kvs_testkit::{Home, example};

#[track_caller]
fn succeeds(name: &str) {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let output = Command::new(example(name).unwrap())
        .env("KVS_URI", home.uri())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name}: {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_chain_of_watches_loses_no_state() {
    succeeds("watch_chaining");
}

#[test]
fn a_callback_reads_the_state_of_its_event() {
    succeeds("notify_read");
}

#[test]
fn consumers_that_react_do_nothing_twice() {
    succeeds("notify_control");
}
