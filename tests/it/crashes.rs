//! `kill -9`: what was acknowledged stays, once, and watches go on where they were. The runs are
//! those of the program `measure`, short.

use std::collections::BTreeMap;

use kvs_acceptance::{ExactlyOnce, KillNine, Pipeline, WatchLossless};
use kvs_client::{
    ChangeValue, Event, FollowOptions, NamespaceCreate, Position, RootEvent, Transaction,
    WatchOptions, WatchStream,
};
use kvs_testkit::{Home, Random};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_puts_survive_kill_nine() {
    let run = KillNine {
        rounds: 3,
        puts: 2_000,
        seed: Random::fresh_seed(),
        directory: std::env::temp_dir(),
    };
    run.run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adds_take_effect_once_across_kill_nine() {
    let run = ExactlyOnce {
        adds: 3_000,
        kills: 3,
        directory: std::env::temp_dir(),
    };
    run.run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_get_every_value_in_order() {
    let run = WatchLossless {
        values: 5_000,
        watchers: 4,
        kills: 0,
        directory: std::env::temp_dir(),
    };
    run.run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_resume_across_kill_nine_without_loss_or_repetition() {
    let run = WatchLossless {
        values: 5_000,
        watchers: 3,
        kills: 2,
        directory: std::env::temp_dir(),
    };
    run.run().await.unwrap();
}

/// The position and value of the next event.
async fn next(stream: &mut WatchStream) -> (Position, Vec<u8>) {
    let Event::Changes(event) = stream.recv().await.unwrap() else {
        panic!("not a change");
    };
    let ChangeValue::Bytes(value) = &event.changes[0].value else {
        panic!("not a value");
    };
    (event.position, value.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_client_takes_up_a_watch_by_position_after_kill_nine() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let mut stream = primary
        .watch(WatchOptions::new().scope("job.*.state"))
        .await
        .unwrap();
    for number in 0..100 {
        let key = format!("job.{}.state", number % 3);
        primary.put(key, number.to_string()).await.unwrap();
    }
    for number in 0..40 {
        assert_eq!(next(&mut stream).await.1, number.to_string().into_bytes());
    }
    let position = stream.position().unwrap();
    drop((stream, primary));
    daemon.kill().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let options = WatchOptions::new().scope("job.*.state").after(position);
    let mut stream = primary.watch(options).await.unwrap();
    primary.put("job.7.state", "100").await.unwrap();
    for number in 40..=100 {
        let (at, value) = next(&mut stream).await;
        assert_eq!(value, number.to_string().into_bytes());
        assert_eq!(at.incarnation, position.incarnation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_moves_of_all_namespaces_go_on_across_kill_nine_and_clean_restarts() {
    let home = Home::new().unwrap();
    let mut daemon = home.start().unwrap();
    let follower = daemon.connect().await.unwrap();
    let mut stream = follower.follow(FollowOptions::new()).await.unwrap();
    let names = ["primary", "a", "b"];
    let client = daemon.connect().await.unwrap();
    for name in &names[1..] {
        let made = client
            .create_namespace(NamespaceCreate::named(*name))
            .await
            .unwrap();
        assert_eq!(made.position.version, 0);
        let event = stream.recv().await.unwrap();
        assert!(matches!(event, RootEvent::Created(_)), "{event:?}");
    }
    let mut roots: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for round in 0..4 {
        let client = daemon.connect().await.unwrap();
        for number in 0..60 {
            let namespace = client.namespace(names[number % 3]);
            namespace.put("k", number.to_string()).await.unwrap();
        }
        // How much of it the follower was told by now differs.
        if round % 2 == 0 {
            daemon.kill().unwrap();
        } else {
            daemon.stop().unwrap();
        }
        daemon = home.start().unwrap();
        let client = daemon.connect().await.unwrap();
        client.namespace("a").put("k", "on").await.unwrap();
        for _ in 0..61 {
            let RootEvent::Moved(moved) = stream.recv().await.unwrap() else {
                panic!("not a move");
            };
            let next = (moved.position.version, moved.root.to_string());
            let last = roots.insert(moved.namespace.to_string(), next);
            let (version, root) = last.unwrap_or((0, moved.previous.to_string()));
            assert_eq!(moved.position.version, version + 1, "{}", moved.namespace);
            assert_eq!(moved.previous, root);
        }
    }
    assert_eq!(roots["primary"].0 + roots["a"].0 + roots["b"].0, 4 * 61);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_killed_while_it_starts_does_no_harm() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let mut pipeline = Pipeline::to(&daemon).await.unwrap();
    for number in 0..3_000 {
        let put = Transaction::new().put(format!("d.k{number}"), number.to_string());
        pipeline.commit(put).await.unwrap();
    }
    pipeline.finish().await.unwrap();
    daemon.kill().unwrap();
    let mut random = Random::new(7);
    for _ in 0..10 {
        let program = kvs_testkit::program().unwrap();
        let mut command = home.command(program);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        // How far it gets does not matter; that it differs does.
        let until =
            std::time::Instant::now() + std::time::Duration::from_micros(random.below(20_000));
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    for number in [0, 1_500, 2_999] {
        let value = primary.get(format!("d.k{number}")).await.unwrap().unwrap();
        assert_eq!(value, number.to_string());
    }
}
