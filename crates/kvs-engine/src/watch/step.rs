//! The sources of an event's changes, read a page at a time: listings, differences of two trees,
//! pieces of values. A page is a pure function of its source. It ends after a number of visits,
//! even if it found nothing, and returns where the next one starts; memory holds only one page.

use std::sync::Arc;

use kvs_tree::{Bounds, Directory, Entry, Fault, Key, Scope, Value, diff, entry_at, list};

use super::collect::{Collector, Context};
use super::route::ScopeMapping;
use crate::changes::{ChangeKind, ChangeValue, KeyChange, change};
use crate::limits::{CHANGE_VALUE_BYTES, EVENT_CHANGES};

/// A source of changes that is not exhausted yet.
#[derive(Clone)]
pub(super) enum ChangeSource {
    /// The entries in a scope of a tree.
    List(List),
    /// The differences between two trees.
    Compare(Compare),
    /// The entries at some keys.
    Keys(Keys),
    /// Bytes of a value.
    Pieces(Pieces),
}

/// A page of changes, the rest of the source, and the visits made.
pub(super) struct Page {
    pub(super) found: Vec<KeyChange>,
    pub(super) rest: Option<ChangeSource>,
    pub(super) visits: usize,
}

impl Page {
    /// The collected changes. `visits` does not include those for values.
    fn of(to: Collector<'_, '_>, rest: Option<ChangeSource>, visits: usize) -> Self {
        Self {
            visits: visits + to.visits(),
            found: to.found,
            rest,
        }
    }

    fn last(to: Collector<'_, '_>) -> Self {
        let visits = 1 + to.found.len();
        Self::of(to, None, visits)
    }
}

impl ChangeSource {
    /// The next page, for about `visits` visits.
    pub(super) fn page(&self, context: &Context<'_>, visits: usize) -> Result<Page, Fault> {
        match self {
            ChangeSource::List(list) => list.page(context, visits),
            ChangeSource::Compare(compare) => compare.page(context, visits),
            ChangeSource::Keys(keys) => keys.page(context, visits),
            ChangeSource::Pieces(pieces) => pieces.page(context, visits),
        }
    }

    /// Extra visits per key found, for matching it against many scopes.
    pub(super) fn weight(&self) -> usize {
        match self {
            ChangeSource::List(list) => list.told.len() / 8,
            ChangeSource::Compare(Compare {
                show: Show::ScopeMapping(aim),
                ..
            }) => aim.scopes().len() / 8,
            ChangeSource::Keys(keys) => keys.aim.scopes().len() / 8,
            ChangeSource::Compare(_) | ChangeSource::Pieces(_) => 0,
        }
    }

    /// Whether any page of this source reports `key`, regardless of how much has been read.
    pub(super) fn tells(&self, key: &Key, context: &Context<'_>) -> Result<bool, Fault> {
        match self {
            ChangeSource::List(list) => list.tells(key, context),
            ChangeSource::Compare(compare) => compare.tells(key, context),
            ChangeSource::Keys(keys) => Ok(keys.tells(key)),
            ChangeSource::Pieces(pieces) => Ok(pieces.shown == *key),
        }
    }
}

fn bounds(visits: usize) -> Bounds {
    Bounds {
        items: EVENT_CHANGES,
        visits,
    }
}

/// A listing of one scope.
#[derive(Clone)]
pub(super) struct List {
    pub(super) root: Directory,
    /// The scope's first key in the tree, links resolved.
    pub(super) top: Key,
    /// The scope's first key as the watch sees it.
    pub(super) shown: Key,
    /// The scope, by keys of the tree.
    pub(super) scope: Scope,
    /// Scopes listed before, by keys of the watch. Their keys are skipped.
    pub(super) told: Arc<[Scope]>,
    pub(super) after: Option<Key>,
}

