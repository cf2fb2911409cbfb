//! Root moves of all namespaces, for a client that loses its connection and its daemon.

use kvs_client::{FollowOptions, FollowStream, NamespaceCreate, Options, RootEvent};
use kvs_engine::CrashVariant;

use super::gate::Gate;
use super::*;

async fn following(gate: &Gate, options: FollowOptions) -> FollowStream {
    let client = Client::connect_with(gate.clone(), Options::default());
    client.await.unwrap().follow(options).await.unwrap()
}

/// A short text for an event.
fn short(event: &RootEvent) -> String {
    match event {
        RootEvent::State(state) => format!("state {}", state.lost),
        RootEvent::Moved(moved) => format!("{} {}", moved.namespace, moved.position.version),
        RootEvent::Created(made) => format!("created {}", made.namespace),
        RootEvent::Reincarnated(anew) => format!("reborn {}", anew.namespace),
        RootEvent::OwnerChanged(news) => format!("{} of {}", news.namespace, news.owner),
        RootEvent::Removed(gone) => format!("removed {}", gone.namespace),
        other => panic!("{other:?}"),
    }
}

async fn told(stream: &mut FollowStream, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..count {
        told.push(short(&stream.recv().await.unwrap()));
    }
    told
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_a_client_was_away_is_told_once_and_in_order() {
    let shared = daemon().await;
    let gate = Gate::new(&shared);
    let mut stream = following(&gate, FollowOptions::new()).await;
    let other = client(&shared).await;
    let (a, b) = (other.namespace("primary"), other.namespace("b"));
    a.put("k", "1").await.unwrap();
    other
        .create_namespace(NamespaceCreate::named("b"))
        .await
        .unwrap();
    assert_eq!(told(&mut stream, 2).await, ["primary 1", "created b"]);
    for round in 0..3 {
        gate.close();
        let first = 2 + 2 * round;
        a.put("k", "2").await.unwrap();
        b.put("k", "2").await.unwrap();
        other
            .create_namespace(NamespaceCreate::named("brief"))
            .await
            .unwrap();
        other.namespace("brief").put("k", "1").await.unwrap();
        other.chown_namespace("b", round as u32).await.unwrap();
        other.remove_namespace("brief").await.unwrap();
        a.put("k", "3").await.unwrap();
        gate.open();
        let expected = [
            format!("primary {first}"),
            format!("b {}", round + 1),
            "created brief".into(),
            "brief 1".into(),
            format!("b of {round}"),
            "removed brief".into(),
            format!("primary {}", first + 1),
        ];
        assert_eq!(told(&mut stream, expected.len()).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_daemon_loses_and_repeats_nothing() {
    let disk = SimDisk::new();
    let mut shared = daemon_in(Environment::simulated(disk.clone(), 1)).await;
    let gate = Gate::new(&shared);
    let mut stream = following(&gate, FollowOptions::new()).await;
    let mut disk = disk;
    for round in 0..4 {
        let other = client(&shared).await;
        let a = other.namespace("primary");
        if round == 0 {
            other
                .create_namespace(NamespaceCreate::named("b"))
                .await
                .unwrap();
            assert_eq!(told(&mut stream, 1).await, ["created b"]);
        }
        a.put("k", "1").await.unwrap();
        let first = 1 + 4 * round;
        assert_eq!(told(&mut stream, 1).await, [format!("primary {first}")]);
        gate.close();
        a.put("k", "2").await.unwrap();
        other.namespace("b").put("k", "1").await.unwrap();
        a.put("k", "3").await.unwrap();
        // Half of the times the daemon is killed and recovers what is on the disk.
        if round % 2 == 0 {
            shared.engine.shutdown().await.unwrap();
        } else {
            disk = disk.images_after(usize::MAX, CrashVariant::Lost);
        }
        shared = daemon_in(Environment::simulated(disk.clone(), 2 + round)).await;
        gate.lead_to(&shared);
        gate.open();
        client(&shared)
            .await
            .namespace("primary")
            .put("k", "4")
            .await
            .unwrap();
        let expected = [
            format!("primary {}", first + 1),
            format!("b {}", round + 1),
            format!("primary {}", first + 2),
            format!("primary {}", first + 3),
        ];
        assert_eq!(told(&mut stream, 4).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn another_store_in_the_same_place_is_told_as_a_loss() {
    let gate = Gate::new(&daemon().await);
    let mut stream = following(&gate, FollowOptions::new()).await;
    gate.close();
    let other = Environment::simulated(SimDisk::unrecorded(), 99);
    gate.lead_to(&daemon_in(other).await);
    gate.open();
    assert_eq!(told(&mut stream, 1).await, ["state true"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_client_goes_on_behind_any_event() {
    let shared = daemon().await;
    let gate = Gate::new(&shared);
    let mut stream = following(&gate, FollowOptions::new()).await;
    let other = client(&shared).await;
    let mut places = vec![stream.started().place.clone().unwrap()];
    let mut events = Vec::new();
    for n in 0..5 {
        other
            .namespace("primary")
            .put("k", n.to_string())
            .await
            .unwrap();
        let event = stream.recv().await.unwrap();
        places.push(event.place().clone());
        events.push(short(&event));
    }
    for (at, place) in places.iter().enumerate() {
        let mut later = following(&gate, FollowOptions::new().behind(place.clone())).await;
        assert_eq!(told(&mut later, 5 - at).await, events[at..]);
    }
    let nonsense = FollowOptions::new().behind("yesterday");
    let refused = other.follow(nonsense).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Invalid);
}
