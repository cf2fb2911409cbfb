//! Each validator alone: with a handmade history that it accepts, and one that it rejects.

use std::rc::Rc;

use kvs_engine::{
    ChangeKind, ChangeValue, ErrorKind, KeyChange, Mode, Position, TransactionInfo, WatchEvent,
};
use kvs_tree::{Blobref, HashAlgorithm};

use super::entitled::entitled;
use super::history::{History, Opened, Step, Wish};
use super::lives::LIFE;
use super::mirror::{alive, mirrored};
use super::sight::{Range, Sight, Truth, Truths, Version};
use super::tree::{Doing, Tree, Written};
use super::validators::complaints;
use crate::support::{NS, key};

/// `a.x`, then `a.y`, then `b`, then `a` is removed.
fn truth() -> Truths {
    let doings = [
        Doing::Put(key("a.x"), "1".into()),
        Doing::Put(key("a.y"), "2".into()),
        Doing::Put(key("b"), "3".into()),
        Doing::Unlink(key("a")),
    ];
    let mut versions = vec![Version::default()];
    for (number, doing) in doings.iter().enumerate() {
        let (mut tree, mut written): (Tree, _) =
            (versions[number].tree.clone(), Written::default());
        tree.perform(doing, &mut written).unwrap();
        versions.push(Version {
            numbers: vec![number as u64 + 1],
            tree,
            written,
            ..Version::default()
        });
    }
    let versions = versions.into_iter().enumerate();
    let truth = Truth(versions.map(|(at, one)| (at as u64, one)).collect());
    [(NS.to_owned(), truth)].into()
}

fn at(version: u64) -> Position {
    Position {
        incarnation: 1,
        version,
    }
}

fn change(at: &str, kind: ChangeKind, value: &'static str) -> KeyChange {
    KeyChange {
        key: key(at),
        kind,
        value: match value {
            "" => ChangeValue::None,
            value => ChangeValue::Inline(value.into()),
        },
        appended: None,
        offset: None,
        more: false,
        previous: None,
    }
}

fn told(event: WatchEvent) -> Step {
    Step::Event {
        event,
        newest: 4,
        compacted: true,
        durable: Some(4),
        world: Default::default(),
        still: false,
    }
}

fn changes(version: u64, changes: Vec<KeyChange>) -> Step {
    told(WatchEvent::Changes {
        position: at(version),
        root: Blobref::of(HashAlgorithm::Blake3, b""),
        time_ms: 0,
        transactions: vec![TransactionInfo {
            principal: kvs_engine::Principal::Uid(0),
            client: [0; 16],
            number: version,
            name: None,
        }],
        changes,
        skipped: 0,
        behind: None,
        last: true,
    })
}

fn idle() -> Step {
    Step::Idle {
        newest: 4,
        until: 4,
        world: Default::default(),
        still: false,
    }
}

fn mark(version: u64) -> Step {
    Step::Mark {
        version,
        newest: 4,
        durable: Some(4),
        world: Default::default(),
    }
}

fn opened(after: u64) -> Step {
    Step::Opened {
        at: Opened::After(after),
        resumed: after > 0,
        world: Default::default(),
    }
}

/// The events of a watch of `a`, from the beginning to the end, with a lost connection in between.
fn good() -> Vec<Step> {
    let put = |at, value| change(at, ChangeKind::Put, value);
    let gone = |at| change(at, ChangeKind::Unlink, "");
    vec![
        opened(0),
        changes(1, vec![change("a", ChangeKind::Mkdir, ""), put("a.x", "1")]),
        changes(2, vec![put("a.y", "2")]),
        Step::Lost,
        opened(2),
        mark(3),
        changes(4, vec![gone("a"), gone("a.x"), gone("a.y")]),
        idle(),
        mark(4),
    ]
}

/// The validators that complain about these steps.
fn complain(steps: Vec<Step>) -> Vec<&'static str> {
    let history = history(steps, false);
    let truth = truth();
    let sight = history.sight(&truth);
    let all = complaints(&history, &sight);
    all.into_iter().map(|(name, _)| name).collect()
}

/// The validators that complain once the good history is changed.
fn after(change: impl FnOnce(&mut Vec<Step>)) -> Vec<&'static str> {
    let mut steps = good();
    change(&mut steps);
    complain(steps)
}

#[test]
fn nobody_complains_of_a_good_history() {
    assert!(complain(good()).is_empty());
}

#[test]
fn ordered_sees_versions_that_changed_places() {
    assert!(after(|steps| steps.swap(1, 2)).contains(&"ordered"));
}

#[test]
fn unique_sees_what_is_told_again() {
    let again = |steps: &mut Vec<Step>| steps.insert(5, steps[2].clone());
    assert_eq!(after(again), ["unique", "resumable"]);
}

#[test]
fn reliable_sees_a_version_that_is_missing() {
    assert_eq!(after(|steps| drop(steps.remove(1))), ["reliable"]);
}

