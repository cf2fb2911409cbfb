//! Walks over a tree, or over two trees side by side, in bounded steps.
//!
//! The order is that of keys: a directory before its content, names sorted. A step ends after a
//! number of *visits*, whether anything matched or not, and reports the key after which to
//! continue: copying is O(1), so a small store can hold 2^40 entries. A walk can continue after any
//! key, so it needs no memory between steps. It buffers one page per level and never recurses. If a
//! directory is missing, it also reports those of the next siblings that are. If only a few names
//! are relevant, it looks these up instead of reading the whole directory.
//!
//! A visit represents about 100 ns of work. An entry is one visit; matching it against many or long
//! scopes, and long keys, count as more, see [`Effort`].

use std::collections::VecDeque;

use smol_str::SmolStr;

use crate::edit::with_more;
use crate::key::Key;
use crate::limits::{KEY_BYTES, MISSING_REPORTED, PAGE_ENTRIES};
use crate::scope::Scope;
use crate::source::Fault;

/// Number of key or directory scopes tested against a key per visit.
const PLAIN_SCOPES_A_VISIT: usize = 8;

/// Number of key bytes copied per visit.
const KEY_BYTES_A_VISIT: usize = 256;

/// Number of entries read ahead per visit. Each counts again when the walk visits it.
const ENTRIES_READ_A_VISIT: usize = 8;

/// Number of pairs of a key byte and a glob byte compared per visit.
const GLOB_PAIRS_A_VISIT: usize = 1024;

/// The budget of one step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Maximum number of items in the page.
    pub items: usize,
    /// The number of visits after which the step ends. At least one entry is visited in any case.
    pub visits: usize,
}

impl Bounds {
    /// A page of up to `items`, with unlimited visits. Only for trees known to be small.
    #[must_use]
    pub fn items(items: usize) -> Self {
        Self {
            items,
            visits: usize::MAX,
        }
    }
}

/// The result of one step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in walk order. May be empty although more follow.
    pub items: Vec<T>,
    /// The key after which to continue; `None` at the end.
    pub next: Option<Key>,
    /// The number of visits made by the step.
    pub visits: usize,
}

impl<T> Page<T> {
    /// A page without items, at the end of a walk.
    pub(crate) fn empty() -> Self {
        Self {
            items: Vec::new(),
            next: None,
            visits: 0,
        }
    }
}

/// The cost of matching keys against a set of scopes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    plain: usize,
    globs: usize,
    glob_bytes: usize,
}

impl Effort {
    /// The cost of matching against these scopes.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        let mut effort = Self::default();
        for scope in scopes {
            match scope {
                Scope::Key(_) | Scope::Directory(_) => effort.plain += 1,
                Scope::Glob(pattern) => {
                    effort.globs += 1;
                    effort.glob_bytes += pattern.as_str().len();
                }
            }
        }
        effort
    }

    /// The number of visits for matching `key` against all scopes.
    #[must_use]
    pub fn visits(&self, key: &Key) -> usize {
        let bytes = key.as_str().len();
        let pairs = bytes.saturating_mul(self.glob_bytes);
        1 + bytes / KEY_BYTES_A_VISIT
            + self.plain / PLAIN_SCOPES_A_VISIT
            + self.globs
            + pairs / GLOB_PAIRS_A_VISIT
    }

    /// An upper bound of [`visits`](Self::visits) for keys up to [`KEY_BYTES`].
    #[must_use]
    pub fn most_visits(&self) -> usize {
        let pairs = KEY_BYTES.saturating_mul(self.glob_bytes);
        1 + KEY_BYTES / KEY_BYTES_A_VISIT
            + self.plain / PLAIN_SCOPES_A_VISIT
            + self.globs
            + pairs / GLOB_PAIRS_A_VISIT
    }
}

/// How to walk: `D` is a directory (or a pair of them), `E` an entry in it (or a pair of them).
pub(crate) struct Walk<'a, D, E> {
    /// Entries in name order, starting after the given name; fewer than requested only at the end.
    pub(crate) page: PageOf<'a, D, E>,
    /// The entry with a name.
    pub(crate) get: GetOf<'a, D, E>,
    /// The directory to enter at this key, if it exists and is relevant.
    pub(crate) enter: &'a dyn Fn(&Key, &E) -> Option<D>,
    /// The only relevant names in the directory at this key, sorted, if they are known.
    pub(crate) names: &'a dyn Fn(&Key) -> Option<Vec<SmolStr>>,
    /// Maximum number of entries to read ahead in each directory.
    pub(crate) ahead: usize,
    /// The cost of deciding whether a key is relevant.
    pub(crate) effort: Effort,
}

/// Entries, in name order.
pub(crate) type Entries<E> = Result<Vec<(SmolStr, E)>, Fault>;

/// The end of one step.
pub(crate) struct Walked {
    /// The key after which to continue; `None` at the end.
    pub(crate) next: Option<Key>,
    pub(crate) visits: usize,
}

/// See [`Walk::page`].
pub(crate) type PageOf<'a, D, E> = &'a dyn Fn(&D, Option<&str>, usize) -> Entries<E>;

/// See [`Walk::get`].
pub(crate) type GetOf<'a, D, E> = &'a dyn Fn(&D, &str) -> Result<Option<E>, Fault>;

