//! Incremental search of a pattern index for one key.
//!
//! The state after some names is a list of live nodes. The next name is fed to all of them: whole
//! names and a lone `*` advance at once, patterns within the name advance character by character.
//! Nodes of `**` and `*` stay alive. No node is listed twice, so a budget is a number of visits and
//! resuming repeats no work.

use super::edge::{Edge, Step, kind};
use super::{NONE, PatternId, PatternIndex, ROOT};
use crate::key::Key;
use crate::scope::name::Token;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Feeds the name to the nodes of `alive`.
    Name,
    /// Feeds a character to the nodes of `inner`.
    Char,
    /// At the end of the name: visits the nodes of `inner` that may end here.
    End,
    /// At the end of the key: visits the nodes of `alive` for patterns.
    Found,
    /// Walks the subtree of a node of `alive`.
    Below,
    #[default]
    Done,
}

/// The state of a search. Reusable for the next one.
#[derive(Debug, Default)]
pub struct PatternSearch {
    key: Option<Key>,
    below: bool,
    phase: Phase,
    /// Offsets in the key of the current name and of the next character.
    start: usize,
    offset: usize,
    /// Index of the next node in the list being visited.
    at: usize,
    /// Nodes reached by the names so far, and those reached by the current name.
    alive: Vec<u32>,
    next: Vec<u32>,
    /// The same within a name, by character.
    inner: Vec<u32>,
    inner_next: Vec<u32>,
    /// The node of `alive` whose subtree is walked, and the position of the walk.
    walk: (u32, u32),
    /// The list that each node was last added to, by stamp.
    seen: Vec<u32>,
    /// Stamps, which number the lists.
    stamp: u32,
    stamp_alive: u32,
    stamp_next: u32,
    stamp_inner: u32,
}

impl PatternSearch {
    /// Whether a search is in progress.
    #[must_use]
    pub(crate) fn is_under_way(&self) -> bool {
        self.phase != Phase::Done
    }

    fn text(&self) -> &str {
        match &self.key {
            Some(key) if !key.is_root() => key.as_str(),
            _ => "",
        }
    }

    fn new_stamp(&mut self) -> u32 {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.seen.fill(0);
            self.stamp = 1;
        }
        self.stamp
    }

    /// Records that a node is in the list with this stamp. Returns false if it already was.
    fn mark(&mut self, node: u32, stamp: u32) -> bool {
        let at = node as usize;
        if self.seen.len() <= at {
            self.seen.resize(at + 1, 0);
        }
        let Some(seen) = self.seen.get_mut(at) else {
            return false;
        };
        std::mem::replace(seen, stamp) != stamp
    }

    fn has_mark(&self, node: u32, stamp: u32) -> bool {
        self.seen.get(node as usize) == Some(&stamp)
    }
}

impl<T> PatternIndex<T> {
    /// Starts a search for the patterns that match `key` and, with `below`, those that may match a
    /// key below it. Abandons a search in progress.
    pub fn begin(&self, search: &mut PatternSearch, key: &Key, below: bool) {
        search.phase = Phase::Done;
        if self.is_empty() {
            return;
        }
        search.key = Some(key.clone());
        search.below = below;
        search.start = 0;
        search.next.clear();
        search.inner.clear();
        search.stamp_next = search.new_stamp();
        self.reach(search, ROOT);
        self.next_name(search, 0);
    }

    /// Continues a search for at most `visits` nodes, which are counted down. Returns true when the
    /// search is done. Each pattern is found once.
    pub fn search(
        &self,
        search: &mut PatternSearch,
        visits: &mut usize,
        mut found: impl FnMut(PatternId),
    ) -> bool {
        while search.is_under_way() {
            if *visits == 0 {
                return false;
            }
            *visits -= 1;
            match search.phase {
                Phase::Name => self.feed_name(search),
                Phase::Char => self.feed_char(search, visits),
                Phase::End => self.end_name(search),
                Phase::Found => {
                    if let Some(id) = self.take_found(search) {
                        found(id);
                    }
                }
                Phase::Below => {
                    if let Some(id) = self.take_below(search) {
                        found(id);
                    }
                }
                Phase::Done => {}
            }
        }
        true
    }

    /// Whether any pattern matches `key` or, with `below`, may match a key below it. Not
    /// incremental.
    pub fn matches(&self, search: &mut PatternSearch, key: &Key, below: bool) -> bool {
        self.begin(search, key, below);
        let mut any = false;
        while !any && !self.search(search, &mut 1, |_| any = true) {}
        search.phase = Phase::Done;
        any
    }

