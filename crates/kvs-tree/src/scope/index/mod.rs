//! An index of many compiled patterns.
//!
//! Patterns share common prefixes: they form a tree whose edges are names, wildcards, and
//! characters within a name. Matching a key follows all nodes that it can be at (`search`), so the
//! cost depends on the nodes alive on the way, not on the number of patterns. Adding or removing a
//! pattern costs its length.

mod edge;

mod search;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use self::edge::{Edge, Step, steps};
use super::glob::GlobPattern;

pub use search::PatternSearch;

/// Marks the absence of a node.
const NONE: u32 = u32::MAX;

/// The node where every pattern begins.
const ROOT: u32 = 0;

/// Identifies a pattern in a [`PatternIndex`]. Valid until the pattern is removed and
/// [`PatternIndex::tidy`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatternId(u32);

#[derive(Debug)]
struct Node<T> {
    edge: Edge,
    parent: u32,
    first_child: u32,
    next: u32,
    previous: u32,
    /// Kinds of the edges to children. May include the kind of a removed edge.
    kinds: u8,
    value: Option<T>,
}

impl<T> Node<T> {
    fn new(edge: Edge, parent: u32) -> Self {
        Self {
            edge,
            parent,
            first_child: NONE,
            next: NONE,
            previous: NONE,
            kinds: 0,
            value: None,
        }
    }
}

/// A map from patterns to values, searched by key. Equal patterns share one entry.
#[derive(Debug)]
pub struct PatternIndex<T> {
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    /// Every node except the root, by parent and edge.
    children: HashTable<u32>,
    hasher: RandomState,
    /// Children reached by a character class, by parent.
    classes: HashMap<u32, Vec<u32>>,
    /// Nodes whose value has been removed since the last [`tidy`](Self::tidy).
    vacant: Vec<u32>,
    len: usize,
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::new(Edge::Root, NONE)],
            free: Vec::new(),
            children: HashTable::new(),
            hasher: RandomState::new(),
            classes: HashMap::new(),
            vacant: Vec::new(),
            len: 0,
        }
    }
}

impl<T> PatternIndex<T> {
    /// The number of distinct patterns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no patterns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of a pattern, if it is in the index. Costs the pattern's length.
    #[must_use]
    pub fn find(&self, pattern: &GlobPattern) -> Option<PatternId> {
        let mut at = ROOT;
        for step in steps(pattern) {
            at = self.child(at, step)?;
        }
        self.node(at)?.value.as_ref().map(|_| PatternId(at))
    }

    /// The value of a pattern; `None` once it is removed.
    #[must_use]
    pub fn get(&self, id: PatternId) -> Option<&T> {
        self.node(id.0)?.value.as_ref()
    }

    /// Mutable access to the value of a pattern.
    pub fn get_mut(&mut self, id: PatternId) -> Option<&mut T> {
        self.nodes.get_mut(id.0 as usize)?.value.as_mut()
    }

    /// Sets the value of a pattern and returns the previous one.
    pub fn insert(&mut self, pattern: &GlobPattern, value: T) -> Option<T> {
        let mut at = ROOT;
        for step in steps(pattern) {
            at = match self.child(at, step) {
                Some(child) => child,
                None => self.grow(at, step),
            };
        }
        let old = self.nodes.get_mut(at as usize)?.value.replace(value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes a pattern. Its node stays until [`tidy`](Self::tidy), so searches in progress remain
    /// valid.
    pub fn remove(&mut self, id: PatternId) -> Option<T> {
        let old = self.nodes.get_mut(id.0 as usize)?.value.take()?;
        self.len -= 1;
        self.vacant.push(id.0);
        Some(old)
    }

    /// Frees the nodes of removed patterns. Must not be called while a search is in progress.
    pub fn tidy(&mut self) {
        if self.len == 0 && self.nodes.len() > 1 {
            // Release the memory that a burst of patterns took.
            *self = Self::default();
        }
        while let Some(mut at) = self.vacant.pop() {
            while at != ROOT
                && let Some(node) = self.node(at)
                && node.value.is_none()
                && node.first_child == NONE
                && node.parent != NONE
            {
                let parent = node.parent;
                self.prune(at);
                at = parent;
            }
        }
    }

    /// The number of patterns removed since the last [`tidy`](Self::tidy).
    #[must_use]
    pub fn removed(&self) -> usize {
        self.vacant.len()
    }

    /// The number of nodes in use, for tests and measurements.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    fn node(&self, id: u32) -> Option<&Node<T>> {
        self.nodes.get(id as usize)
    }

    fn hash(&self, parent: u32, step: Step<'_>) -> u64 {
        self.hasher.hash_one((parent, step))
    }

    fn child(&self, parent: u32, step: Step<'_>) -> Option<u32> {
        let hash = self.hash(parent, step);
        let is_it = |id: &u32| {
            self.node(*id)
                .is_some_and(|node| node.parent == parent && node.edge.step() == Some(step))
        };
        self.children.find(hash, is_it).copied()
    }

    /// Adds a child that does not exist yet.
    fn grow(&mut self, parent: u32, step: Step<'_>) -> u32 {
        let mut node = Node::new(step.edge(), parent);
        let id = self.free.pop().unwrap_or(self.nodes.len() as u32);
        if let Some(above) = self.nodes.get_mut(parent as usize) {
            above.kinds |= step.kind();
            node.next = std::mem::replace(&mut above.first_child, id);
        }
        if let Some(sibling) = self.nodes.get_mut(node.next as usize) {
            sibling.previous = id;
        }
        match self.nodes.get_mut(id as usize) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        if matches!(step, Step::Class(_)) {
            self.classes.entry(parent).or_default().push(id);
        }
        let hash = self.hash(parent, step);
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.children.insert_unique(hash, id, |id| {
            let node = nodes.get(*id as usize);
            let known = node.and_then(|node| Some((node.parent, node.edge.step()?)));
            known.map_or(0, |known| hasher.hash_one(known))
        });
        id
    }

    /// Removes a node that has no value and no children.
    fn prune(&mut self, id: u32) {
        let Some(place) = self.nodes.get_mut(id as usize) else {
            return;
        };
        let node = std::mem::replace(place, Node::new(Edge::Root, NONE));
        if let Some(step) = node.edge.step() {
            let hash = self.hash(node.parent, step);
            if let Ok(entry) = self.children.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
        }
        if matches!(node.edge, Edge::Class(_))
            && let Some(classes) = self.classes.get_mut(&node.parent)
        {
            classes.retain(|other| *other != id);
            if classes.is_empty() {
                self.classes.remove(&node.parent);
            }
        }
        if let Some(next) = self.nodes.get_mut(node.next as usize) {
            next.previous = node.previous;
        }
        if let Some(previous) = self.nodes.get_mut(node.previous as usize) {
            previous.next = node.next;
        } else if let Some(parent) = self.nodes.get_mut(node.parent as usize) {
            parent.first_child = node.next;
            if node.next == NONE {
                parent.kinds = 0;
            }
        }
        self.free.push(id);
    }
}

#[cfg(test)]
mod tests;