#[test]
fn reliable_sees_that_nothing_woke_a_reader() {
    let complaints = after(|steps| drop(steps.remove(6)));
    assert_eq!(complaints, ["reliable", "bookmarkable"]);
}

#[test]
fn atomic_sees_a_missing_change_a_wrong_value_and_a_change_too_many() {
    let edit = |change: fn(&mut Vec<KeyChange>)| {
        after(|steps| {
            if let Step::Event {
                event: WatchEvent::Changes { changes, .. },
                ..
            } = &mut steps[1]
            {
                change(changes);
            }
        })
    };
    assert_eq!(edit(|changes| drop(changes.pop())), ["atomic"]);
    let wrong = |changes: &mut Vec<KeyChange>| changes[1].value = ChangeValue::Inline("2".into());
    assert_eq!(edit(wrong), ["atomic"]);
    let more = |changes: &mut Vec<KeyChange>| changes.push(change("a.z", ChangeKind::Put, "1"));
    assert_eq!(edit(more), ["atomic"]);
}

#[test]
fn resumable_sees_a_gap_without_its_state_and_one_without_need() {
    let gap = told(WatchEvent::Gap {
        from: at(2),
        to: at(4),
    });
    let mut needless = gap.clone();
    if let Step::Event { compacted, .. } = &mut needless {
        *compacted = false;
    }
    let complaints = after(|steps| steps[6] = gap);
    assert!(complaints.contains(&"resumable"), "{complaints:?}");
    let state = told(WatchEvent::Initial {
        position: at(4),
        root: Blobref::of(HashAlgorithm::Blake3, b""),
        time_ms: 0,
        entries: Vec::new(),
        differences: false,
        last: true,
    });
    let with = |gap: Step| {
        let state = state.clone();
        move |steps: &mut Vec<Step>| drop(steps.splice(5..7, [gap, state]))
    };
    assert_eq!(after(with(needless.clone())), ["resumable"]);
    if let Step::Event { compacted, .. } = &mut needless {
        *compacted = true;
    }
    assert!(after(with(needless)).is_empty());
}

#[test]
fn bookmarkable_sees_marks_that_are_ahead_or_lag() {
    assert!(after(|steps| steps[5] = mark(4)).contains(&"bookmarkable"));
    assert_eq!(after(|steps| steps[8] = mark(3)), ["bookmarkable"]);
}

#[test]
fn durable_sees_what_a_power_cut_would_take_back() {
    let early = |steps: &mut Vec<Step>| {
        if let Step::Event { durable, .. } = &mut steps[2] {
            *durable = Some(1);
        }
    };
    assert_eq!(after(early), ["durable"]);
}

fn history(steps: Vec<Step>, guest: bool) -> History {
    let wish = Wish {
        namespace: NS.to_owned(),
        guest,
        ranges: vec![Range::Directory(key("a"))],
        mode: Mode::Every,
        values: true,
        previous: false,
    };
    History { wish, steps }
}

/// The good history in a world of one namespace at version 4.
fn placed(shared: bool) -> Vec<Step> {
    let mut steps = good();
    for step in &mut steps {
        if let Step::Opened { world, .. }
        | Step::Event { world, .. }
        | Step::Idle { world, .. }
        | Step::Mark { world, .. } = step
        {
            let world = Rc::make_mut(world);
            world.newest.insert(NS.to_owned(), 4);
            world.shared.extend(shared.then(|| NS.to_owned()));
        }
        if let Step::Idle { still, .. } = step {
            *still = true;
        }
    }
    steps
}

#[test]
fn alive_sees_another_life_without_a_gap() {
    let truths = truth();
    let mut steps = good();
    let sight = Sight::new(&truths, NS, &[Range::Directory(key("a"))]);
    assert_eq!(alive(&history(steps.clone(), false), &sight), Ok(()));
    steps[8] = mark(LIFE + 4);
    assert!(alive(&history(steps, false), &sight).is_err());
}

#[test]
fn mirrored_sees_a_reader_that_has_not_what_there_is() {
    let truths = truth();
    let mut steps = placed(true);
    let sight = Sight::new(&truths, NS, &[Range::Directory(key("a"))]);
    assert_eq!(mirrored(&history(steps.clone(), false), &sight), Ok(()));
    steps.remove(6);
    assert!(mirrored(&history(steps, false), &sight).is_err());
}

#[test]
fn entitled_sees_what_is_told_without_a_right_and_an_end_without_a_reason() {
    let truths = truth();
    let sight = Sight::new(&truths, NS, &[Range::Directory(key("a"))]);
    let check = |steps, guest| entitled(&history(steps, guest), &sight);
    assert_eq!(check(placed(true), true), Ok(()));
    assert_eq!(check(placed(false), false), Ok(()));
    assert!(check(placed(false), true).is_err());
    for (shared, right) in [(true, false), (false, true)] {
        let Step::Idle { world, .. } = placed(shared).swap_remove(7) else {
            panic!()
        };
        let kind = ErrorKind::Permission;
        let ended = vec![Step::Ended { kind, world }];
        assert_eq!(check(ended, true).is_ok(), right);
    }
}
