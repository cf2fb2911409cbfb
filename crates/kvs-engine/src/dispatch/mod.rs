//! Finds the watches that a version wakes: an index over scopes, and a matcher that follows the
//! published version in slices.
//!
//! A version costs the names of its keys, the pattern nodes alive on their way, and the watches it
//! wakes. Idle watches elsewhere cost nothing (`prefix_bloom`), nor do watches that already have a
//! hit (`groups`). For each watch the index holds its wake and its *hit*, the first unread version
//! that may concern it; there is no queue. Not thread-safe: the owner locks it.
//!
//! A watch is idle or has a hit. When it becomes idle it has read at least up to the version that
//! is being matched (`begun`), and it is armed at all its scopes. So the matcher finds it for later
//! versions, and a version that it has read does not wake it.

mod wake;

mod slots;

mod groups;

mod cursor;

mod plain;

use std::sync::Arc;

use kvs_tree::{PatternIndex, Scope};

use self::cursor::{Cursor, FOUND, Flood, Progress, Stage};
use self::groups::{Groups, Holder};
use self::plain::PlainIndex;
use self::slots::Slots;
use crate::limits::PATTERNS_REMOVED;
use crate::state::VersionRecord;

pub(crate) use slots::WatchNumber;
pub use wake::WakeSink;
pub(crate) use wake::{Slice, Wake, reaches_below};

/// Watches of one namespace that are matched together.
#[derive(Default)]
pub(crate) struct Dispatch {
    plain: PlainIndex,
    patterns: PatternIndex<Holder>,
    groups: Groups,
    slots: Slots,
    cursor: Cursor,
}

impl Dispatch {
    /// Adds a watch that has read everything up to `read`; `published` is the newest version.
    pub(crate) fn add(
        &mut self,
        scopes: &[Scope],
        read: u64,
        published: u64,
        wake: Wake,
    ) -> WatchNumber {
        if self.is_empty() {
            // There were no watches, so nothing up to `published` needs matching.
            *self = Self::default();
            (self.cursor.begun, self.cursor.matched) = (published, published);
        }
        let id = self.slots.add(read.min(published), read < published, wake);
        self.hold(id, scopes);
        id
    }

    /// Registers the watch for more scopes.
    pub(crate) fn hold(&mut self, id: WatchNumber, scopes: &[Scope]) {
        let Self {
            plain,
            patterns,
            groups,
            slots,
            ..
        } = self;
        for scope in scopes {
            match scope {
                Scope::Key(key) => {
                    plain.change(key, false, |old| Some(groups.join(old, id, slots)))
                }
                Scope::Directory(key) => {
                    plain.change(key, true, |old| Some(groups.join(old, id, slots)));
                }
                Scope::Glob(pattern) => {
                    let old = patterns.find(pattern).and_then(|id| patterns.get(id));
                    let new = groups.join(old.copied(), id, slots);
                    patterns.insert(pattern, new);
                }
            }
        }
    }

    /// Undoes [`hold`](Self::hold).
    pub(crate) fn release(&mut self, id: WatchNumber, scopes: &[Scope]) {
        let Self {
            plain,
            patterns,
            groups,
            ..
        } = self;
        for scope in scopes {
            match scope {
                Scope::Key(key) => plain.change(key, false, |old| groups.leave(old?, id)),
                Scope::Directory(key) => plain.change(key, true, |old| groups.leave(old?, id)),
                Scope::Glob(pattern) => {
                    let Some(entry) = patterns.find(pattern) else {
                        continue;
                    };
                    let left = patterns.get(entry).and_then(|old| groups.leave(*old, id));
                    match (left, patterns.get_mut(entry)) {
                        (Some(left), Some(holder)) => *holder = left,
                        _ => drop(patterns.remove(entry)),
                    }
                }
            }
        }
        if self.cursor.progress.is_none() {
            self.tidy();
        } else if self.patterns.removed() > PATTERNS_REMOVED {
            // Removed patterns are kept until the version is matched, and more may come meanwhile.
            self.cursor.give_up = true;
        }
    }

    /// Removes a watch that is registered for exactly `scopes`.
    pub(crate) fn remove(&mut self, id: WatchNumber, scopes: &[Scope]) {
        self.release(id, scopes);
        self.slots.remove(id);
        if self.is_empty() {
            // Free the memory of a burst of watches.
            *self = Self::default();
        }
    }

    /// The first unread version that may concern the watch.
    pub(crate) fn hit(&self, id: WatchNumber) -> Option<u64> {
        self.slots.hit(id)
    }

    /// Notes that the watch has read everything up to `read`; `published` is the newest version.
    /// Only the first hit is stored, so unread versions count as a hit.
    pub(crate) fn settle(&mut self, id: WatchNumber, read: u64, published: u64) {
        if read < published {
            self.slots.set_hit(id, read + 1);
        } else {
            self.slots.set_idle(id, read);
            self.groups.arm(id, read);
        }
    }

    /// Sets a hit for an idle watch that has read up to `read` if there are published versions that
    /// are not matched yet, so that the watch examines them itself; false if there are none.
    pub(crate) fn run_ahead(&mut self, id: WatchNumber, read: u64, published: u64) -> bool {
        let done = read.max(self.cursor.matched);
        if done >= published || self.slots.hit(id).is_some() {
            return false;
        }
        self.slots.set_hit(id, done + 1);
        true
    }

    /// The wake of the watch.
    pub(crate) fn wake_of(&self, id: WatchNumber) -> Option<Wake> {
        self.slots.wake_of(id)
    }

