//! Descriptors and disk space run out, and the daemon goes on with what there is.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use kvs_testkit::{Daemon, Home, program};

/// A command for a daemon that may have so many files open.
fn limited(home: &Home, descriptors: u32) -> Command {
    let daemon = home.command(program().unwrap());
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(daemon.get_program());
    command
        .args(daemon.get_args())
        .stdin(std::process::Stdio::null());
    for (name, value) in daemon.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn start(home: &Home, descriptors: u32) -> Daemon {
    let started = Daemon::spawn(limited(home, descriptors), home.socket()).unwrap();
    started.unwrap_or_else(|refused| panic!("{}", refused.message))
}

/// A value of that many bytes, unlike all others.
fn value(number: u32, len: usize) -> Vec<u8> {
    let mut value = vec![b'v'; len];
    value[..4].copy_from_slice(&number.to_be_bytes());
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_take_what_a_checkpoint_needs() {
    let home = Home::new().unwrap();
    let daemon = start(&home, 200);
    let primary = daemon.primary().await.unwrap();
    let idle: Vec<UnixStream> = (0..500)
        .filter_map(|_| UnixStream::connect(home.socket()).ok())
        .collect();
    // A checkpoint comes with every 16 MiB of journal.
    for number in 0..700 {
        let key = format!("k{}", number % 10);
        primary
            .put(key.as_str(), value(number, 60_000))
            .await
            .unwrap();
    }
    primary.put("large", value(1, 300_000)).await.unwrap();
    drop(idle);
    daemon.stop_cleanly().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_store_or_a_part_of_it_is_removed_or_moved_ends_with_an_error_busy_or_idle()
{
    let (busy, idle) = (true, false);
    for (busy, moved, part) in [
        (busy, false, ""),
        (idle, false, ""),
        (idle, true, ""),
        (busy, false, "journal"),
        (busy, true, "packs"),
    ] {
        let home = Home::new().unwrap();
        let daemon = home.start().unwrap();
        let primary = daemon.primary().await.unwrap();
        primary.put("a", "1").await.unwrap();
        let part = home.store().join(part);
        match moved {
            true => std::fs::rename(part, home.store().with_extension("moved")).unwrap(),
            false => std::fs::remove_dir_all(part).unwrap(),
        }
        let putting = tokio::spawn(async move {
            // It ends when the daemon does.
            while busy && primary.put("a", "2").await.is_ok() {}
        });
        let ended = tokio::task::spawn_blocking(|| daemon.wait()).await.unwrap();
        let ended = ended.unwrap();
        assert!(!ended.status.success(), "{}", ended.message);
        assert!(ended.message.contains("store"), "{}", ended.message);
        putting.abort();
    }
}

/// The first file with that end in a directory.
fn file_in(directory: &Path, end: &str) -> PathBuf {
    let names = std::fs::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().is_some_and(|path| path.ends_with(end)));
    paths.sort();
    paths.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_files_are_removed_one_by_one_or_with_their_directory_ends_with_an_error() {
    for (part, emptied, busy) in [
        ("journal", true, false),
        ("journal", true, true),
        ("packs", true, false),
        ("journal", false, true),
        ("journal", false, false),
        ("packs", false, false),
    ] {
        let home = Home::new().unwrap();
        let daemon = home.start().unwrap();
        let primary = daemon.primary().await.unwrap();
        primary.put("large", value(1, 300_000)).await.unwrap();
        let directory = home.store().join(part);
        if emptied {
            std::fs::rename(&directory, home.store().with_extension("moved")).unwrap();
            std::fs::create_dir(&directory).unwrap();
        } else {
            let end = if part == "packs" { ".pack" } else { "1" };
            std::fs::remove_file(file_in(&directory, end)).unwrap();
        }
        let putting = tokio::spawn(async move {
            // It ends when the daemon does.
            while busy && primary.put("a", "2").await.is_ok() {}
        });
        let ended = tokio::task::spawn_blocking(|| daemon.wait()).await.unwrap();
        let ended = ended.unwrap();
        assert!(!ended.status.success(), "{}", ended.message);
        let message = &ended.message;
        assert!(message.contains("it was removed"), "{part}: {message}");
        putting.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_large_values_than_descriptors_are_put_and_read_and_survive_a_restart() {
    let home = Home::new().unwrap();
    let daemon = start(&home, 100);
    let primary = daemon.primary().await.unwrap();
    for number in 0..300 {
        let key = format!("d.k{number}");
        primary
            .put(key.as_str(), value(number, 70_000))
            .await
            .unwrap();
    }
    daemon.kill().unwrap();
    let daemon = start(&home, 100);
    let primary = daemon.primary().await.unwrap();
    for number in 0..300 {
        let found = primary.get(format!("d.k{number}").as_str()).await.unwrap();
        assert_eq!(found.unwrap(), value(number, 70_000), "{number}");
    }
    primary.put("a", "1").await.unwrap();
    daemon.stop_cleanly().unwrap();
}
