//! Which watches a commit wakes: an ordered index by key over the scopes of all watches of a namespace.
//!
//! A commit pays for the names of the keys that it touched, the patterns that share their literal
//! prefix, and the watches that it wakes; idle watches elsewhere cost nothing (`presence`). What lies below a key
//! stands next to it in the order of keys, so an operation on a whole subtree is one range. For each
//! watch the index holds whom to wake and the first version that may concern it and that it has not
//! read yet (`hit`), and nothing else: no queue. Not thread-safe; its owner holds it under the lock
//! that publishing takes, which is what makes "subscribe at an exact version" exact.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use kvs_tree::{Effect, Key, Scope};

use crate::presence::Presence;

/// Whom to wake when a watch may have something to read. One sink serves many watches: each has a
/// token of its own.
pub trait WakeSink: Send + Sync {
    /// The watch with this token may have something to read. Must be cheap and must not block; it
    /// is called from any thread, with no lock held.
    fn wake(&self, token: u64);
}

/// A wake that is to be called once every lock is gone.
#[derive(Clone)]
pub(crate) struct Wake {
    pub(crate) sink: Arc<dyn WakeSink>,
    pub(crate) token: u64,
}

impl Wake {
    pub(crate) fn call(&self) {
        self.sink.wake(self.token);
    }
}

/// Names a watch within its namespace's index; used again once the watch is gone.
pub(crate) type WatchId = u32;

/// No version: versions of a namespace start at 1.
const NO_HIT: u64 = 0;

struct Slot {
    wake: Wake,
    hit: u64,
}

/// Who watches at one key. Nearly always it is one watch.
enum Holders {
    Exact(WatchId),
    Below(WatchId),
    Many(Box<Lists>),
}

#[derive(Default)]
struct Lists {
    /// Watches of exactly this key.
    exact: BTreeSet<WatchId>,
    /// Watches of this key and everything below it.
    below: BTreeSet<WatchId>,
    /// Watches of patterns whose literal prefix is this key, equal patterns together.
    patterns: Vec<(Scope, BTreeSet<WatchId>)>,
}

impl Lists {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty() && self.patterns.is_empty()
    }
}

impl Holders {
    fn into_lists(self) -> Box<Lists> {
        let mut lists = Box::<Lists>::default();
        match self {
            Holders::Exact(id) => lists.exact.insert(id),
            Holders::Below(id) => lists.below.insert(id),
            Holders::Many(lists) => return lists,
        };
        lists
    }

    /// Everyone, for what befalls the key and all below it.
    fn all(&self, woken: &mut Vec<WatchId>) {
        match self {
            Holders::Exact(id) | Holders::Below(id) => woken.push(*id),
            Holders::Many(lists) => {
                woken.extend(&lists.exact);
                woken.extend(&lists.below);
                woken.extend(lists.patterns.iter().flat_map(|(_, ids)| ids));
            }
        }
    }

    /// Whoever `key`, which is the key of these holders or lies below it, concerns.
    fn at(&self, key: &Key, here: bool, reaches_below: bool, woken: &mut Vec<WatchId>) {
        match self {
            Holders::Exact(id) => woken.extend(here.then_some(*id)),
            Holders::Below(id) => woken.push(*id),
            Holders::Many(lists) => {
                woken.extend(&lists.below);
                if here {
                    woken.extend(&lists.exact);
                }
                for (scope, ids) in &lists.patterns {
                    if scope.matches(key) || (reaches_below && scope.may_match_below(key)) {
                        woken.extend(ids);
                    }
                }
            }
        }
    }
}

/// Whether an effect can change what is found at keys below its own: it says so, or it may put a
/// link there that leads them elsewhere.
pub(crate) fn reaches_below(effect: &Effect) -> bool {
    effect.subtree() || matches!(effect, Effect::Link { .. } | Effect::Copy { .. })
}

/// The index of all watches of one namespace.
#[derive(Default)]
pub(crate) struct Dispatch {
    index: BTreeMap<Key, Holders>,
    /// Of the keys of the index.
    presence: Presence,
    slots: Vec<Option<Slot>>,
    free: Vec<WatchId>,
}

