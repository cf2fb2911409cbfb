//! SIGTERM: what was acknowledged is kept, the socket goes, the exit status is success.

use kvs_acceptance::{Home, IN_FLIGHT, Pipeline};
use kvs_client::{ListOptions, Options, Transaction};
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
