//! SIGTERM and its like: what was acknowledged is kept, the socket goes, the exit status is
//! success. Other signals do not kill.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use kvs_acceptance::{IN_FLIGHT, Pipeline};
use kvs_client::{ListOptions, Options, Transaction};
use kvs_testkit::{Daemon, Home, program};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_daemon_keeps_what_it_acknowledged_and_removes_its_socket() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let options = Options::new().reconnect_time(Duration::ZERO);
    let client = daemon.connect_with(options).await.unwrap();
    let mut pipeline = Pipeline::new(client.namespace("primary"), IN_FLIGHT);
    let (answered, mut progress) = watch::channel(0);
    let sending = tokio::spawn(async move {
        let mut count = 0;
        for number in 0.. {
            let put = Transaction::new().put(format!("d.{number:06}"), number.to_string());
            match pipeline.commit(put).await {
                Ok(answer) => count += u64::from(answer.is_some()),
                Err(_) => break,
            }
            answered.send_replace(count);
        }
        while let Some(Ok(_)) = pipeline.next().await {
            count += 1;
        }
        count
    });
    progress.wait_for(|count| *count >= 500).await.unwrap();
    daemon.terminate().unwrap();
    let ended = daemon.wait().unwrap();
    assert!(
        ended.status.success(),
        "{}: {}",
        ended.status,
        ended.message
    );
    assert!(!home.socket().exists());
    let acknowledged = sending.await.unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let listed = primary.list_all("d", ListOptions::default()).await.unwrap();
    assert!(listed.entries.len() as u64 >= acknowledged);
    for (number, entry) in listed.entries.iter().enumerate() {
        assert_eq!(entry.key, format!("d.{number:06}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_nobody_used_stops_and_starts_again() {
    let home = Home::new().unwrap();
    for _ in 0..3 {
        let ended = home.start().unwrap().stop().unwrap();
        assert!(
            ended.status.success(),
            "{}: {}",
            ended.status,
            ended.message
        );
        assert_eq!(ended.message, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_watches_and_waits_do_not_keep_a_daemon_from_stopping() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let _watch = primary
        .watch(kvs_client::WatchOptions::new())
        .await
        .unwrap();
    let waiting = primary.clone();
    let _wait = tokio::spawn(async move { waiting.wait(1_000_000, None).await });
    let ended = daemon.stop().unwrap();
    assert!(
        ended.status.success(),
        "{}: {}",
        ended.status,
        ended.message
    );
}

fn kill(id: u32, signal: Signal) {
    let pid = Pid::from_raw(id.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_and_a_hangup_end_a_daemon_as_sigterm_does() {
    for signal in [Signal::INT, Signal::HUP, Signal::TERM] {
        let home = Home::new().unwrap();
        let daemon = home.start().unwrap();
        daemon.primary().await.unwrap().put("a", "1").await.unwrap();
        kill(daemon.id(), signal);
        let ended = daemon.wait().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.message);
        assert!(!home.socket().exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_without_a_meaning_do_not_kill_a_daemon() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    for signal in [Signal::USR1, Signal::USR2, Signal::PIPE, Signal::XFSZ] {
        for number in 0..3 {
            kill(daemon.id(), signal);
            primary.put("a", number.to_string()).await.unwrap();
        }
    }
    daemon.stop_cleanly().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_was_started_to_ignore_hangups_does() {
    let home = Home::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    command.arg(program().unwrap());
    command.args(["--uri", &home.uri(), "serve", "--log", "warn", "--store"]);
    command.arg(home.store());
    let daemon = Daemon::spawn(command, home.socket()).unwrap().unwrap();
    let primary = daemon.primary().await.unwrap();
    for number in 0..10 {
        kill(daemon.id(), Signal::HUP);
        primary.put("a", number.to_string()).await.unwrap();
    }
    daemon.stop_cleanly().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_cuts_the_end_short_with_the_status_of_a_shell() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let home = Home::new().unwrap();
        let daemon = home.start().unwrap();
        let primary = daemon.primary().await.unwrap();
        primary.put("a", vec![b'v'; 4_000_000]).await.unwrap();
        // A client that does not take its answers, so that the end takes ten seconds.
        let mut lazy = crate::raw::Raw::greeted(&home.socket());
        for id in 1..20 {
            let lookup = kvs_proto::Lookup {
                namespace: "primary".into(),
                key: "a".into(),
                at: kvs_client::At::Current,
                follow: true,
                treeobj: false,
                root: false,
                inline_max: Some(4_000_000),
            };
            lazy.request(id, lookup);
        }
        // Again until it is gone: two that come at once count as one.
        let id = daemon.id();
        let killer = std::thread::spawn(move || {
            let pid = Pid::from_raw(id.try_into().unwrap()).unwrap();
            while std::path::Path::new(&format!("/proc/{id}/exe")).exists() {
                let _ = kill_process(pid, signal);
                std::thread::yield_now();
            }
        });
        let ended = daemon.wait().unwrap();
        killer.join().unwrap();
        assert_eq!(ended.status.code(), Some(status), "{}", ended.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_standard_error_nobody_reads_any_more_serves_on() {
    let home = Home::new().unwrap();
    let mut command = home.command(program().unwrap());
    let mut child = command
        .env("RUST_LOG", "trace")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("kvs: serving on ") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it starts");
    }
    drop(lines);
    let address = kvs_client::Address::Unix(home.socket());
    for number in 0..10 {
        let client = kvs_client::Client::connect(&address).await.unwrap();
        let primary = client.namespace("primary");
        primary.put("a", number.to_string()).await.unwrap();
    }
    kill(child.id(), Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_daemon_that_is_stopped_before_it_is_ready_leaves_a_store_that_can_be_opened() {
    let home = Home::new().unwrap();
    for round in 0..40 {
        let mut command = home.command(program().unwrap());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // Ever later in its start, until it has begun to serve.
        let exe = format!("/proc/{}/exe", child.id());
        while std::fs::read_link(&exe).is_ok_and(|exe| exe != program().unwrap()) {}
        (0..round * 2_000).for_each(|_| std::thread::yield_now());
        // Whoever runs the tests may have the others ignored, and what is ignored before it is
        // handled is lost.
        let signal = Signal::TERM;
        kill(child.id(), signal);
        let status = child.wait().unwrap();
        use std::os::unix::process::ExitStatusExt as _;
        let killed = status.signal() == Some(signal.as_raw());
        assert!(status.success() || killed, "{status}");
        assert!(!home.socket().exists(), "the socket is left behind");
    }
    home.start().unwrap().stop_cleanly().unwrap();
}
