//! What a watch promises, one validator for each promise. Each is a pure function of a history and
//! of the truth, and names the first thing that is wrong. Three more are in `mirror` and
//! `entitled`.

use std::collections::BTreeSet;

use kvs_engine::{Mode, WatchEvent};

use super::content;
use super::entitled::entitled;
use super::history::{Delivery, History, Kind, Seen, Step, Verdict};
use super::lives::life;
use super::mirror::{alive, mirrored};
use super::sight::Sight;

type Validator = fn(&History, &Sight<'_>) -> Verdict;

/// All validators by name.
pub(super) const VALIDATORS: [(&str, Validator); 10] = [
    ("ordered", ordered),
    ("unique", unique),
    ("reliable", reliable),
    ("atomic", atomic),
    ("resumable", resumable),
    ("bookmarkable", bookmarkable),
    ("durable", durable),
    ("alive", alive),
    ("mirrored", mirrored),
    ("entitled", entitled),
];

/// What each validator finds wrong.
pub(super) fn complaints(history: &History, sight: &Sight<'_>) -> Vec<(&'static str, String)> {
    let told = VALIDATORS
        .iter()
        .map(|(name, v)| (*name, v(history, sight)));
    told.filter_map(|(name, verdict)| Some((name, verdict.err()?)))
        .collect()
}

fn fail(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn deliveries(history: &History) -> impl Iterator<Item = Delivery<'_>> {
    history.seen().into_iter().filter_map(|seen| match seen {
        Seen::Delivery(delivery) => Some(delivery),
        _ => None,
    })
}

/// Versions come in order, the parts of one together, the keys of a part sorted; a state comes
/// first or after a gap.
pub(super) fn ordered(history: &History, _: &Sight<'_>) -> Verdict {
    let mut newest = 0;
    for one in deliveries(history) {
        let Delivery { kind, version, .. } = one;
        // Content of other namespaces may come before the version that the watch starts with.
        fail(version >= newest || kind == Kind::Abroad, || {
            format!("{kind:?} {version} after {newest}")
        })?;
        match kind {
            Kind::Gap { from } => fail(from <= version, || format!("a gap {from} to {version}"))?,
            Kind::State { .. } => {
                let at_gap = one.gap.map(|(_, to)| to) == Some(version);
                fail(at_gap || one.had.is_none(), || {
                    format!("the state at {version} came unasked")
                })?;
            }
            Kind::Version | Kind::Rest | Kind::Abroad => {
                let had = one.had.is_some() && one.gap.is_none();
                fail(had, || format!("{version} came before the state"))?;
            }
        }
        for part in &one.parts {
            let sorted = part.is_sorted_by(|a, b| a.key <= b.key);
            fail(sorted, || format!("a part of {version} is not sorted"))?;
        }
        let told = one.whole && !matches!(kind, Kind::Gap { .. } | Kind::Abroad);
        newest = if told { version } else { newest };
    }
    Ok(())
}

/// No version is delivered twice, even over another connection, and no key twice in a version.
pub(super) fn unique(history: &History, _: &Sight<'_>) -> Verdict {
    let append = matches!(history.wish.mode, Mode::Append { .. });
    for one in deliveries(history) {
        let version = one.version;
        if one.kind == Kind::Version {
            let new = one.had.is_none_or(|had| version > had);
            fail(new, || format!("{version} was told again"))?;
        }
        if one.kind == Kind::Rest {
            fail(!one.resumed, || {
                format!("the value at {version} came again")
            })?;
        }
        let (mut wholes, mut grown) = (BTreeSet::new(), BTreeSet::new());
        for change in one.changes() {
            // Large appended bytes come in pieces, which `atomic` assembles.
            let piece = append && change.appended.is_some();
            let (own, other) = match piece {
                true => (&mut grown, &wholes),
                false => (&mut wholes, &grown),
            };
            let new = !other.contains(&change.key) && (own.insert(&change.key) || piece);
            fail(new, || format!("{version} tells {} twice", change.key))?;
        }
    }
    Ok(())
}

/// Whether none of the versions after `had` up to `upto` must be delivered (any more).
fn nothing(sight: &Sight<'_>, latest: bool, had: u64, upto: u64) -> Verdict {
    let untold = |keys: BTreeSet<kvs_tree::Key>, version| {
        fail(keys.is_empty(), || {
            format!("{version} was not told: {keys:?}")
        })
    };
    if had < upto && life(had) != life(upto) {
        return Err(format!("{upto} is of another life than {had}"));
    }
    if latest && had < upto {
        return untold(sight.differences(had, upto), upto);
    }
    if latest {
        return Ok(());
    }
    (had + 1..=upto).try_for_each(|version| untold(sight.told(version), version))
}

/// Every version that touched the scopes is delivered, or named by a gap, before any newer one, and
/// all of them before the reader finds nothing to read. In mode `latest` that is the newest state.
pub(super) fn reliable(history: &History, sight: &Sight<'_>) -> Verdict {
    let latest = history.wish.mode == Mode::Latest;
    let sight = sight.of(history.wish.mode);
    for seen in history.seen() {
        match seen {
            Seen::Idle {
                newest, until, had, ..
            } => {
                let had = had.ok_or_else(|| format!("no state came up to {newest}"))?;
                let told = nothing(&sight, latest, had, newest);
                // The newest state may be a newer one meanwhile.
                let newer = |version| latest && nothing(&sight, latest, had, version).is_ok();
                let same = life(newest) == life(until);
                if !(newest + 1..=until).filter(|_| same).any(newer) {
                    told?;
                }
            }
            Seen::Delivery(one) if one.kind == Kind::Version && one.whole => {
                let had = one.had.unwrap_or(0);
                if !latest {
                    nothing(&sight, latest, had, one.version - 1)?;
                    continue;
                }
                let began = match life(had) == life(one.version) {
                    true => had + 1,
                    false => one.version,
                };
                let touched = |version: &u64| !sight.told(*version).is_empty();
                let least = (began..=one.version).filter(touched).count() as u64;
                let (told, most) = (one.skipped + 1, one.version - one.last);
                fail((least..=most).contains(&told), || {
                    format!(
                        "{} tells of {told} versions, not {least} to {most}",
                        one.version
                    )
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A version is delivered as a whole: all its changes in the scopes and no others, each key as it
/// is in that version, with its root and transactions. The same holds for a state.
pub(super) fn atomic(history: &History, sight: &Sight<'_>) -> Verdict {
    let wish = &history.wish;
    let sight = sight.of(wish.mode);
    for one in deliveries(history) {
        let version = one.version;
        let told = content::check(&one, wish, &sight);
        told.map_err(|what| format!("{version} ({:?}): {what}", one.kind))?;
    }
    Ok(())
}

/// A reader that resumes after a loss continues where it was. If that is impossible, and only then,
/// it is told which versions are missing and what the state is after them.
pub(super) fn resumable(history: &History, sight: &Sight<'_>) -> Verdict {
    let latest = history.wish.mode == Mode::Latest;
    let sight = sight.of(history.wish.mode);
    for seen in history.seen() {
        let one = match seen {
            Seen::Delivery(one) => one,
            Seen::Idle { gap, .. } => {
                fail(gap.is_none(), || {
                    format!("no state follows the gap {gap:?}")
                })?;
                continue;
            }
            Seen::Mark { .. } => continue,
        };
        let version = one.version;
        if let Kind::Gap { from } = one.kind {
            let had = one.had.unwrap_or(0);
            fail(one.compacted, || {
                format!("a gap {from} to {version}, though they are kept")
            })?;
            fail(from >= had, || {
                format!("a gap from {from}, though it has {had}")
            })?;
            nothing(&sight, latest, had, from)?;
            continue;
        }
        if let Some((from, to)) = one.gap {
            let state = matches!(one.kind, Kind::State { .. }) && version == to;
            fail(state, || format!("no state follows the gap {from} to {to}"))?;
        }
        let had = one.had.unwrap_or(0);
        if one.resumed && one.kind == Kind::Version {
            fail(version > had, || {
                format!("resumed behind {had} with {version}")
            })?;
            if !latest {
                nothing(&sight, latest, had, version - 1)?;
            }
        }
    }
    Ok(())
}

/// A mark never goes back, is never ahead of what was delivered, and reaches the newest version
/// when there is nothing to deliver.
pub(super) fn bookmarkable(history: &History, sight: &Sight<'_>) -> Verdict {
    let latest = history.wish.mode == Mode::Latest;
    let sight = sight.of(history.wish.mode);
    let mut idle = None;
    for seen in history.seen() {
        let Seen::Mark {
            version,
            newest,
            had,
            under_way,
        } = seen
        else {
            idle = match seen {
                Seen::Idle { newest, .. } => Some(newest),
                _ => None,
            };
            continue;
        };
        fail(version <= newest, || {
            format!("the mark {version} is ahead of {newest}")
        })?;
        let told = under_way.is_none_or(|under_way| version < under_way);
        fail(told, || {
            format!("the mark {version} counts what is under way")
        })?;
        if let Some(had) = had {
            nothing(&sight, latest, had, version)?;
        }
        if idle == Some(newest) {
            fail(version == newest, || {
                format!("idle at {newest}, the mark is {version}")
            })?;
        }
    }
    Ok(())
}

/// What a reader received survives a power cut at that very moment.
pub(super) fn durable(history: &History, _: &Sight<'_>) -> Verdict {
    for step in &history.steps {
        let (told, durable) = match step {
            Step::Event { event, durable, .. } => match event {
                WatchEvent::Gap { to, .. } => (to.version, durable),
                WatchEvent::Initial { position, .. } | WatchEvent::Changes { position, .. } => {
                    (position.version, durable)
                }
            },
            Step::Mark {
                version, durable, ..
            } => (*version, durable),
            _ => continue,
        };
        let safe = durable.is_none_or(|durable| told <= durable);
        fail(safe, || {
            format!("{told} was told when only {durable:?} was on disk")
        })?;
    }
    Ok(())
}
