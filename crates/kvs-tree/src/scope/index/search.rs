//! A key is looked for in an index of patterns, in slices.
//!
//! What is alive after some names is a list of nodes. The next name is fed to all of them: whole
//! names and `*` alone lead on at once, patterns within the name are followed character by
//! character. `**` and `*` are nodes that stay alive. No node is listed twice, so a slice is a
//! number of visits and nothing is done twice when it goes on.

use super::edge::{Edge, Step, kind};
use super::{NONE, PatternId, PatternIndex, ROOT};
use crate::key::Key;
use crate::scope::name::Token;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The name is fed to the nodes of `alive`.
    Name,
    /// A character is fed to the nodes of `inner`.
    Char,
    /// The name is over: nodes of `inner` that may end there.
    End,
    /// The key is over: nodes of `alive` that hold a pattern.
    Found,
    /// Everything below a node of `alive`.
    Below,
    #[default]
    Done,
}

/// How far a search has come. Used again for the next one.
#[derive(Debug, Default)]
pub struct PatternSearch {
    key: Option<Key>,
    below: bool,
    phase: Phase,
    /// Where in the key the name begins, and where the next character.
    start: usize,
    offset: usize,
    /// The next node of the list that is being visited.
    at: usize,
    /// Nodes that the names so far can have led to, and those that the next name leads to.
    alive: Vec<u32>,
    next: Vec<u32>,
    /// The same within a name, by characters.
    inner: Vec<u32>,
    inner_next: Vec<u32>,
    /// The node of `alive` whose subtree is walked, and where the walk is.
    walk: (u32, u32),
    /// When each node was last put into a list.
    seen: Vec<u32>,
    /// Numbers the lists.
    stamp: u32,
    stamp_alive: u32,
    stamp_next: u32,
    stamp_inner: u32,
}

impl PatternSearch {
    /// Whether a search is under way.
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

    /// Notes that a node is in the list with this stamp; false if it was there already.
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
    /// Begins to look for the patterns that match `key` and, with `below`, those that may match a
    /// key below it. A search that was under way is given up.
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

    /// Goes on with a search for at most `visits` nodes, which are counted down; true when it is
    /// done. Each entry is found once.
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

    /// All patterns that match the key and, with `below`, may match one below it; at once.
    pub fn matches(&self, search: &mut PatternSearch, key: &Key, below: bool) -> bool {
        self.begin(search, key, below);
        let mut any = false;
        while !any && !self.search(search, &mut 1, |_| any = true) {}
        search.phase = Phase::Done;
        any
    }

    /// The name that is being fed.
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

    /// What the name led to is alive now, and the name after it is fed.
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
            // It is found with those below it.
            return None;
        }
        let walked = search.below && self.is_below_alive(search, id);
        (node.value.is_some() && !walked).then_some(PatternId(id))
    }

    /// Whether a node above this one is alive too, whose walk comes by here.
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

    /// Puts a node at the end of a name into the list for the next name.
    fn reach(&self, search: &mut PatternSearch, id: u32) {
        if !search.mark(id, search.stamp_next) {
            return;
        }
        search.next.push(id);
        // `**` may be no name.
        if self
            .node(id)
            .is_some_and(|node| node.kinds & kind::DEEP != 0)
            && let Some(deep) = self.child(id, Step::Deep)
            && search.mark(deep, search.stamp_next)
        {
            search.next.push(deep);
        }
    }

    /// Puts a node within a name into the list for the next character.
    fn reach_inner(&self, search: &mut PatternSearch, id: u32) {
        if !search.mark(id, search.stamp_inner) {
            return;
        }
        search.inner_next.push(id);
        let kinds = self.node(id).map_or(0, |node| node.kinds);
        self.reach_star(search, id, kinds, false);
    }

    /// `*` may be no character.
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
