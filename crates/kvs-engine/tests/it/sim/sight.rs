//! The truth of a run: the state of each version and what was written in it, and what some scopes
//! see of that with links followed. Gives what a watch must deliver and what it may.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use kvs_engine::Mode;
use kvs_tree::{Blobref, Key, Scope};

use super::tree::{Thing, Tree, Way, Written};

/// One version as it really was.
#[derive(Clone, Default)]
pub(super) struct Version {
    pub(super) root: Option<Blobref>,
    /// The numbers of its transactions, sorted.
    pub(super) numbers: Vec<u64>,
    pub(super) tree: Tree,
    pub(super) written: Written,
    /// What was done, for people.
    pub(super) done: Vec<String>,
}

/// All versions of a namespace by index; each life begins with an empty one.
#[derive(Default)]
pub(super) struct Truth(pub(super) BTreeMap<u64, Version>);

/// All namespaces of a run.
pub(super) type Truths = BTreeMap<String, Truth>;

/// A scope, with an independent implementation of what it contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Key(Key),
    Directory(Key),
    /// Names, of which `*` is any one and `**` any number; also a `*` at the end of a name.
    Glob(String),
}

impl Range {
    pub(super) fn scope(&self) -> Scope {
        match self {
            Range::Key(key) => Scope::Key(key.clone()),
            Range::Directory(key) => Scope::Directory(key.clone()),
            Range::Glob(text) => Scope::parse(text).unwrap(),
        }
    }

    pub(super) fn holds(&self, key: &Key) -> bool {
        match self {
            Range::Key(own) => own == key,
            Range::Directory(own) => key.starts_with(own),
            Range::Glob(text) => {
                let names: Vec<&str> = key.names().collect();
                let pattern: Vec<&str> = text.split('.').collect();
                glob(&pattern, &names)
            }
        }
    }

    /// The key whose links are followed.
    pub(super) fn followed(&self) -> Option<&Key> {
        match self {
            Range::Key(key) | Range::Directory(key) if !key.is_root() => Some(key),
            _ => None,
        }
    }
}

fn glob(pattern: &[&str], names: &[&str]) -> bool {
    let name = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => pattern == name,
    };
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=names.len()).any(|skip| glob(rest, &names[skip..])),
        (Some((first, pattern)), Some((own, names))) => name(first, own) && glob(pattern, names),
        _ => false,
    }
}

/// What one scope sees of one version, under the keys that a watch reports.
#[derive(Debug, Default)]
struct Seen {
    things: BTreeMap<Key, Thing>,
    /// A dangling link, which may be reported as a link or as nothing.
    dangling: Option<(Key, Thing)>,
    /// Where the key leads whose links are followed; none for a loop.
    way: Option<Way>,
    /// That path leads into another namespace, of which nothing is in `things`.
    abroad: bool,
}

fn look(range: &Range, tree: &Tree) -> Seen {
    let mut seen = Seen::default();
    let Some(asked) = range.followed() else {
        let inside = tree.0.iter().filter(|(key, _)| range.holds(key));
        seen.things = inside.map(|(k, t)| (k.clone(), t.clone())).collect();
        return seen;
    };
    seen.way = tree.resolve(asked, true);
    seen.abroad = seen.way.as_ref().is_some_and(|way| way.abroad.is_some());
    if seen.abroad {
        return seen;
    }
    let standing = |way: &Way| tree.0.get(&way.end).cloned();
    let Some(thing) = seen.way.as_ref().and_then(standing) else {
        let last = tree.resolve(asked, false);
        let thing = last.as_ref().and_then(standing);
        seen.dangling = thing.map(|thing| (asked.clone(), thing));
        return seen;
    };
    seen.things.insert(asked.clone(), thing);
    if let (Range::Directory(_), Some(way)) = (range, &seen.way) {
        for (key, thing) in tree.below(&way.end) {
            let shown = asked.join(&key.suffix(way.end.depth())).unwrap();
            seen.things.insert(shown, thing.clone());
        }
    }
    seen
}

/// What some scopes see of the versions of a run.
pub(super) struct Sight<'a> {
    pub(super) truths: &'a Truths,
    pub(super) name: String,
    pub(super) ranges: Vec<Range>,
    seen: Rc<RefCell<HashMap<u64, Rc<Vec<Seen>>>>>,
    /// Whether a key that was written but not changed need not be reported.
    pub(super) only_new: bool,
}

impl<'a> Sight<'a> {
    /// Without scopes, every key is seen.
    pub(super) fn new(truths: &'a Truths, name: &str, ranges: &[Range]) -> Self {
        let mut ranges = ranges.to_vec();
        if ranges.is_empty() {
            ranges.push(Range::Directory(Key::ROOT));
        }
        Self {
            truths,
            name: name.to_owned(),
            ranges,
            seen: Rc::default(),
            only_new: false,
        }
    }

    /// The same for a watch of this mode.
    pub(super) fn of(&self, mode: Mode) -> Self {
        Self {
            truths: self.truths,
            name: self.name.clone(),
            ranges: self.ranges.clone(),
            seen: self.seen.clone(),
            only_new: mode == Mode::Unique,
        }
    }

