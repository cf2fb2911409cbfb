//! Planted bugs: each alters what a reader saw as that bug in the engine would.

use std::collections::BTreeSet;
use std::rc::Rc;

use kvs_engine::{Mode, WatchEvent};

use super::generate::one_of;
use super::history::{Delivery, History, Kind, Opened, Seen, Step};
use super::lives::life;
use super::mirror::surprises;
use super::sight::Sight;
use crate::support::Random;

type Plant = fn(&mut History, &Sight<'_>, &mut Random) -> Option<()>;

/// The validators that detect a loss: the one that counts versions, unless a mark or a gap covers
/// it; and for content behind a link into another namespace, the one that compares.
const LOSSES: &[&str] = &["reliable", "resumable", "bookmarkable", "mirrored"];

/// The bugs, and which validators must detect each.
pub(super) const FAULTS: [(&str, Plant, &[&str]); 9] = [
    ("drop one event under lag", drop_under_lag, LOSSES),
    ("duplicate on resume", duplicate_on_resume, &["unique"]),
    ("split a version", split_version, &["atomic", "unique"]),
    ("skip on trim", skip_on_trim, LOSSES),
    (
        "miss an indirect change",
        miss_indirect,
        &["atomic", "reliable", "resumable", "bookmarkable"],
    ),
    ("fire early before durable", fire_early, &["durable"]),
    ("go on in another life", go_on_in_another_life, &["alive"]),
    ("miss what happens abroad", miss_abroad, &["mirrored"]),
    ("tell without a right", tell_without_right, &["entitled"]),
];

/// A delivery that was found, detached from the history so that the history can be changed.
struct Found {
    version: u64,
    steps: Vec<usize>,
}

/// A random one of the matching deliveries.
fn some(
    history: &History,
    random: &mut Random,
    fits: impl Fn(&Delivery<'_>) -> bool,
) -> Option<Found> {
    let found: Vec<Found> = history
        .seen()
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Delivery(one) if fits(&one) => Some(Found {
                version: one.version,
                steps: one.steps,
            }),
            _ => None,
        })
        .collect();
    let at = random.below(found.len().max(1) as u64) as usize;
    found.into_iter().nth(at)
}

fn remove(history: &mut History, steps: &[usize]) {
    let mut at = 0;
    history.steps.retain(|_| {
        at += 1;
        !steps.contains(&(at - 1))
    });
}

fn is_version(one: &Delivery<'_>) -> bool {
    one.kind == Kind::Version && one.whole
}

/// A reader that is behind misses a version.
fn drop_under_lag(history: &mut History, sight: &Sight<'_>, random: &mut Random) -> Option<()> {
    (history.wish.mode != Mode::Latest).then_some(())?;
    let sight = sight.of(history.wish.mode);
    let behind = |one: &Delivery<'_>| match &history.steps[one.steps[0]] {
        Step::Event { newest, .. } => *newest > one.version + 1,
        _ => false,
    };
    // A reader that loses its connection next claims to have the version when it resumes after it.
    let is_read_on = |one: &Delivery<'_>| {
        let next = one.steps.last().and_then(|at| history.steps.get(at + 1));
        matches!(
            next,
            Some(Step::Event { .. } | Step::Idle { .. } | Step::Mark { .. })
        )
    };
    let found = some(history, random, |one| {
        is_version(one) && behind(one) && is_read_on(one) && !sight.told(one.version).is_empty()
    })?;
    remove(history, &found.steps);
    Some(())
}

/// The last version before a loss is delivered again after it.
fn duplicate_on_resume(history: &mut History, _: &Sight<'_>, random: &mut Random) -> Option<()> {
    let mut told = None;
    let mut places = Vec::new();
    for (at, step) in history.steps.iter().enumerate() {
        match step {
            Step::Event {
                event:
                    WatchEvent::Changes {
                        position,
                        behind: None,
                        last: true,
                        ..
                    },
                ..
            } => told = Some((position.version, step)),
            Step::Opened {
                at: Opened::After(had),
                resumed: true,
                ..
            } => {
                let again = told.filter(|(version, _)| version == had);
                places.extend(again.map(|(_, step)| (at, step.clone())));
            }
            _ => {}
        }
    }
    let (at, step) = places.get(random.below(places.len().max(1) as u64) as usize)?;
    history.steps.insert(at + 1, step.clone());
    Some(())
}

/// The changes of one version are delivered as two.
fn split_version(history: &mut History, _: &Sight<'_>, random: &mut Random) -> Option<()> {
    let found = some(history, random, |one| {
        is_version(one) && one.steps.len() == 1 && one.parts[0].len() > 1
    })?;
    let at = found.steps[0];
    let mut second = history.steps[at].clone();
    let changed = |step: &mut Step, edit: &dyn Fn(&mut WatchEvent)| {
        if let Step::Event { event, .. } = step {
            edit(event);
        }
    };
    changed(&mut history.steps[at], &|event| {
        if let WatchEvent::Changes { changes, .. } = event {
            changes.truncate(changes.len() / 2);
        }
    });
    changed(&mut second, &|event| {
        if let WatchEvent::Changes { changes, .. } = event {
            changes.drain(..changes.len() / 2);
        }
    });
    history.steps.insert(at + 1, second);
    Some(())
}

