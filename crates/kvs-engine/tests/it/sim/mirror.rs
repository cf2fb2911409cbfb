//! A reader that applies every delivered change to what it has, and must end up with what exists.
//! Judges links into other namespaces, whose versions are not counted.

use std::collections::BTreeMap;

use bytes::Bytes;
use kvs_engine::{ChangeKind, ChangeValue, KeyChange, Mode};
use kvs_tree::Key;

use super::content::leads_to;
use super::history::{Delivery, History, Kind, Opened, Seen, Step, Verdict};
use super::lives::{World, life};
use super::sight::{Range, Sight};
use super::through::{View, look};
use super::tree::Thing;

/// What a reader has at a key.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Known(Thing),
    /// A value of which only the length is known.
    Long(u64),
    /// A value of which nothing is known.
    Some,
    Link(kvs_tree::Symlink),
}

type Image = BTreeMap<Key, Held>;

/// A scope that does not overlap any other scope of the watch, and what the reader has of it;
/// `None` if nothing was delivered yet.
struct Part<'a> {
    range: &'a Range,
    held: Option<Image>,
}

/// Walks through a history. `delivered` is called with each delivery and whether it came from
/// another namespace and was news, and with `None` where the reader finds nothing more to read.
fn follow(
    history: &History,
    sight: &Sight<'_>,
    mut delivered: impl FnMut(Option<(&Delivery<'_>, bool)>),
) -> Verdict {
    let Some((at, opened)) = first_opening(history) else {
        return Ok(());
    };
    let Some(&newest) = opened.newest.get(&history.wish.namespace) else {
        return Ok(());
    };
    if matches!(at, Opened::After(version) if version > newest) {
        // It starts at a future version, but earlier content is delivered.
        return Ok(());
    }
    let mut parts: Vec<Part<'_>> = Vec::new();
    for range in apart(&sight.ranges) {
        let held = match at {
            Opened::After(version) if version == newest => {
                let tree = &sight.version(version).tree;
                Some(image(look(range, tree, sight.truths, opened)))
            }
            Opened::After(version) => {
                let view = look(range, &sight.version(version).tree, sight.truths, opened);
                let here = range
                    .followed()
                    .is_none_or(|key| !sight.is_abroad(version, key));
                here.then(|| image(view))
            }
            Opened::Initial => None,
        };
        parts.push(Part { range, held });
    }
    let mut lost = false;
    for seen in history.seen() {
        match seen {
            Seen::Delivery(one) if one.whole => {
                lost = matches!(one.kind, Kind::Gap { .. });
                let mut needed = false;
                for part in &mut parts {
                    let Part { range, held } = &*part;
                    let before = Part {
                        range,
                        held: held.clone(),
                    };
                    part.take(&one, &history.wish.mode);
                    let told = one.changes().any(|change| part.range.holds(&change.key));
                    let step = &history.steps[one.steps[0]];
                    if let (
                        Kind::Abroad,
                        Step::Event {
                            world, still: true, ..
                        },
                    ) = (one.kind, step)
                        && told
                    {
                        part.compare(one.version, world, sight)?;
                        needed |= before.compare(one.version, world, sight).is_err();
                    }
                }
                delivered(Some((&one, needed)));
            }
            Seen::Idle { newest, step, .. } if !lost => {
                let Step::Idle { world, still, .. } = &history.steps[step] else {
                    continue;
                };
                delivered(None);
                let there = world.newest.contains_key(&history.wish.namespace);
                for part in parts.iter().filter(|_| *still && there) {
                    part.compare(newest, world, sight)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a watch delivered adds up to what exists.
pub(super) fn mirrored(history: &History, sight: &Sight<'_>) -> Verdict {
    follow(history, sight, |_| ())
}

/// Deliveries from other namespaces that were news, and whose keys had no further delivery before
/// the reader found nothing more.
pub(super) fn surprises(history: &History, sight: &Sight<'_>) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut open: Vec<(Vec<usize>, Vec<Key>)> = Vec::new();
    let _ = follow(history, sight, |one| match one {
        Some((one, needed)) => {
            let keys: Vec<Key> = one.changes().map(|change| change.key.clone()).collect();
            let meets = |a: &Key| keys.iter().any(|b| a.starts_with(b) || b.starts_with(a));
            open.retain(|(_, told)| !told.iter().any(meets));
            if needed {
                open.push((one.steps.clone(), keys));
            }
        }
        None => all.extend(open.drain(..).map(|(steps, _)| steps)),
    });
    all
}

fn first_opening(history: &History) -> Option<(Opened, &World)> {
    history.steps.iter().find_map(|step| match step {
        Step::Opened { at, world, .. } => Some((*at, &**world)),
        _ => None,
    })
}

/// The scopes that share no key with another.
fn apart(ranges: &[Range]) -> impl Iterator<Item = &Range> {
    let meet = |a: &Range, b: &Range| match (a, b) {
        (Range::Glob(_), _) | (_, Range::Glob(_)) => true,
        (Range::Key(a) | Range::Directory(a), Range::Key(b) | Range::Directory(b)) => {
            a.starts_with(b) || b.starts_with(a)
        }
    };
    ranges.iter().filter(move |one| {
        ranges
            .iter()
            .all(|other| *one == other || !meet(one, other))
    })
}

fn image(view: View) -> Image {
    let all = view.things.into_iter();
    all.map(|(key, thing)| (key, Held::Known(thing))).collect()
}

impl Part<'_> {
    fn take(&mut self, one: &Delivery<'_>, mode: &Mode) {
        let asked = self.range.followed();
        let whole = match one.kind {
            Kind::Gap { .. } => return,
            Kind::State { against } => against.is_none(),
            // A delivery that contains the requested key is complete.
            Kind::Abroad => one.changes().any(|change| Some(&change.key) == asked),
            Kind::Version | Kind::Rest => false,
        };
        if whole {
            self.held = Some(Image::new());
        }
        let Some(held) = &mut self.held else { return };
        for change in one.changes().filter(|one| self.range.holds(&one.key)) {
            let old = held.remove(&change.key);
            if let Some(new) = after(old, change, mode) {
                held.insert(change.key.clone(), new);
            }
        }
    }

    fn compare(&self, version: u64, world: &World, sight: &Sight<'_>) -> Verdict {
        let tree = &sight.version(version).tree;
        let view = look(self.range, tree, sight.truths, world);
        let Some(held) = &self.held else {
            return Err(format!("of {:?} nothing was ever told", self.range));
        };
        let asked = self.range.followed();
        // Where a link dangles, the reader may have received this link or an earlier one.
        let dangling = matches!(view.dangling, Some(Thing::Link(_)));
        let is_link = |held: &Held| matches!(held, Held::Link(_) | Held::Known(Thing::Link(_)));
        let stray = |key: &Key, held: &Held| {
            let link = Some(key) == asked && dangling && is_link(held);
            !view.things.contains_key(key) && !link
        };
        if let Some((key, _)) = held.iter().find(|(key, held)| stray(key, held)) {
            return Err(format!("at {version} the reader still has {key}"));
        }
        for (key, thing) in &view.things {
            if !held.get(key).is_some_and(|held| is(held, thing)) {
                let has = held.get(key).map(|held| format!("{held:?}"));
                let has: Option<String> = has.map(|text| text.chars().take(80).collect());
                return Err(format!("at {version} the reader has {has:?} at {key}"));
            }
        }
        Ok(())
    }
}

fn is(held: &Held, thing: &Thing) -> bool {
    match (held, thing) {
        (Held::Known(own), thing) => own == thing,
        (Held::Long(len), Thing::Value(bytes)) => *len == bytes.len() as u64,
        (Held::Some, Thing::Value(_)) => true,
        (Held::Link(link), Thing::Link(target)) => leads_to(link, target),
        _ => false,
    }
}

/// What a reader has at a key after a change.
fn after(old: Option<Held>, change: &KeyChange, mode: &Mode) -> Option<Held> {
    let value = |bytes: Bytes| Held::Known(Thing::Value(bytes));
    let offset = change.offset.unwrap_or(0);
    let grown = matches!(mode, Mode::Append { .. }) && change.kind == ChangeKind::Append;
    Some(match (change.kind, &change.value, &change.appended) {
        (ChangeKind::Unlink, ..) => return None,
        (ChangeKind::Mkdir, ..) => Held::Known(Thing::Directory),
        (ChangeKind::Link, ChangeValue::Link(link), _) => Held::Link(link.clone()),
        (_, _, Some(new)) if grown => match old {
            // At the beginning it may receive bytes that it has.
            Some(Held::Known(Thing::Value(old))) if old.len() as u64 >= offset => {
                value([&old[..offset as usize], &new[..]].concat().into())
            }
            _ => Held::Long(offset + new.len() as u64),
        },
        (_, ChangeValue::Inline(bytes), _) => value(bytes.clone()),
        (_, ChangeValue::Large { len, .. }, _) => Held::Long(*len),
        _ => Held::Some,
    })
}

/// Nothing of another life of the namespace is delivered except after a gap, which names both.
pub(super) fn alive(history: &History, _: &Sight<'_>) -> Verdict {
    for seen in history.seen() {
        let (what, index, had) = match &seen {
            Seen::Delivery(one) => match one.kind {
                Kind::Gap { .. } | Kind::State { .. } => continue,
                _ => ("version", one.version, one.had),
            },
            Seen::Mark { version, had, .. } => ("mark", *version, *had),
            Seen::Idle { newest, had, .. } => ("end", *newest, *had),
        };
        if let Some(had) = had.filter(|had| life(*had) != life(index)) {
            return Err(format!("the {what} {index} is of another life than {had}"));
        }
    }
    Ok(())
}
