//! Rights: a watch shows nothing that its reader may not read at that moment, and ends exactly when
//! the reader may not read on.

use std::collections::BTreeMap;

use kvs_engine::ErrorKind;

use super::history::{History, Opened, Seen, Step, Verdict, Wish};
use super::lives::{LIFE, World, life};
use super::sight::Sight;
use super::through::look;

/// Whether the reader may read a namespace; a guest may not read one that does not exist.
fn may(wish: &Wish, world: &World, name: &str) -> bool {
    !wish.guest || (world.newest.contains_key(name) && world.shared.contains(name))
}

/// A namespace that a scope leads into in this version and that the reader may not read, if any.
fn forbidden(wish: &Wish, world: &World, version: u64, sight: &Sight<'_>) -> Option<String> {
    if !wish.guest || !sight.has(version) {
        return None;
    }
    let tree = &sight.version(version).tree;
    let names = sight.ranges.iter();
    let mut names = names.flat_map(|range| {
        let view = look(range, tree, sight.truths, world);
        view.names.into_iter().chain(view.missing)
    });
    names.find(|name| !may(wish, world, name))
}

pub(super) fn entitled(history: &History, sight: &Sight<'_>) -> Verdict {
    let wish = &history.wish;
    let own = &wish.namespace;
    // Deliveries from other namespaces, by step.
    let mut abroad: BTreeMap<usize, String> = BTreeMap::new();
    for seen in history.seen() {
        if let Seen::Delivery(one) = seen
            && let Some((name, _)) = &one.behind
        {
            abroad.extend(one.steps.iter().map(|step| (*step, name.clone())));
        }
    }
    let (mut opened, mut began) = (None, None);
    for (at, step) in history.steps.iter().enumerate() {
        match step {
            Step::Opened {
                at: begun, world, ..
            } => {
                opened = world.newest.get(own).copied();
                began = match begun {
                    // Before a future version, links lead where they do now.
                    Opened::After(version) => opened.map(|newest| newest.min(*version)),
                    Opened::Initial => opened,
                };
                if !may(wish, world, own) {
                    return Err(format!("step {at}: it was opened without a right"));
                }
            }
            Step::Event { world, .. } | Step::Idle { world, .. } | Step::Mark { world, .. } => {
                let forbidden = match step {
                    Step::Idle { newest, .. } => forbidden(wish, world, *newest, sight),
                    _ => abroad
                        .get(&at)
                        .filter(|name| !may(wish, world, name))
                        .cloned(),
                };
                let own = (!may(wish, world, own)).then(|| own.clone());
                if let Some(name) = own.or(forbidden) {
                    return Err(format!("step {at}: it goes on without a right on {name}"));
                }
            }
            Step::Ended { kind, world } => {
                let newest = world.newest.get(own).copied();
                let right = match kind {
                    ErrorKind::NoNamespace => {
                        newest.is_none()
                            || opened.is_some_and(|o| Some(life(o)) != newest.map(life))
                    }
                    ErrorKind::Permission if !may(wish, world, own) => true,
                    ErrorKind::Permission => newest.is_some_and(|newest| {
                        let here = |from: &u64| life(*from) == life(newest) && *from <= newest;
                        // After a gap it continued in the current life.
                        let from = began.filter(here).unwrap_or(newest - newest % LIFE);
                        (from..=newest)
                            .any(|version| forbidden(wish, world, version, sight).is_some())
                    }),
                    _ => false,
                };
                if !right {
                    return Err(format!("step {at}: it ended with {kind:?} for nothing"));
                }
            }
            Step::Lost => {}
        }
    }
    Ok(())
}