/// Trimmed versions are omitted silently.
fn skip_on_trim(history: &mut History, sight: &Sight<'_>, random: &mut Random) -> Option<()> {
    let sight = sight.of(history.wish.mode);
    let latest = history.wish.mode == Mode::Latest;
    let state = some(history, random, |one| {
        let Some((from, to)) = one.gap.filter(|_| one.whole) else {
            return false;
        };
        let missing = match latest {
            true => life(from) == life(to) && !sight.differences(from, to).is_empty(),
            false if life(from) != life(to) => false,
            false => (from + 1..=to).any(|version| !sight.told(version).is_empty()),
        };
        matches!(one.kind, Kind::State { .. }) && missing
    })?;
    let is_gap =
        |one: &Delivery<'_>| matches!(one.kind, Kind::Gap { .. }) && one.version == state.version;
    let gap = some(history, random, is_gap)?;
    remove(history, &[state.steps, gap.steps].concat());
    Some(())
}

/// Only what a version wrote itself is delivered, not its indirect effect on other keys.
fn miss_indirect(history: &mut History, sight: &Sight<'_>, random: &mut Random) -> Option<()> {
    (history.wish.mode != Mode::Latest).then_some(())?;
    let indirect = |version: u64| -> BTreeSet<_> {
        let all = sight.differences(version - 1, version);
        all.difference(&sight.direct(version)).cloned().collect()
    };
    let found = some(history, random, |one| {
        is_version(one) && one.steps.len() == 1 && !indirect(one.version).is_empty()
    })?;
    let (at, missed) = (found.steps[0], indirect(found.version));
    let mut empty = false;
    if let Step::Event {
        event: WatchEvent::Changes { changes, .. },
        ..
    } = &mut history.steps[at]
    {
        let told = changes.len();
        changes.retain(|change| !missed.contains(&change.key));
        // In mode `unique`, unchanged keys are not delivered, so there may be nothing to miss.
        (changes.len() < told).then_some(())?;
        empty = changes.is_empty();
    }
    if empty {
        history.steps.remove(at);
        // A reader that loses its connection right after this resumes after it, so only what comes
        // on the same connection reveals the omission.
        let next = history.steps.get(at);
        (!matches!(next, None | Some(Step::Lost))).then_some(())?;
    }
    Some(())
}

/// A version is delivered while a power cut would still undo it.
fn fire_early(history: &mut History, _: &Sight<'_>, random: &mut Random) -> Option<()> {
    let found = some(history, random, is_version)?;
    let at = one_of(random, &found.steps);
    if let Step::Event { durable, .. } = &mut history.steps[at] {
        *durable = Some(found.version - 1);
    }
    Some(())
}

/// A namespace was recreated, or lost something in a crash, and this is not reported.
fn go_on_in_another_life(history: &mut History, _: &Sight<'_>, random: &mut Random) -> Option<()> {
    let crosses = |one: &Delivery<'_>| one.gap.is_some_and(|(from, to)| life(from) != life(to));
    let state = some(history, random, |one| {
        matches!(one.kind, Kind::State { .. }) && one.whole && one.had.is_some() && crosses(one)
    })?;
    let is_gap =
        |one: &Delivery<'_>| matches!(one.kind, Kind::Gap { .. }) && one.version == state.version;
    let gap = some(history, random, is_gap)?;
    // Something must follow, or the bug could not be detected.
    let last = *state.steps.last()?;
    let goes_on = |step: &Step| matches!(step, Step::Idle { .. } | Step::Mark { .. });
    history.steps.get(last + 1).filter(|step| goes_on(step))?;
    remove(history, &[state.steps, gap.steps].concat());
    Some(())
}

/// A change behind a link into another namespace is not delivered.
fn miss_abroad(history: &mut History, sight: &Sight<'_>, random: &mut Random) -> Option<()> {
    let found = surprises(history, sight);
    let at = random.below(found.len().max(1) as u64) as usize;
    remove(history, found.get(at)?);
    Some(())
}

/// A right is revoked, and the watch continues to deliver.
fn tell_without_right(history: &mut History, _: &Sight<'_>, random: &mut Random) -> Option<()> {
    history.wish.guest.then_some(())?;
    let found = some(history, random, |one| one.whole)?;
    let at = one_of(random, &found.steps);
    if let Step::Event { world, .. } = &mut history.steps[at] {
        Rc::make_mut(world).shared.remove(&history.wish.namespace);
    }
    Some(())
}
