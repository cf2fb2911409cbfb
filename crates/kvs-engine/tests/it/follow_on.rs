//! Followers of roots that resume from another's token: no event is missed and none repeated.

use std::sync::Arc;

use kvs_engine::{
    CrashVariant, Durability, ErrorKind, FollowStart, Follower, Place, Principal, RootEvent,
    SimDisk, Start,
};
use kvs_tree::Blobref;

use crate::support::*;

const GUEST: Principal = Principal::Uid(77);

fn follow(sim: &Sim, caller: Principal, only: Option<&str>, start: FollowStart) -> Follower {
    let sink = Arc::new(Wakes::default());
    sim.engine.follow(caller, only, start, sink, 0).unwrap()
}

fn now(sim: &Sim) -> Follower {
    follow(sim, OWNER, None, Start::Now.into())
}

/// A follower that resumes from the text of another's token.
fn on(sim: &Sim, caller: Principal, only: Option<&str>, place: Place) -> Follower {
    let place: Place = place.to_string().parse().unwrap();
    follow(sim, caller, only, place.into())
}

async fn all(follower: &mut Follower) -> Vec<RootEvent> {
    let mut events = Vec::new();
    while let Some(event) = follower.next().await.unwrap() {
        events.push(event);
    }
    events
}

fn short(events: &[RootEvent]) -> Vec<String> {
    let one = |event: &RootEvent| match event {
        RootEvent::State { lost, .. } => format!("state {lost}"),
        RootEvent::Moved {
            namespace,
            position,
            ..
        } => format!("{namespace} {}", position.version),
        RootEvent::Created { namespace, .. } => format!("created {namespace}"),
        RootEvent::Removed { namespace, .. } => format!("removed {namespace}"),
        RootEvent::OwnerChanged {
            namespace, owner, ..
        } => format!("{namespace} of {owner}"),
        RootEvent::Reincarnated { namespace, .. } => format!("reborn {namespace}"),
    };
    events.iter().map(one).collect()
}

async fn put_in(sim: &Sim, namespace: &str, at: &str) {
    let mut request = sim.request(vec![put(at, at.to_owned())]);
    request.namespace = namespace.into();
    sim.engine.commit(request).await.unwrap();
}

async fn create(sim: &Sim, name: &str, owner: Option<Principal>) {
    let made = sim.engine.create_namespace(OWNER, name, owner);
    made.await.unwrap();
}