    /// Every version up to this one was matched: it does not concern watches without a hit.
    pub(crate) fn matched(&self) -> u64 {
        self.cursor.matched
    }

    /// Wakes all watches, for the end of the namespace or a change of rights.
    pub(crate) fn wake_everybody(&mut self) {
        self.cursor.everybody = Some(0);
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`advance`](Self::advance) has work to do.
    pub(crate) fn is_behind(&self, published: u64) -> bool {
        !self.is_empty() && (self.cursor.matched < published || self.cursor.everybody.is_some())
    }

    /// Matches versions up to `published`, within one slice; true when finished. `record` returns
    /// the record of a version if it is in memory. If it is not, or if more than `lag` versions
    /// wait, the waiting versions count as concerning every watch, and each watch examines them
    /// itself.
    pub(crate) fn advance(
        &mut self,
        published: u64,
        lag: u64,
        record: impl Fn(u64) -> Option<Arc<VersionRecord>>,
        slice: &mut Slice,
    ) -> bool {
        while self.is_behind(published) {
            if slice.is_over() {
                return false;
            }
            if let Some(at) = self.cursor.everybody {
                let wake = |slots: &mut Slots, id, slice: &mut Slice| {
                    if let Some(wake) = slots.wake_of(id) {
                        slice.wake(wake);
                    }
                };
                self.cursor.everybody = self.slots.sweep(at, slice, wake);
                continue;
            }
            if let Some(flood) = self.cursor.flood {
                self.flood(flood, slice);
                continue;
            }
            if self.cursor.give_up || published - self.cursor.matched > lag {
                self.overflow(published);
                continue;
            }
            if let Some(mut progress) = self.cursor.progress.take() {
                if !self.match_record(&mut progress, slice) {
                    self.cursor.progress = Some(progress);
                    return false;
                }
                self.cursor.matched = self.cursor.begun;
                self.tidy();
                continue;
            }
            let next = self.cursor.matched + 1;
            match record(next) {
                Some(record) => {
                    self.cursor.begun = next;
                    self.cursor.progress = Some(Progress::new(record));
                }
                None => self.overflow(published),
            }
        }
        true
    }

    /// Stops matching and treats the waiting versions as concerning every watch.
    fn overflow(&mut self, published: u64) {
        if let Some(drain) = self.cursor.progress.take().and_then(|one| one.drain) {
            self.groups.give_up(&drain);
        }
        self.tidy();
        self.cursor.give_up = false;
        self.cursor.begun = published;
        self.cursor.flood = Some(Flood {
            at: 0,
            from: self.cursor.matched + 1,
            upto: published,
        });
    }

    fn flood(&mut self, flood: Flood, slice: &mut Slice) {
        let Flood { at, from, upto } = flood;
        let touch = |slots: &mut Slots, id, slice: &mut Slice| {
            if let Some(read) = slots.read(id)
                && read < upto
            {
                slots.touch(id, from.max(read + 1), slice);
            }
        };
        match self.slots.sweep(at, slice, touch) {
            Some(at) => self.cursor.flood = Some(Flood { at, ..flood }),
            None => {
                self.cursor.flood = None;
                self.cursor.matched = upto;
            }
        }
    }

    /// Continues with a version; true when it is finished.
    fn match_record(&mut self, progress: &mut Progress, slice: &mut Slice) -> bool {
        let record = progress.record.clone();
        loop {
            if !self.wake_found(progress, slice) || slice.is_over() {
                return false;
            }
            let Some(effect) = progress.effect(&record) else {
                return true;
            };
            let (key, below) = (effect.key(), reaches_below(effect));
            match &progress.stage {
                Stage::At => {
                    self.plain.at(key, slice, &mut progress.found);
                    if below && !self.plain.is_empty() {
                        progress.stage = Stage::Below(key.clone());
                    } else {
                        self.patterns.begin(&mut self.cursor.search, key, below);
                        progress.stage = Stage::Patterns;
                    }
                }
                Stage::Below(after) => {
                    match self.plain.below(key, after, slice, &mut progress.found) {
                        Some(after) => progress.stage = Stage::Below(after),
                        None => {
                            self.patterns.begin(&mut self.cursor.search, key, below);
                            progress.stage = Stage::Patterns;
                        }
                    }
                }
                Stage::Patterns => {
                    let (patterns, search) = (&self.patterns, &mut self.cursor.search);
                    let found = &mut progress.found;
                    // Wake the watches found before searching for many more.
                    let some = slice.visits.min(FOUND);
                    let mut left = some;
                    let done = patterns.search(search, &mut left, |id| {
                        found.extend(patterns.get(id));
                    });
                    slice.visits -= some - left;
                    if done {
                        progress.next_effect();
                    }
                }
            }
        }
    }

    /// Wakes the watches found; false if the slice ended first.
    fn wake_found(&mut self, progress: &mut Progress, slice: &mut Slice) -> bool {
        let version = progress.record.version;
        loop {
            if let Some(drain) = &mut progress.drain {
                if !self.groups.drain(drain, version, &mut self.slots, slice) {
                    return false;
                }
                progress.drain = None;
            }
            if slice.is_over() && !progress.found.is_empty() {
                return false;
            }
            match progress.found.pop() {
                None => return true,
                Some(Holder::One(id)) => self.slots.touch(id, version, slice),
                Some(Holder::Group(group)) => progress.drain = self.groups.touch(group, version),
            }
        }
    }

    /// Reclaims what was removed while a version was being matched.
    fn tidy(&mut self) {
        self.patterns.tidy();
        self.groups.tidy();
    }
}

#[cfg(test)]
mod tests;
