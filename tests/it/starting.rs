//! What stands in the way of a daemon is said in one clear line, and what a killed one left does
//! not stand in the way.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kvs_testkit::{Daemon, Home, Refused, program};

/// A user without rights, as whom a daemon is run when the tests run as root.
const NOBODY: u32 = 65_534;

#[track_caller]
fn refused(home: &Home, options: &[&str], status: i32) -> Refused {
    let mut command = home.command(program().unwrap());
    command.args(options);
    refusal(Daemon::spawn(command, home.socket()).unwrap(), status)
}

/// A refusal to start with that exit status, in one line.
#[track_caller]
fn refusal(started: Result<Daemon, Refused>, status: i32) -> Refused {
    let Err(refused) = started else {
        panic!("the daemon starts");
    };
    assert_eq!(refused.status.code(), Some(status), "{}", refused.message);
    assert_eq!(refused.message.lines().count(), 1, "{}", refused.message);
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_store_is_refused() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let other = Home::new().unwrap();
    let mut command = Command::new(program().unwrap());
    command.args(["--uri", &other.uri(), "serve", "--log", "warn", "--store"]);
    command.arg(home.store());
    let refused = refusal(Daemon::spawn(command, other.socket()).unwrap(), 75);
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
    let refused = refused(&home, &[], 75);
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
    let refused = refused(&home, &["--until-eof"], 2);
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
        refusal(refused, 75);
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
    let refused = refused(&home, &[], 73);
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
    let refused = refused(&home, &[], 73);
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
    let refused = refusal(refused, 77);
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
    refused(&home, &["--hash", "blake3"], 1);
    let daemon = home.start().unwrap();
    assert_eq!(daemon.connect().await.unwrap().server().algorithm, "sha1");
}

#[test]
fn a_socket_that_cannot_be_made_and_an_address_that_is_none_have_their_statuses() {
    let home = Home::new().unwrap();
    let start = |uri: &str| {
        let mut command = Command::new(program().unwrap());
        command
            .args(["--uri", uri, "serve", "--log", "warn", "--store"])
            .arg(home.store());
        Daemon::spawn(command, home.socket()).unwrap()
    };
    refusal(start("tcp:nowhere"), 2);
    let long = format!("unix:{}/{}", home.socket().display(), "x".repeat(200));
    refusal(start(&long), 2);
    refusal(start("unix:/proc/kvs/kvs.sock"), 73);
    let precious = home.socket().with_file_name("precious");
    std::fs::write(&precious, "x").unwrap();
    refusal(start(&format!("unix:{}", precious.display())), 73);
    assert!(!home.store().exists(), "no store that nobody could reach");
    // What was made for a socket goes away with a store that cannot be opened.
    std::fs::write(home.store(), "precious").unwrap();
    let deep = home.socket().with_file_name("deep");
    let socket = deep.join("er/kvs.sock");
    refusal(start(&format!("unix:{}", socket.display())), 73);
    assert!(!deep.exists());
}

#[test]
fn damage_is_told_from_what_may_be_gone_soon() {
    let home = Home::new().unwrap();
    home.start().unwrap().stop_cleanly().unwrap();
    let slots = ["root.0", "root.1"].map(|slot| home.store().join(slot));
    let whole = slots.clone().map(|slot| std::fs::read(slot).unwrap());
    let cut = |at: usize| {
        let (path, bytes) = (&slots[at], &whole[at]);
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    cut(0);
    cut(1);
    refused(&home, &[], 1);
    std::fs::write(&slots[1], &whole[1]).unwrap();
    home.start().unwrap().stop_cleanly().unwrap();
}

/// Changes one byte of a file.
fn damage(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_starts_in_spite_of_damage_to_what_it_does_not_need() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let client = daemon.connect().await.unwrap();
    let namespace = client.namespace("primary");
    namespace.put("a", "1").await.unwrap();
    // As much as half a segment holds, so that the next one is prepared.
    for n in 0..200 {
        namespace
            .put(&format!("b{n}"), vec![b'x'; 50_000])
            .await
            .unwrap();
    }
    daemon.stop_cleanly().unwrap();
    let journal = || {
        let files = std::fs::read_dir(home.store().join("journal")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with('0'));
        files.sort();
        files
    };
    let first = journal().remove(0);
    let last = journal().pop().unwrap();
    let places = [
        (last.clone(), 20),
        (last, 600),
        (first.clone(), 600),
        (first, 3_000_000),
        (home.store().join("root.1"), 80),
        (home.store().join("FORMAT"), 3),
    ];
    for (round, (path, at)) in places.into_iter().enumerate() {
        if path.exists() {
            damage(&path, at);
        }
        let daemon = home.start().unwrap();
        let client = daemon.connect().await.unwrap();
        let namespace = client.namespace("primary");
        let found = namespace.get("a").await.unwrap().unwrap();
        assert_eq!(found, "1", "{}: {at}", path.display());
        namespace.put("c", round.to_string()).await.unwrap();
        daemon.stop_cleanly().unwrap();
    }
}

/// A daemon that may have so many threads, if the limit is one that counts for this user.
#[test]
fn without_threads_a_daemon_does_not_start_and_says_that_it_may_later() {
    let home = Home::new().unwrap();
    let program = program().unwrap();
    // The limit of RLIMIT_NPROC does not hold for root, so it is one on memory: there is no room
    // for the stack of a thread, and plenty for everything else.
    let script = "ulimit -v 900000; RUST_MIN_STACK=1073741824 exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(program);
    command.args(["--uri", &home.uri(), "serve", "--log", "warn", "--store"]);
    command.arg(home.store());
    let refused = refusal(Daemon::spawn(command, home.socket()).unwrap(), 75);
    assert!(refused.message.contains("thread"), "{}", refused.message);
    assert!(!home.store().exists() && !home.socket().exists());
    home.start().unwrap().stop_cleanly().unwrap();
}