impl List {
    fn page(&self, context: &Context<'_>, visits: usize) -> Result<Page, Fault> {
        let mut to = Collector::new(context, visits);
        let Some(entry) = entry_at(&self.root, context.source, &self.top)? else {
            return Ok(Page::last(to));
        };
        if self.after.is_none() && !self.top.is_root() && self.scope.matches(&self.top) {
            self.add(&mut to, &self.top, &entry)?;
        }
        if matches!(self.scope, Scope::Key(_)) || !matches!(entry, Entry::Directory(_)) {
            return Ok(Page::last(to));
        }
        let page = list(
            &self.root,
            context.source,
            &self.top,
            self.after.as_ref(),
            bounds(visits),
            true,
            Some(&self.scope),
        )?;
        // The entry at the top was reported in the first page.
        let begun = (!to.found.is_empty()).then(|| self.top.clone());
        let (mut next, mut after) = (page.next, self.after.clone().or(begun));
        for (key, entry) in page.items {
            if to.full() {
                next = after;
                break;
            }
            self.add(&mut to, &key, &entry)?;
            after = Some(key);
        }
        let rest = next.map(|next| {
            ChangeSource::List(List {
                after: Some(next),
                ..self.clone()
            })
        });
        Ok(Page::of(to, rest, page.visits))
    }

    fn tells(&self, key: &Key, context: &Context<'_>) -> Result<bool, Fault> {
        if !key.starts_with(&self.shown) || self.told.iter().any(|scope| scope.matches(key)) {
            return Ok(false);
        }
        let Ok(at) = self.top.join(&key.suffix(self.shown.depth())) else {
            return Ok(false);
        };
        let listed = self.scope.matches(&at) && !at.is_root();
        Ok(listed && entry_at(&self.root, context.source, &at)?.is_some())
    }

    fn add(&self, to: &mut Collector<'_, '_>, key: &Key, entry: &Entry) -> Result<(), Fault> {
        let Ok(shown) = self.shown.join(&key.suffix(self.top.depth())) else {
            return Ok(());
        };
        if self.told.iter().any(|scope| scope.matches(&shown)) {
            return Ok(());
        }
        to.add(&shown, None, Some(entry))
    }
}

/// The keys under which differences are reported.
#[derive(Clone)]
pub(super) enum Show {
    /// As mapped by the watch's scopes.
    ScopeMapping(Arc<ScopeMapping>),
    /// The compared entries are at this key of the watch.
    Under(Key),
}

/// The differences between two entries, usually the root directories of two versions.
#[derive(Clone)]
pub(super) struct Compare {
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
    /// Whether this is a listing: changes carry no previous value.
    pub(super) listing: bool,
    /// Whether the entry itself is reported even if it is and was absent.
    pub(super) anew: bool,
    /// Whether to descend below the entries.
    pub(super) below: bool,
    pub(super) show: Show,
    pub(super) from: Option<Key>,
}

fn directory(entry: Option<&Entry>) -> Directory {
    match entry {
        Some(Entry::Directory(directory)) => directory.clone(),
        _ => Directory::empty(),
    }
}

/// Whether two entries differ; the contents of directories do not count.
fn differ(before: Option<&Entry>, after: Option<&Entry>, context: &Context<'_>) -> bool {
    match (before, after) {
        (None, None) | (Some(Entry::Directory(_)), Some(Entry::Directory(_))) => false,
        (Some(before), Some(after)) => !before.same(after, context.params),
        _ => true,
    }
}

