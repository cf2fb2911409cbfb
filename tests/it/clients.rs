//! Many clients at once.

use kvs_acceptance::Pipeline;
use kvs_client::{Event, ListOptions, Transaction, WatchOptions};
use kvs_testkit::Home;

const CLIENTS: u64 = 50;
const PUTS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_put_read_and_watch_at_once() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let mut pipeline = Pipeline::to(&daemon).await.unwrap();
        let options = WatchOptions::new().key(format!("c.{client}.state"));
        let mut stream = pipeline.namespace().watch(options).await.unwrap();
        clients.push(tokio::spawn(async move {
            let mut last = 0;
            for number in 0..PUTS {
                let put = Transaction::new()
                    .put(format!("c.{client}.state"), number.to_string())
                    .add("sum", 1);
                if let Some(answer) = pipeline.commit(put).await.unwrap() {
                    assert!(answer.position.version > last);
                    last = answer.position.version;
                }
            }
            pipeline.finish().await.unwrap();
            let own = format!("c.{client}.state");
            let read = pipeline.namespace().get(own.clone()).await.unwrap();
            assert_eq!(read.unwrap(), (PUTS - 1).to_string());
            for _ in 0..PUTS {
                let Event::Changes(event) = stream.recv().await.unwrap() else {
                    panic!("not a change");
                };
                assert_eq!(event.changes.len(), 1);
                assert_eq!(event.changes[0].key, own);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let primary = daemon.primary().await.unwrap();
    let sum = primary.get("sum").await.unwrap().unwrap();
    assert_eq!(sum, (CLIENTS * PUTS).to_string());
    let listed = primary.list_all("c", ListOptions::default()).await.unwrap();
    assert_eq!(listed.entries.len() as u64, CLIENTS);
    let log = primary
        .log(kvs_client::LogOptions::default())
        .await
        .unwrap();
    assert_eq!(log.newest, CLIENTS * PUTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_while_clients_add_to_one_key_without_a_pause() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let client = daemon.connect().await.unwrap();
    let committed = client.namespace("primary").put("n", "0").await.unwrap();
    let lease = std::time::Duration::from_millis(300);
    let pin = client.pin(committed.snapshot(), Some(lease)).await.unwrap();
    assert_eq!(pin.lease, Some(lease));
    assert!(pin.left <= Some(lease));
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let primary = daemon.primary().await.unwrap();
        adding.spawn(async move {
            loop {
                let add = Transaction::new().add("n", 1);
                primary.commit(add).await.unwrap();
            }
        });
    }
    // It ends while they go on, however long that takes on this machine.
    while !client.pins().await.unwrap().is_empty() {
        assert!(adding.try_join_next().is_none());
        tokio::task::yield_now().await;
    }
    let primary = client.namespace("primary");
    assert_ne!(primary.get("n").await.unwrap().unwrap(), "0");
}
