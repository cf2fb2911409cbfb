//! The client in Python, written from RFC 0005 alone, against a real daemon.
//!
//! It needs `python3`, and `msgpack`, which is installed into a virtual environment in the target
//! directory if it is not there. What is missing is an error, never a silent skip.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kvs_testkit::{Home, program};

#[track_caller]
fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()))
}

fn has_msgpack(python: &Path) -> bool {
    let output = Command::new(python).args(["-c", "import msgpack"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// A python that has msgpack.
fn python() -> PathBuf {
    let system = PathBuf::from("python3");
    let found = Command::new(&system).arg("--version").output();
    assert!(
        found.is_ok(),
        "python3 is needed for this test and is not installed"
    );
    if has_msgpack(&system) {
        return system;
    }
    let directory = program().unwrap().parent().unwrap().join("python");
    let python = directory.join("bin/python");
    if has_msgpack(&python) {
        return python;
    }
    let made = run(Command::new(&system)
        .args(["-m", "venv", "--clear"])
        .arg(&directory));
    assert!(
        made.status.success(),
        "msgpack for python3 is missing, and no virtual environment can be made (install \
         python3-msgpack or python3-venv): {}{}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
    let installed = run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "msgpack"]));
    assert!(
        installed.status.success(),
        "msgpack for python3 is missing and cannot be installed: {}",
        String::from_utf8_lossy(&installed.stderr)
    );
    python
}

#[test]
fn a_client_from_the_rfc_alone_puts_gets_waits_and_watches() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let python = python();
    for script in ["test_golden.py", "kvs_client.py"] {
        let output = run(Command::new(&python)
            .arg(scripts.join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("KVS_URI", home.uri()));
        assert!(
            output.status.success(),
            "{script}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
