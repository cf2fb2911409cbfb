//! Walking a tree, or two trees side by side, in pages.
//!
//! The order is that of keys: a directory before what is in it, names sorted. A walk goes on
//! behind any key, so it needs no memory between pages. It keeps one buffered page for each level,
//! never recurses, and when a directory is not at hand asks for its next siblings too. Where only a
//! few names can be of interest it asks for these instead of reading all.

use std::collections::VecDeque;

use smol_str::SmolStr;

use crate::edit::with_more;
use crate::key::Key;
use crate::limits::{MISSING_REPORTED, PAGE_ENTRIES};
use crate::source::Fault;

/// How to walk: `D` is a directory (or a pair of them), `E` what stands in it under one name.
pub(crate) struct Walk<'a, D, E> {
    /// Entries in order of names behind the given one; fewer than asked for only at the end.
    pub(crate) page: PageOf<'a, D, E>,
    /// The entry of one name.
    pub(crate) get: GetOf<'a, D, E>,
    /// The directory to go into at this key, if there is one and it is of interest.
    pub(crate) enter: &'a dyn Fn(&Key, &E) -> Option<D>,
    /// The only names of interest in the directory at this key, sorted, if they are known.
    pub(crate) names: &'a dyn Fn(&Key) -> Option<Vec<SmolStr>>,
    /// How many entries to read ahead in each directory.
    pub(crate) ahead: usize,
}

/// Some entries, in order of names.
pub(crate) type Page<E> = Result<Vec<(SmolStr, E)>, Fault>;

/// See [`Walk::page`].
pub(crate) type PageOf<'a, D, E> = &'a dyn Fn(&D, Option<&str>, usize) -> Page<E>;

/// See [`Walk::get`].
pub(crate) type GetOf<'a, D, E> = &'a dyn Fn(&D, &str) -> Result<Option<E>, Fault>;

/// How far to read ahead for a page of this size. Never only a few: a scope may leave out most.
pub(crate) fn ahead(limit: usize) -> usize {
    limit.clamp(PAGE_ENTRIES / 8, PAGE_ENTRIES)
}

/// A directory that the walk is in.
struct Level<D, E> {
    key: Key,
    directory: D,
    /// The last name that was taken into the buffer.
    last: Option<SmolStr>,
    buffer: VecDeque<(SmolStr, E)>,
    complete: bool,
}

impl<D, E> Walk<'_, D, E> {
    /// Hands what is below `top` (the directory at `key`) to `visit`, from the first behind
    /// `after`, until there is no more or it says false.
    pub(crate) fn run(
        &self,
        key: &Key,
        top: D,
        after: Option<&Key>,
        visit: &mut dyn FnMut(Key, E) -> bool,
    ) -> Result<(), Fault> {
        let after = after.filter(|after| *after > key);
        if after.is_some_and(|after| !after.starts_with(key)) {
            return Ok(());
        }
        let mut levels = self.resume(key, top, after)?;
        while let Some(level) = levels.last_mut() {
            let Some((name, entry)) = level.buffer.pop_front() else {
                if level.complete {
                    levels.pop();
                } else {
                    self.fill(&mut levels)?;
                }
                continue;
            };
            let key = level.key.child(&name)?;
            let below = (self.enter)(&key, &entry).map(|below| Level::new(key.clone(), below));
            if !visit(key, entry) {
                break;
            }
            levels.extend(below);
        }
        Ok(())
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

    /// Reads the next page of the innermost level.
    fn fill(&self, levels: &mut [Level<D, E>]) -> Result<(), Fault> {
        let Some((level, outer)) = levels.split_last_mut() else {
            return Ok(());
        };
        let page = match self.read(level) {
            Ok(page) => page,
            Err(fault) => {
                let siblings = outer.last().into_iter().flat_map(|parent| {
                    parent.buffer.iter().filter_map(|(name, entry)| {
                        let key = parent.key.child(name).ok()?;
                        let directory = (self.enter)(&key, entry)?;
                        Some(self.read(&Level::new(key, directory)))
                    })
                });
                return Err(with_more(fault, MISSING_REPORTED, siblings));
            }
        };
        level.complete = page.len() < self.ahead;
        if let Some((name, _)) = page.last() {
            level.last = Some(name.clone());
        }
        level.buffer = page.into();
        Ok(())
    }
}

impl<D, E> Walk<'_, D, E> {
    /// A page of the directory behind the last name.
    fn read(&self, level: &Level<D, E>) -> Page<E> {
        let after = level.last.as_deref();
        let Some(names) = (self.names)(&level.key) else {
            return (self.page)(&level.directory, after, self.ahead);
        };
        let mut page = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| after.is_none_or(|after| after < name.as_str()))
        {
            if page.len() >= self.ahead {
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
            complete: false,
        }
    }
}