/// Minimum number of entries read ahead. Not just a few, as a scope may exclude most of them.
const AHEAD_MIN: usize = PAGE_ENTRIES / 8;

/// How many entries to read ahead for a page of `limit`.
pub(crate) fn ahead(limit: usize) -> usize {
    limit.clamp(AHEAD_MIN, PAGE_ENTRIES)
}

/// A directory on the current path of the walk.
struct Level<D, E> {
    key: Key,
    directory: D,
    /// The last name read into the buffer.
    last: Option<SmolStr>,
    buffer: VecDeque<(SmolStr, E)>,
    /// The number of entries to read next. Few at first: a step may end before it needs more.
    ahead: usize,
    complete: bool,
}

impl<D, E> Walk<'_, D, E> {
    /// Passes everything below `top` (the directory at `key`) to `visit`, starting after `after`,
    /// until the end, until `visit` returns false, or until `most` visits are made.
    pub(crate) fn run(
        &self,
        key: &Key,
        top: D,
        after: Option<&Key>,
        most: usize,
        visit: &mut dyn FnMut(Key, E) -> bool,
    ) -> Result<Walked, Fault> {
        let after = after.filter(|after| *after > key);
        let (mut next, mut visits) = (None, 0_usize);
        if after.is_some_and(|after| !after.starts_with(key)) {
            return Ok(Walked { next, visits });
        }
        let mut levels = self.resume(key, top, after)?;
        visits += levels.len();
        while let Some(level) = levels.last_mut() {
            let Some((name, entry)) = level.buffer.pop_front() else {
                if level.complete {
                    levels.pop();
                } else {
                    visits = visits.saturating_add(self.effort.visits(&level.key));
                    visits = visits.saturating_add(self.fill(&mut levels)?);
                }
                continue;
            };
            let key = level.key.child(&name)?;
            visits = visits.saturating_add(self.effort.visits(&key));
            let below = (self.enter)(&key, &entry).map(|below| Level::new(key.clone(), below));
            let here = key.clone();
            let on = visit(key, entry);
            levels.extend(below);
            if !on || visits >= most {
                next = levels.iter().any(Level::goes_on).then_some(here);
                break;
            }
        }
        Ok(Walked { next, visits })
    }

    /// The levels of a walk that has just visited `after`.
    fn resume(&self, key: &Key, top: D, after: Option<&Key>) -> Result<Vec<Level<D, E>>, Fault> {
        let mut levels = Vec::new();
        let mut next = Some(Level::new(key.clone(), top));
        let rest = after.map_or(Key::ROOT, |after| after.suffix(key.depth()));
        for name in rest.names() {
            let Some(mut level) = next.take() else { break };
            let key = level.key.child(name)?;
            if let Some(entry) = (self.get)(&level.directory, name)? {
                next = (self.enter)(&key, &entry).map(|below| Level::new(key, below));
            }
            level.last = Some(name.into());
            levels.push(level);
        }
        levels.extend(next);
        Ok(levels)
    }

    /// Reads the next page of the innermost level; returns the visits that this took.
    fn fill(&self, levels: &mut [Level<D, E>]) -> Result<usize, Fault> {
        let Some((level, outer)) = levels.split_last_mut() else {
            return Ok(0);
        };
        let names = (self.names)(&level.key);
        let asked = names.as_ref().map_or(0, Vec::len);
        let page = match self.read(level, names) {
            Ok(page) => page,
            Err(fault) => {
                let siblings = outer.last().into_iter().flat_map(|parent| {
                    parent.buffer.iter().filter_map(|(name, entry)| {
                        let key = parent.key.child(name).ok()?;
                        let directory = (self.enter)(&key, entry)?;
                        let names = (self.names)(&key);
                        Some(self.read(&Level::new(key, directory), names))
                    })
                });
                return Err(with_more(fault, MISSING_REPORTED, siblings));
            }
        };
        let read = page.len() / ENTRIES_READ_A_VISIT;
        level.complete = page.len() < level.ahead;
        level.ahead = (level.ahead * 2).min(self.ahead);
        if let Some((name, _)) = page.last() {
            level.last = Some(name.clone());
        }
        level.buffer = page.into();
        Ok(asked + read)
    }
}

impl<D, E> Walk<'_, D, E> {
    /// A page of the directory after the last name: of `names`, or of all entries.
    fn read(&self, level: &Level<D, E>, names: Option<Vec<SmolStr>>) -> Entries<E> {
        let after = level.last.as_deref();
        let Some(names) = names else {
            return (self.page)(&level.directory, after, level.ahead);
        };
        let mut page = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| after.is_none_or(|after| after < name.as_str()))
        {
            if page.len() >= level.ahead {
                break;
            }
            if let Some(entry) = (self.get)(&level.directory, &name)? {
                page.push((name, entry));
            }
        }
        Ok(page)
    }
}

impl<D, E> Level<D, E> {
    fn new(key: Key, directory: D) -> Self {
        Level {
            key,
            directory,
            last: None,
            buffer: VecDeque::new(),
            ahead: AHEAD_MIN,
            complete: false,
        }
    }

    /// Whether this level may have further entries.
    fn goes_on(&self) -> bool {
        !self.complete || !self.buffer.is_empty()
    }
}