/// The store after a crash that keeps either what was synced or everything.
async fn crashed(disk: &SimDisk, variant: CrashVariant) -> (Sim, SimDisk) {
    let disk = disk.images_after(usize::MAX, variant);
    let sim = Sim::with(config(), disk.clone()).await;
    sim.forget_numbers();
    (sim, disk)
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_at_a_place_is_told_what_one_who_never_left_is() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let disk = SimDisk::new();
        let mut sim = Sim::with(config(), disk).await;
        let (mut steady, mut restless) = (now(&sim), now(&sim));
        let (mut expected, mut told) = (Vec::new(), Vec::new());
        let mut names = vec![String::from(NS)];
        for step in 0..120 {
            match random.below(12) {
                0 if names.len() < 6 => {
                    let name = format!("n{step}");
                    create(&sim, &name, Some(GUEST)).await;
                    names.push(name);
                }
                1 => {
                    let name = &names[random.below(names.len() as u64) as usize];
                    let owner = kvs_engine::Principal::Uid(random.below(5) as u32);
                    let given = sim.engine.chown_namespace(OWNER, name, owner);
                    given.await.unwrap();
                }
                2 => {
                    let (seen, left) = (steady.place(), restless.place());
                    drop((steady, restless));
                    sim = sim.restart().await;
                    steady = on(&sim, OWNER, None, seen);
                    restless = on(&sim, OWNER, None, left);
                }
                3 => {
                    let left = restless.place();
                    restless = on(&sim, OWNER, None, left);
                }
                4 | 5 => {
                    for _ in 0..random.below(8) {
                        told.extend(restless.next().await.unwrap());
                    }
                }
                _ => {
                    // Together they share a group of the journal.
                    let mut commits = Vec::new();
                    for _ in 0..=random.below(5) {
                        let name = &names[random.below(names.len() as u64) as usize];
                        commits.push(put_in(&sim, name, ["a", "b", "c.d"][step % 3]));
                    }
                    let mut commits = commits.into_iter();
                    while let Some(one) = commits.next() {
                        match (commits.next(), commits.next()) {
                            (Some(two), Some(three)) => drop(tokio::join!(one, two, three)),
                            (Some(two), None) => drop(tokio::join!(one, two)),
                            _ => one.await,
                        }
                    }
                }
            }
            expected.extend(all(&mut steady).await);
        }
        told.extend(all(&mut restless).await);
        assert!(expected.len() > 60, "{}", expected.len());
        assert_eq!(short(&told), short(&expected), "seed {seed}");
        assert_eq!(told, expected, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_holds_after_a_kill_and_a_power_cut() {
    for variant in [CrashVariant::Kept, CrashVariant::Lost] {
        let disk = SimDisk::new();
        let sim = Sim::with(config(), disk.clone()).await;
        create(&sim, "n", None).await;
        let mut follower = now(&sim);
        for _ in 0..3 {
            put_in(&sim, "n", "a").await;
            sim.put("a", "1").await;
        }
        let first = follower.next().await.unwrap().unwrap();
        let (sim, _disk) = crashed(&disk, variant).await;
        put_in(&sim, "n", "b").await;
        let mut events = vec![first];
        events.extend(all(&mut on(&sim, OWNER, None, follower.place())).await);
        assert_eq!(
            short(&events),
            [
                "n 1",
                "primary 1",
                "n 2",
                "primary 2",
                "n 3",
                "primary 3",
                "n 4"
            ]
        );
        let mut last: Option<Blobref> = None;
        for event in &events {
            let RootEvent::Moved {
                namespace,
                root,
                previous,
                ..
            } = event
            else {
                panic!("{event:?}")
            };
            if namespace == "n" {
                assert!(last.is_none_or(|last| last == *previous));
                last = Some(*root);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_came_and_went_meanwhile_are_told_and_what_is_gone_as_far_as_it_can_be() {
    let sim = Sim::new().await;
    create(&sim, "old", Some(GUEST)).await;
    put_in(&sim, "old", "a").await;
    let mut owner = now(&sim);
    let mut guest = follow(&sim, GUEST, None, Start::Now.into());
    let mut alone = follow(&sim, GUEST, Some("old"), Start::Now.into());
    for follower in [&mut owner, &mut guest, &mut alone] {
        assert_eq!(all(follower).await, []);
    }
    put_in(&sim, "old", "b").await;
    create(&sim, "brief", Some(GUEST)).await;
    put_in(&sim, "brief", "a").await;
    create(&sim, "others", None).await;
    for gone in ["old", "brief", "others"] {
        sim.engine.remove_namespace(OWNER, gone).await.unwrap();
    }
    create(&sim, "old", Some(GUEST)).await;
    put_in(&sim, "old", "c").await;
    let told = |caller, only, place| {
        let mut follower = on(&sim, caller, only, place);
        async move {
            let events = all(&mut follower).await;
            short(&events)
        }
    };
    // That "old" moved before it was removed is not reported, because that state cannot be read
    // either.
    let of_guest = [
        "created brief",
        "brief 1",
        "removed old",
        "removed brief",
        "created old",
        "old 1",
    ];
    assert_eq!(told(GUEST, None, guest.place()).await, of_guest);
    let mut of_owner = of_guest.map(String::from).to_vec();
    of_owner.insert(2, "created others".into());
    of_owner.insert(5, "removed others".into());
    assert_eq!(told(OWNER, None, owner.place()).await, of_owner);
    let mut alone = on(&sim, GUEST, Some("old"), alone.place());
    let events = [alone.next().await.unwrap().unwrap()];
    assert_eq!(short(&events), ["removed old"]);
    let ended = alone.next().await.unwrap_err();
    assert_eq!(ended.kind, ErrorKind::NoNamespace);
    // A follower that was never away receives all of it.
    assert_eq!(short(&all(&mut guest).await).len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_follower_of_one_namespace_goes_on_with_all_that_happened_to_it() {
    let sim = Sim::new().await;
    create(&sim, "n", None).await;
    put_in(&sim, "n", "a").await;
    let follower = follow(&sim, OWNER, Some("n"), Start::Now.into());
    assert_eq!(follower.position().unwrap().version, 1);
    let given = sim
        .engine
        .chown_namespace(OWNER, "n", kvs_engine::Principal::Uid(5));
    given.await.unwrap();
    sim.put("a", "1").await;
    put_in(&sim, "n", "b").await;
    let mut follower = on(&sim, OWNER, Some("n"), follower.place());
    assert_eq!(follower.position(), None);
    assert_eq!(short(&all(&mut follower).await), ["n of uid 5", "n 2"]);
    assert_eq!(follower.position().unwrap().version, 2);
    let refused = sim.engine.follow(
        GUEST,
        Some("n"),
        follower.place(),
        Arc::new(Wakes::default()),
        0,
    );
    assert_eq!(refused.err().unwrap().kind, ErrorKind::Permission);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_gone_on_from_is_told_as_the_state() {
    let other = Sim::with(config(), SimDisk::unrecorded()).await;
    for _ in 0..5 {
        other.put("a", "1").await;
    }
    let ahead = now(&other).place();
    let sim = Sim::new().await;
    // From the same seed, and so with the same identity, but not as far yet.
    let events = all(&mut on(&sim, OWNER, None, ahead)).await;
    assert_eq!(short(&events), ["state true"]);

    // In a weaker mode a crash may lose what was reported.
    let mut weak = config();
    weak.durability = Durability::None;
    let disk = SimDisk::new();
    let sim = Sim::with(weak.clone(), disk.clone()).await;
    sim.put("a", "1").await;
    let mut follower = now(&sim);
    sim.put("a", "2").await;
    all(&mut follower).await;
    let disk = disk.images_after(usize::MAX, CrashVariant::Kept);
    let sim = Sim::with(weak, disk).await;
    sim.forget_numbers();
    let mut late = on(&sim, OWNER, None, follower.place());
    assert_eq!(short(&all(&mut late).await), ["state true"]);
    sim.put("a", "3").await;
    assert_eq!(all(&mut late).await.len(), 1);
    let mut again = on(&sim, OWNER, None, late.place());
    assert_eq!(all(&mut again).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_place_past_retention_is_told_as_the_state() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    create(&sim, "quiet", None).await;
    let place = now(&sim).place();
    for n in 0..2000 {
        sim.put("k", n.to_string()).await;
    }
    let mut follower = on(&sim, OWNER, None, place);
    assert_eq!(short(&all(&mut follower).await), ["state true"]);
    put_in(&sim, "quiet", "a").await;
    let mut follower = on(&sim, OWNER, None, follower.place());
    assert_eq!(short(&all(&mut follower).await), ["quiet 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_told_nothing_moves_on_all_the_same() {
    let sim = Sim::new().await;
    let mut guest = follow(&sim, GUEST, None, Start::Now.into());
    let before = guest.place().group();
    for _ in 0..10 {
        sim.put("a", "1").await;
    }
    assert_eq!(guest.next().await.unwrap(), None);
    assert_eq!(guest.place().group(), before + 10);
}