impl Compare {
    fn tells(&self, key: &Key, context: &Context<'_>) -> Result<bool, Fault> {
        let places = match &self.show {
            Show::ScopeMapping(aim) => aim.places(key),
            Show::Under(shown) if shown == key => {
                let told = differ(self.before.as_ref(), self.after.as_ref(), context);
                return Ok(told || self.anew);
            }
            Show::Under(shown) if self.below && key.starts_with(shown) => {
                vec![key.suffix(shown.depth())]
            }
            Show::Under(_) => Vec::new(),
        };
        for place in places {
            let at = |entry: &Option<Entry>| {
                entry_at(&directory(entry.as_ref()), context.source, &place)
            };
            let (before, after) = (at(&self.before)?, at(&self.after)?);
            if differ(before.as_ref(), after.as_ref(), context) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn page(&self, context: &Context<'_>, visits: usize) -> Result<Page, Fault> {
        let mut to = Collector::new(context, visits);
        let (before, after) = (self.before.as_ref(), self.after.as_ref());
        if let (Show::Under(key), None) = (&self.show, &self.from) {
            let nothing = before.is_none() && after.is_none();
            if differ(before, after, context) || (self.anew && nothing) {
                to.add(key, (!self.listing).then_some(before), after)?;
            }
        }
        if !self.below {
            return Ok(Page::last(to));
        }
        let scopes = match &self.show {
            Show::ScopeMapping(aim) if aim.scopes().is_empty() => return Ok(Page::last(to)),
            Show::ScopeMapping(aim) => aim.scopes(),
            Show::Under(_) => &[],
        };
        let page = diff(
            &directory(before),
            &directory(after),
            context.source,
            context.params,
            scopes,
            &Key::ROOT,
            self.from.as_ref(),
            bounds(visits),
        )?;
        // The entry itself was reported in the first page.
        let begun = (!to.found.is_empty()).then_some(Key::ROOT);
        let (mut next, mut from) = (page.next, self.from.clone().or(begun));
        for found in page.items {
            if to.full() {
                next = from;
                break;
            }
            let shown = match &self.show {
                Show::ScopeMapping(aim) => aim.shown(&found.key),
                Show::Under(key) => key.join(&found.key).into_iter().collect(),
            };
            for key in shown {
                let before = (!self.listing).then_some(found.before.as_ref());
                to.add(&key, before, found.after.as_ref())?;
            }
            from = Some(found.key);
        }
        let rest = next.map(|next| {
            ChangeSource::Compare(Compare {
                from: Some(next),
                ..self.clone()
            })
        });
        Ok(Page::of(to, rest, page.visits))
    }
}

/// The entries at some keys of a tree.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) root: Directory,
    pub(super) keys: Arc<[Key]>,
    pub(super) next: usize,
    pub(super) aim: Arc<ScopeMapping>,
}

impl Keys {
    fn tells(&self, key: &Key) -> bool {
        let places = self.aim.places(key);
        places.iter().any(|place| self.keys.contains(place))
    }

    fn page(&self, context: &Context<'_>, visits: usize) -> Result<Page, Fault> {
        let mut to = Collector::new(context, visits);
        let (mut next, mut made) = (self.next, 0);
        for key in self.keys.iter().skip(self.next) {
            if to.full() || made >= visits {
                break;
            }
            next += 1;
            made += 1 + key.depth();
            let entry = entry_at(&self.root, context.source, key)?;
            for shown in self.aim.shown(key) {
                to.add(&shown, None, entry.as_ref())?;
            }
        }
        let rest = (next < self.keys.len()).then(|| {
            ChangeSource::Keys(Keys {
                next,
                ..self.clone()
            })
        });
        Ok(Page::of(to, rest, made))
    }
}

/// Bytes appended to a value: one change per append, a long append in pieces.
#[derive(Clone)]
pub(super) struct Pieces {
    pub(super) shown: Key,
    pub(super) value: Value,
    pub(super) at: u64,
    /// The offset in the value at which each append ends.
    pub(super) ends: Arc<[u64]>,
    /// The index of the current append.
    pub(super) next: usize,
}

impl Pieces {
    /// Everything in the value from `at` on, as one append.
    pub(super) fn of_one(shown: Key, value: Value, at: u64) -> Self {
        Self {
            shown,
            at,
            ends: Arc::new([value.len()]),
            next: 0,
            value,
        }
    }

    fn page(&self, context: &Context<'_>, visits: usize) -> Result<Page, Fault> {
        let (mut at, mut next) = (self.at, self.next);
        let mut to = Collector::new(context, visits);
        while let Some(end) = self.ends.get(next).copied() {
            if to.full() {
                break;
            }
            let stop = end.min(at + CHANGE_VALUE_BYTES);
            let mut one = change(&self.shown, ChangeKind::Append, ChangeValue::None);
            one.appended = Some(self.value.read(context.source, at..stop)?);
            (one.offset, one.more) = (Some(at), stop < end);
            to.push(one);
            at = stop;
            next += usize::from(stop == end);
        }
        let rest = (next < self.ends.len()).then(|| {
            ChangeSource::Pieces(Pieces {
                at,
                next,
                ..self.clone()
            })
        });
        let visits = 1 + to.found.len();
        Ok(Page::of(to, rest, visits))
    }
}