    /// The name being fed.
    fn name<'a>(&self, search: &'a PatternSearch) -> &'a str {
        let rest = search.text().get(search.start..).unwrap_or("");
        rest.split('.').next().unwrap_or("")
    }

    fn feed_name(&self, search: &mut PatternSearch) {
        let Some(&id) = search.alive.get(search.at) else {
            if search.inner.is_empty() {
                let length = self.name(search).len();
                return self.next_name(search, length);
            }
            (search.phase, search.at, search.offset) = (Phase::Char, 0, search.start);
            search.stamp_inner = search.new_stamp();
            return;
        };
        search.at += 1;
        let Some(node) = self.node(id) else { return };
        if matches!(node.edge, Edge::Deep) {
            self.reach(search, id);
        }
        if node.kinds & kind::NAME != 0
            && let Some(child) = self.child(id, Step::Name(self.name(search)))
        {
            self.reach(search, child);
        }
        if node.kinds & kind::ANY_NAME != 0
            && let Some(child) = self.child(id, Step::AnyName)
        {
            self.reach(search, child);
        }
        if node.kinds & kind::IN_NAME != 0 {
            search.inner.push(id);
            self.reach_star(search, id, node.kinds, true);
        }
    }

    fn feed_char(&self, search: &mut PatternSearch, visits: &mut usize) {
        let name_end = search.start + self.name(search).len();
        let here = search.text().get(search.offset..name_end).unwrap_or("");
        let Some(c) = here.chars().next() else {
            (search.phase, search.at) = (Phase::End, 0);
            return;
        };
        let Some(&id) = search.inner.get(search.at) else {
            std::mem::swap(&mut search.inner, &mut search.inner_next);
            search.inner_next.clear();
            search.offset += c.len_utf8();
            search.at = 0;
            search.stamp_inner = search.new_stamp();
            if search.inner.is_empty() {
                self.next_name(search, name_end - search.start);
            }
            return;
        };
        search.at += 1;
        let Some(node) = self.node(id) else { return };
        if matches!(node.edge, Edge::Star) {
            self.reach_inner(search, id);
        }
        if node.kinds & kind::CHAR != 0
            && let Some(child) = self.child(id, Step::Char(c))
        {
            self.reach_inner(search, child);
        }
        if node.kinds & kind::ANY_CHAR != 0
            && let Some(child) = self.child(id, Step::AnyChar)
        {
            self.reach_inner(search, child);
        }
        if node.kinds & kind::CLASS != 0 {
            let classes = self.classes.get(&id).map_or(&[] as &[u32], |all| all);
            *visits = visits.saturating_sub(classes.len());
            for &child in classes {
                let takes = |token: &Token| token.takes(c);
                let node = self.node(child);
                if node.is_some_and(|n| matches!(&n.edge, Edge::Class(t) if takes(t))) {
                    self.reach_inner(search, child);
                }
            }
        }
    }

    fn end_name(&self, search: &mut PatternSearch) {
        let Some(&id) = search.inner.get(search.at) else {
            let length = self.name(search).len();
            return self.next_name(search, length);
        };
        search.at += 1;
        if self
            .node(id)
            .is_some_and(|node| node.kinds & kind::END != 0)
            && let Some(child) = self.child(id, Step::End)
        {
            self.reach(search, child);
        }
    }

    /// Makes the nodes reached by the name the live ones and proceeds to the next name.
    fn next_name(&self, search: &mut PatternSearch, length: usize) {
        std::mem::swap(&mut search.alive, &mut search.next);
        search.next.clear();
        search.inner.clear();
        search.inner_next.clear();
        search.at = 0;
        search.stamp_alive = search.stamp_next;
        search.stamp_next = search.new_stamp();
        search.stamp_inner = search.new_stamp();
        if length > 0 {
            search.start += length + 1;
        }
        search.phase = if search.alive.is_empty() {
            Phase::Done
        } else if search.start < search.text().len() {
            Phase::Name
        } else {
            Phase::Found
        };
    }

    fn take_found(&self, search: &mut PatternSearch) -> Option<PatternId> {
        let Some(&id) = search.alive.get(search.at) else {
            search.phase = Phase::Done;
            return None;
        };
        search.at += 1;
        let node = self.node(id)?;
        if search.below && node.first_child != NONE && !self.is_below_alive(search, id) {
            search.walk = (id, id);
            search.phase = Phase::Below;
            // The walk below finds this one as well.
            return None;
        }
        let walked = search.below && self.is_below_alive(search, id);
        (node.value.is_some() && !walked).then_some(PatternId(id))
    }

    /// Whether a node above this one is also alive, so that its walk visits this one.
    fn is_below_alive(&self, search: &PatternSearch, id: u32) -> bool {
        let mut above = self.node(id).map_or(NONE, |node| node.parent);
        while let Some(node) = self.node(above) {
            if search.has_mark(above, search.stamp_alive) {
                return true;
            }
            above = node.parent;
        }
        false
    }

    fn take_below(&self, search: &mut PatternSearch) -> Option<PatternId> {
        let (top, at) = search.walk;
        let node = self.node(at)?;
        let found = node.value.is_some().then_some(PatternId(at));
        let mut next = node.first_child;
        let mut up = at;
        while next == NONE && up != top {
            let above = self.node(up)?;
            next = above.next;
            up = above.parent;
        }
        if next == NONE {
            search.phase = Phase::Found;
        }
        search.walk = (top, next);
        found
    }

    /// Adds a node at the end of a name to the list for the next name.
    fn reach(&self, search: &mut PatternSearch, id: u32) {
        if !search.mark(id, search.stamp_next) {
            return;
        }
        search.next.push(id);
        // `**` may match no name.
        if self
            .node(id)
            .is_some_and(|node| node.kinds & kind::DEEP != 0)
            && let Some(deep) = self.child(id, Step::Deep)
            && search.mark(deep, search.stamp_next)
        {
            search.next.push(deep);
        }
    }

    /// Adds a node within a name to the list for the next character.
    fn reach_inner(&self, search: &mut PatternSearch, id: u32) {
        if !search.mark(id, search.stamp_inner) {
            return;
        }
        search.inner_next.push(id);
        let kinds = self.node(id).map_or(0, |node| node.kinds);
        self.reach_star(search, id, kinds, false);
    }

    /// Also adds the `*` below a node, as it may match no character.
    fn reach_star(&self, search: &mut PatternSearch, id: u32, kinds: u8, now: bool) {
        if kinds & kind::STAR != 0
            && let Some(star) = self.child(id, Step::Star)
            && search.mark(star, search.stamp_inner)
        {
            if now {
                search.inner.push(star);
            } else {
                search.inner_next.push(star);
            }
        }
    }
}