impl Dispatch {
    /// Adds a watch that has read everything up to the published version, or, with `hit`, has to
    /// read from that version on.
    pub(crate) fn add(&mut self, scopes: &[Scope], hit: Option<u64>, wake: Wake) -> WatchId {
        let slot = Some(Slot {
            wake,
            hit: hit.unwrap_or(NO_HIT),
        });
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.slots.get_mut(id as usize) {
                    *place = slot;
                }
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as WatchId
            }
        };
        self.hold(id, scopes);
        id
    }

    /// Lets a watch be woken for more scopes.
    pub(crate) fn hold(&mut self, id: WatchId, scopes: &[Scope]) {
        for scope in scopes {
            let key = scope.literal_prefix();
            let old = self.index.remove(&key);
            let held = old.is_some();
            let new = match (old, scope) {
                (None, Scope::Key(_)) => Holders::Exact(id),
                (None, Scope::Directory(_)) => Holders::Below(id),
                (old, scope) => {
                    let mut lists = old.map(Holders::into_lists).unwrap_or_default();
                    match scope {
                        Scope::Key(_) => drop(lists.exact.insert(id)),
                        Scope::Directory(_) => drop(lists.below.insert(id)),
                        Scope::Glob(_) => {
                            match lists.patterns.iter_mut().find(|(s, _)| s == scope) {
                                Some((_, ids)) => drop(ids.insert(id)),
                                None => lists.patterns.push((scope.clone(), [id].into())),
                            }
                        }
                    }
                    Holders::Many(lists)
                }
            };
            let placed = held || self.presence.insert(&key);
            self.index.insert(key, new);
            if !placed {
                self.presence = Presence::of(self.index.keys());
            }
        }
    }

    /// Takes back [`hold`](Self::hold).
    pub(crate) fn release(&mut self, id: WatchId, scopes: &[Scope]) {
        for scope in scopes {
            let key = scope.literal_prefix();
            let empty = match self.index.get_mut(&key) {
                None => false,
                Some(Holders::Exact(one)) => *one == id && matches!(scope, Scope::Key(_)),
                Some(Holders::Below(one)) => *one == id && matches!(scope, Scope::Directory(_)),
                Some(Holders::Many(lists)) => {
                    match scope {
                        Scope::Key(_) => drop(lists.exact.remove(&id)),
                        Scope::Directory(_) => drop(lists.below.remove(&id)),
                        Scope::Glob(_) => {
                            for (_, ids) in lists.patterns.iter_mut().filter(|(s, _)| s == scope) {
                                ids.remove(&id);
                            }
                            lists.patterns.retain(|(_, ids)| !ids.is_empty());
                        }
                    }
                    lists.is_empty()
                }
            };
            if empty {
                self.index.remove(&key);
                self.presence.remove(&key);
            }
        }
    }

    /// Removes a watch that holds `scopes` and nothing else.
    pub(crate) fn remove(&mut self, id: WatchId, scopes: &[Scope]) {
        self.release(id, scopes);
        if let Some(slot) = self.slots.get_mut(id as usize)
            && slot.take().is_some()
        {
            self.free.push(id);
        }
        if self.len() == 0 {
            // What a burst of watches took is given back.
            *self = Self::default();
        }
    }

    /// Notes that `effects` became `version`; pushes the wakes that are to be called once the lock
    /// is gone.
    pub(crate) fn publish<'a>(
        &mut self,
        version: u64,
        effects: impl Iterator<Item = &'a Effect>,
        wakes: &mut Vec<Wake>,
    ) {
        if self.index.is_empty() {
            return;
        }
        let mut woken = Vec::new();
        for effect in effects {
            self.touched(effect.key(), reaches_below(effect), &mut woken);
        }
        for id in woken {
            if let Some(Some(slot)) = self.slots.get_mut(id as usize)
                && slot.hit == NO_HIT
            {
                slot.hit = version;
                wakes.push(slot.wake.clone());
            }
        }
    }

    fn touched(&self, key: &Key, reaches_below: bool, woken: &mut Vec<WatchId>) {
        let depth = key.depth();
        for count in self.presence.prefixes(key) {
            if let Some(holders) = self.index.get(&key.prefix(count)) {
                holders.at(key, count == depth, reaches_below, woken);
            }
        }
        if reaches_below {
            let behind = (Bound::Excluded(key), Bound::Unbounded);
            for (_, holders) in self
                .index
                .range::<Key, _>(behind)
                .take_while(|(other, _)| other.starts_with(key))
            {
                holders.all(woken);
            }
        }
    }

    /// The first version that may concern the watch and that it has not read.
    pub(crate) fn hit(&self, id: WatchId) -> Option<u64> {
        let slot = self.slots.get(id as usize)?.as_ref()?;
        (slot.hit != NO_HIT).then_some(slot.hit)
    }

    /// Notes that the watch has read everything up to `read`, while `published` is the newest
    /// version. What came in between counts as a hit, since only the first hit was kept.
    pub(crate) fn settle(&mut self, id: WatchId, read: u64, published: u64) {
        if let Some(Some(slot)) = self.slots.get_mut(id as usize) {
            slot.hit = if read < published { read + 1 } else { NO_HIT };
        }
    }

    /// Whom the watch wakes.
    pub(crate) fn wake_of(&self, id: WatchId) -> Option<Wake> {
        Some(self.slots.get(id as usize)?.as_ref()?.wake.clone())
    }

    /// Every wake, for an end of the namespace.
    pub(crate) fn wake_all(&self) -> impl Iterator<Item = Wake> + '_ {
        self.slots.iter().flatten().map(|slot| slot.wake.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
