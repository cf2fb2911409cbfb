//! Which watches a commit wakes: a trie by key over the scopes of all watches of a namespace.
//!
//! A commit pays for the names of the keys that it touched, the patterns that share their literal
//! prefix, and the watches that it wakes; idle watches elsewhere cost nothing. For each watch the
//! index holds the first version that may concern it and that it has not read yet (`hit`), and
//! nothing else: no queue. Not thread-safe; its owner holds it under the lock that publishing takes,
//! which is what makes "subscribe at an exact version" exact.

use std::collections::HashMap;
use std::sync::Arc;

use kvs_tree::{Effect, Key, Scope};
use smol_str::SmolStr;

/// Called when a watch may have something to read. Must be cheap and must not block; it is called
/// with no lock held.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Names a watch within its namespace's index.
pub(crate) type WatchId = u64;

struct Registered {
    scopes: Vec<Scope>,
    wake: Wake,
    hit: Option<u64>,
}

#[derive(Default)]
struct TrieNode {
    children: HashMap<SmolStr, TrieNode>,
    /// Watches of exactly this key.
    exact: Vec<WatchId>,
    /// Watches of this key and everything below it.
    below: Vec<WatchId>,
    /// Watches of patterns whose literal prefix is this key, equal patterns together.
    patterns: Vec<(Scope, Vec<WatchId>)>,
}

impl TrieNode {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.exact.is_empty()
            && self.below.is_empty()
            && self.patterns.is_empty()
    }

    fn collect(&self, into: &mut Vec<WatchId>) {
        let mut nodes = vec![self];
        while let Some(node) = nodes.pop() {
            into.extend(&node.exact);
            into.extend(&node.below);
            into.extend(node.patterns.iter().flat_map(|(_, ids)| ids));
            nodes.extend(node.children.values());
        }
    }
}

/// The index of all watches of one namespace.
#[derive(Default)]
pub(crate) struct Dispatch {
    root: TrieNode,
    watches: HashMap<WatchId, Registered>,
    last: WatchId,
}

impl Dispatch {
    /// Adds a watch that has read everything up to the published version, or, with `hit`, has to
    /// read from that version on.
    pub(crate) fn add(&mut self, scopes: Vec<Scope>, hit: Option<u64>, wake: Wake) -> WatchId {
        self.last += 1;
        let id = self.last;
        for scope in &scopes {
            let node = descend(&mut self.root, &scope.literal_prefix());
            match scope {
                Scope::Key(_) => node.exact.push(id),
                Scope::Directory(_) => node.below.push(id),
                Scope::Glob(_) => match node.patterns.iter_mut().find(|(s, _)| s == scope) {
                    Some((_, ids)) => ids.push(id),
                    None => node.patterns.push((scope.clone(), vec![id])),
                },
            }
        }
        self.watches.insert(id, Registered { scopes, wake, hit });
        id
    }

    /// Removes a watch and the branches of the trie that only it held.
    pub(crate) fn remove(&mut self, id: WatchId) {
        let Some(watch) = self.watches.remove(&id) else {
            return;
        };
        for scope in &watch.scopes {
            let prefix = scope.literal_prefix();
            let names: Vec<&str> = prefix.names().collect();
            remove_at(&mut self.root, &names, id);
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
        if self.watches.is_empty() {
            return;
        }
        let mut woken = Vec::new();
        for effect in effects {
            self.touched(effect.key(), effect.subtree(), &mut woken);
        }
        for id in woken {
            if let Some(watch) = self.watches.get_mut(&id)
                && watch.hit.is_none()
            {
                watch.hit = Some(version);
                wakes.push(watch.wake.clone());
            }
        }
    }

    fn touched(&self, key: &Key, subtree: bool, woken: &mut Vec<WatchId>) {
        let mut node = &self.root;
        let mut names = key.names();
        loop {
            woken.extend(&node.below);
            for (scope, ids) in &node.patterns {
                if scope.matches(key) || (subtree && scope.may_match_below(key)) {
                    woken.extend(ids);
                }
            }
            let Some(name) = names.next() else {
                woken.extend(&node.exact);
                if subtree {
                    node.children
                        .values()
                        .for_each(|child| child.collect(woken));
                }
                return;
            };
            let Some(child) = node.children.get(name) else {
                return;
            };
            node = child;
        }
    }

    /// The first version that may concern the watch and that it has not read.
    pub(crate) fn hit(&self, id: WatchId) -> Option<u64> {
        self.watches.get(&id)?.hit
    }

    /// Notes that the watch has read everything up to `read`, while `published` is the newest
    /// version. What came in between counts as a hit, since only the first hit was kept.
    pub(crate) fn settle(&mut self, id: WatchId, read: u64, published: u64) {
        if let Some(watch) = self.watches.get_mut(&id) {
            watch.hit = (read < published).then_some(read + 1);
        }
    }

    /// Every wake, for an end of the namespace.
    pub(crate) fn wake_all(&self) -> Vec<Wake> {
        self.watches.values().map(|w| w.wake.clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.watches.len()
    }
}

fn descend<'a>(mut node: &'a mut TrieNode, prefix: &Key) -> &'a mut TrieNode {
    for name in prefix.names() {
        node = node.children.entry(SmolStr::new(name)).or_default();
    }
    node
}

/// Depth is bounded by the limit on names in a key.
fn remove_at(node: &mut TrieNode, names: &[&str], id: WatchId) {
    match names.split_first() {
        None => {
            node.exact.retain(|&other| other != id);
            node.below.retain(|&other| other != id);
            for (_, ids) in &mut node.patterns {
                ids.retain(|&other| other != id);
            }
            node.patterns.retain(|(_, ids)| !ids.is_empty());
        }
        Some((name, rest)) => {
            if let Some(child) = node.children.get_mut(*name) {
                remove_at(child, rest, id);
                if child.is_empty() {
                    node.children.remove(*name);
                }
            }
        }
    }
}
