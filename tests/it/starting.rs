//! What stands in the way of a daemon is said in one clear line, and what a killed one left does not
//! stand in the way.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kvs_acceptance::{Daemon, Home, Refused, program};

/// A user without rights, as whom a daemon is run when the tests run as root.
const NOBODY: u32 = 65_534;

#[track_caller]
fn refused(home: &Home, options: &[&str]) -> Refused {
    let mut command = home.command(program().unwrap());
    command.args(options);
    refusal(Daemon::spawn(command, home.socket()).unwrap())
}

#[track_caller]
fn refusal(started: Result<Daemon, Refused>) -> Refused {
    let Err(refused) = started else {
        panic!("the daemon starts");
    };
    assert_eq!(refused.status.code(), Some(1), "{}", refused.message);
    assert_eq!(refused.message.lines().count(), 1, "{}", refused.message);
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_store_is_refused() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let other = Home::new().unwrap();
    let mut command = Command::new(program().unwrap());
    command.args(["--uri", &other.uri(), "serve", "--store"]);
    command.arg(home.store());
    let refused = refusal(Daemon::spawn(command, other.socket()).unwrap());
    assert!(
        refused.message.contains("in use by process"),
        "{}",
        refused.message
    );
    let store = home.store().display().to_string();
    assert_eq!(refused.message.matches(&store).count(), 1);
    assert!(!other.socket().exists());
    daemon.primary().await.unwrap().put("a", "1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_socket_is_refused() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let refused = refused(&home, &[]);
    assert!(
        refused.message.contains("address in use"),
        "{}",
        refused.message
    );
    assert!(home.socket().exists());
    daemon.primary().await.unwrap().put("a", "1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_told_so_ends_with_its_standard_input() {
    let home = Home::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = home.command(program().unwrap());
    command.arg("--until-eof").stdin(reader);
    let daemon = Daemon::spawn(command, home.socket()).unwrap().unwrap();
    daemon.primary().await.unwrap().put("a", "1").await.unwrap();
    drop(writer);
    let ended = daemon.wait().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.message);
    assert!(!home.socket().exists());
}

#[test]
fn a_standard_input_that_is_no_pipe_cannot_be_waited_for() {
    let home = Home::new().unwrap();
    let refused = refused(&home, &["--until-eof"]);
    assert!(
        refused.message.contains("--until-eof"),
        "{}",
        refused.message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_daemons_that_start_at_once_one_serves() {
    let home = Home::new().unwrap();
    let starts: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            let command = home.command(program().unwrap());
            Daemon::spawn(command, home.socket()).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let (served, failed): (Vec<_>, Vec<_>) = starts.into_iter().partition(Result::is_ok);
    assert_eq!((served.len(), failed.len()), (1, 7));
    for refused in failed {
        refusal(refused);
    }
    let daemon = served.into_iter().next().unwrap().unwrap();
    daemon.primary().await.unwrap().put("a", "1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_a_killed_daemon_left_is_replaced() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    daemon.primary().await.unwrap().put("a", "1").await.unwrap();
    daemon.kill().unwrap();
    assert!(home.socket().exists());
    let daemon = home.start().unwrap();
    let mode = std::fs::metadata(home.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let value = daemon.primary().await.unwrap().get("a").await.unwrap();
    assert_eq!(value.as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_file_in_place_of_the_socket_is_left_alone() {
    let home = Home::new().unwrap();
    std::fs::write(home.socket(), "precious").unwrap();
    let refused = refused(&home, &[]);
    assert!(
        refused.message.contains("not a socket"),
        "{}",
        refused.message
    );
    assert_eq!(std::fs::read_to_string(home.socket()).unwrap(), "precious");
}

#[test]
fn a_file_in_place_of_the_store_is_left_alone() {
    let home = Home::new().unwrap();
    std::fs::write(home.store(), "precious").unwrap();
    let refused = refused(&home, &[]);
    let store = home.store().display().to_string();
    assert!(refused.message.contains(&store), "{}", refused.message);
    assert_eq!(std::fs::read_to_string(home.store()).unwrap(), "precious");
}

#[test]
fn a_directory_without_permission_is_named() {
    let home = Home::new().unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let program = program().unwrap();
    let refused = if rustix::process::geteuid().is_root() {
        // Root may do anything: run as somebody who may not.
        let open = tempfile::tempdir().unwrap();
        mode(open.path(), 0o755);
        let copy = open.path().join("kvs");
        std::fs::copy(program, &copy).unwrap();
        mode(&copy, 0o755);
        let mut command = home.command(&copy);
        command.current_dir("/").uid(NOBODY).gid(NOBODY);
        Daemon::spawn(command, home.socket()).unwrap()
    } else {
        mode(home.store().parent().unwrap(), 0o500);
        let started = Daemon::spawn(home.command(program), home.socket()).unwrap();
        mode(home.store().parent().unwrap(), 0o700);
        started
    };
    let refused = refusal(refused);
    assert!(
        refused.message.contains("ermission denied"),
        "{}",
        refused.message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_keeps_its_hash() {
    let home = Home::new().unwrap();
    let daemon = home.start_with(&["--hash", "sha1"]).unwrap();
    assert_eq!(daemon.connect().await.unwrap().server().algorithm, "sha1");
    daemon.kill().unwrap();
    refused(&home, &["--hash", "blake3"]);
    let daemon = home.start().unwrap();
    assert_eq!(daemon.connect().await.unwrap().server().algorithm, "sha1");
}