    pub(super) fn version(&self, version: u64) -> &Version {
        &self.truths[&self.name].0[&version]
    }

    /// Whether this version ever existed.
    pub(super) fn has(&self, version: u64) -> bool {
        self.truths[&self.name].0.contains_key(&version)
    }

    /// Whether a key may be reported in a version because a scope leads it into another namespace.
    pub(super) fn is_abroad(&self, version: u64, key: &Key) -> bool {
        let seen = self.seen(version);
        let mut all = self.ranges.iter().zip(&*seen);
        all.any(|(range, seen)| seen.abroad && range.holds(key))
    }

    fn seen(&self, version: u64) -> Rc<Vec<Seen>> {
        let look = || {
            let tree = &self.version(version).tree;
            Rc::new(self.ranges.iter().map(|range| look(range, tree)).collect())
        };
        let mut all = self.seen.borrow_mut();
        all.entry(version).or_insert_with(look).clone()
    }

    /// The keys in the scopes, without dangling links.
    pub(super) fn keys(&self, version: u64) -> BTreeSet<Key> {
        let seen = self.seen(version);
        let keys = seen.iter().flat_map(|seen| seen.things.keys());
        keys.cloned().collect()
    }

    /// What may be reported at a key.
    pub(super) fn at(&self, version: u64, key: &Key) -> Vec<Option<Thing>> {
        let mut found = Vec::new();
        for (range, seen) in self.ranges.iter().zip(&*self.seen(version)) {
            let thing = seen.things.get(key);
            let covers = range.holds(key);
            if thing.is_some() || covers {
                found.push(thing.cloned());
            }
            if let Some((_, thing)) = seen.dangling.as_ref().filter(|(at, _)| at == key) {
                found.push(Some(thing.clone()));
            }
        }
        found
    }

    /// The keys at which the scopes see a difference between the two versions.
    pub(super) fn differences(&self, before: u64, after: u64) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        for (old, new) in self.seen(before).iter().zip(&*self.seen(after)) {
            if old.abroad || new.abroad {
                continue;
            }
            let (old, new) = (&old.things, &new.things);
            let changed = |key: &&Key| old.get(*key) != new.get(*key);
            keys.extend(old.keys().chain(new.keys()).filter(changed).cloned());
        }
        keys
    }

    /// The keys written in a version, as the scopes see them: those that must be reported even if
    /// unchanged, and those that may be.
    fn written(&self, version: u64) -> (BTreeSet<Key>, BTreeSet<Key>) {
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        let written = &self.version(version).written;
        let (before, after) = (self.seen(version - 1), self.seen(version));
        for ((range, old), new) in self.ranges.iter().zip(&*before).zip(&*after) {
            let Some(asked) = range.followed() else {
                must.extend(written.must.iter().filter(|key| range.holds(key)).cloned());
                may.extend(written.may.iter().filter(|key| range.holds(key)).cloned());
                continue;
            };
            let shown = |way: &Way, key: &Key| {
                let rest = key.suffix(way.end.depth());
                let shown = asked.join(&rest).ok()?;
                (key.starts_with(&way.end) && range.holds(&shown)).then_some(shown)
            };
            let here = |way: &&Way| way.abroad.is_none();
            for way in [&old.way, &new.way].into_iter().flatten().filter(here) {
                may.extend(written.may.iter().filter_map(|key| shown(way, key)));
                // A dangling link may be reported again.
                may.extend(way.links.last().map(|_| asked.clone()));
            }
            let same = |way: &&Way| here(way) && old.way.as_ref() == Some(way);
            if let Some(way) = new.way.as_ref().filter(same) {
                must.extend(written.must.iter().filter_map(|key| shown(way, key)));
            }
        }
        (must, may)
    }

    /// The keys that must be reported for a version.
    pub(super) fn told(&self, version: u64) -> BTreeSet<Key> {
        let mut keys = self.differences(version - 1, version);
        if !self.only_new {
            keys.extend(self.written(version).0);
        }
        keys
    }

    /// The keys that may be in a listing: existing ones and dangling links.
    pub(super) fn all(&self, version: u64) -> BTreeSet<Key> {
        let mut keys = self.keys(version);
        let seen = self.seen(version);
        let dangling = seen.iter().filter_map(|seen| seen.dangling.as_ref());
        keys.extend(dangling.map(|(key, _)| key.clone()));
        keys
    }

    /// The keys that a version wrote itself, as the scopes see them.
    pub(super) fn direct(&self, version: u64) -> BTreeSet<Key> {
        self.written(version).1
    }

    /// The keys that may be reported for a version.
    pub(super) fn may(&self, version: u64) -> BTreeSet<Key> {
        let mut keys = self.differences(version - 1, version);
        keys.extend(self.written(version).1);
        keys.extend(
            self.all(version - 1)
                .difference(&self.keys(version - 1))
                .cloned(),
        );
        keys.extend(self.all(version).difference(&self.keys(version)).cloned());
        keys
    }
}
