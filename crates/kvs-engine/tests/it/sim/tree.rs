//! The simple model: a tree as one sorted map, and the effect of operations on it. It knows no
//! objects, effects or differences of trees, and shares only the type of keys with the engine.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvs_tree::Key;

/// Maximum number of links on one path.
const LINKS: usize = 10;

/// The content at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Value(Bytes),
    Directory,
    /// To a key, or to `namespace::key`.
    Link(String),
}

/// An operation of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Put(Key, Bytes),
    Append(Key, Bytes),
    Add(Key, i64),
    Unlink(Key),
    Mkdir(Key),
    Link(Key, String),
    Copy(Key, Key),
    Move(Key, Key),
    /// A tree object: a directory with these members.
    Object(Key, Vec<(String, Thing)>),
}

/// A tree without its root directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree(pub(super) BTreeMap<Key, Thing>);

/// The keys that a version wrote, whether they changed or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// Keys that an event may report although unchanged: written, created on the way, or removed.
    pub(super) may: BTreeSet<Key>,
    /// Keys whose last write gave them content: an event must report them even if unchanged.
    pub(super) must: BTreeSet<Key>,
}

impl Written {
    fn gives(&mut self, key: &Key) {
        self.must.retain(|other| !other.starts_with(key));
        self.must.insert(key.clone());
        self.may.insert(key.clone());
    }

    fn takes(&mut self, key: &Key) {
        self.must.retain(|other| !other.starts_with(key));
        self.may.insert(key.clone());
    }
}

/// Where a key leads: the links on the way, and the key at the end, at which there may be something
/// or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) links: Vec<Key>,
    pub(super) end: Key,
    /// The namespace that the last link leads into, where the path continues, if any.
    pub(super) abroad: Option<String>,
}

/// The namespace of a link's target, if it names one, and the key.
pub(super) fn target_of(text: &str) -> (Option<&str>, &str) {
    match text.split_once("::") {
        Some((namespace, key)) => (Some(namespace), key),
        None => (None, text),
    }
}

impl Tree {
    /// Follows the links on the path to a key, the last name's only if asked for; `None` for a
    /// loop.
    pub(super) fn resolve(&self, key: &Key, follow_last: bool) -> Option<Way> {
        self.resolve_from(key, follow_last, 0)
    }

    /// The same for a path on which `before` links were followed already.
    pub(super) fn resolve_from(&self, key: &Key, follow_last: bool, before: usize) -> Option<Way> {
        let (mut end, mut links) = (key.clone(), Vec::new());
        loop {
            let depth = end.depth();
            let mut link = None;
            for count in 1..=depth {
                match self.0.get(&end.prefix(count)) {
                    Some(Thing::Link(target)) if count < depth || follow_last => {
                        link = Some((count, target));
                        break;
                    }
                    Some(Thing::Directory) => {}
                    _ => break,
                }
            }
            let Some((count, target)) = link else {
                let abroad = None;
                return Some(Way { links, end, abroad });
            };
            links.push(end.prefix(count));
            if before + links.len() > LINKS {
                return None;
            }
            let (namespace, target) = target_of(target);
            end = Key::parse(target).ok()?.join(&end.suffix(count)).ok()?;
            if let Some(namespace) = namespace {
                let abroad = Some(namespace.to_owned());
                return Some(Way { links, end, abroad });
            }
        }
    }

    /// What is below a key, with keys of the tree.
    pub(super) fn below<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = (&'a Key, &'a Thing)> {
        self.0.iter().filter(move |(other, _)| other.is_below(key))
    }

    fn remove(&mut self, key: &Key) {
        self.0.retain(|other, _| !other.starts_with(key));
    }

    fn make_way(&mut self, key: &Key, written: &mut Written) {
        for count in 1..key.depth() {
            let above = key.prefix(count);
            if self.0.get(&above) != Some(&Thing::Directory) {
                self.0.insert(above.clone(), Thing::Directory);
                written.gives(&above);
            }
        }
    }

    fn put(&mut self, key: &Key, thing: Thing, written: &mut Written) {
        self.make_way(key, written);
        self.remove(key);
        self.0.insert(key.clone(), thing);
        written.gives(key);
    }

    /// What is at and below a key, with keys relative to it.
    fn taken(&self, key: &Key) -> Vec<(Key, Thing)> {
        let all = self.0.iter().filter(|(other, _)| other.starts_with(key));
        all.map(|(other, thing)| (other.suffix(key.depth()), thing.clone()))
            .collect()
    }

    fn paste(&mut self, key: &Key, things: Vec<(Key, Thing)>, written: &mut Written) {
        self.make_way(key, written);
        self.remove(key);
        for (rest, thing) in things {
            self.0.insert(key.join(&rest).unwrap(), thing);
        }
        written.gives(key);
    }

    /// Performs an operation; `None` if it must be refused.
    pub(super) fn perform(&mut self, doing: &Doing, written: &mut Written) -> Option<()> {
        let at = |tree: &Tree, key: &Key| {
            let way = tree.resolve(key, false)?;
            // Nothing is written in another namespace.
            way.abroad.is_none().then_some(way.end)
        };
        match doing {
            Doing::Put(key, value) => {
                self.put(&at(self, key)?, Thing::Value(value.clone()), written);
            }
            Doing::Append(key, value) => {
                let key = at(self, key)?;
                let grown = match self.0.get(&key) {
                    None => value.clone(),
                    Some(Thing::Value(old)) => [old.as_ref(), value.as_ref()].concat().into(),
                    Some(_) => return None,
                };
                self.put(&key, Thing::Value(grown), written);
            }
            Doing::Add(key, delta) => {
                let key = at(self, key)?;
                let number = match self.0.get(&key) {
                    None => 0,
                    Some(Thing::Value(old)) => {
                        std::str::from_utf8(old).ok()?.parse::<i64>().ok()?
                    }
                    Some(_) => return None,
                };
                let sum = (number + delta).to_string();
                self.put(&key, Thing::Value(sum.into()), written);
            }
            Doing::Unlink(key) => {
                let key = at(self, key)?;
                if self.0.contains_key(&key) {
                    self.remove(&key);
                    written.takes(&key);
                }
            }
            Doing::Mkdir(key) => {
                let key = at(self, key)?;
                // An existing directory is left as it is.
                if self.0.get(&key) != Some(&Thing::Directory) {
                    self.put(&key, Thing::Directory, written);
                }
            }
            Doing::Link(key, target) => {
                self.put(&at(self, key)?, Thing::Link(target.clone()), written);
            }
            Doing::Copy(from, to) => {
                let (from, to) = (at(self, from)?, at(self, to)?);
                if to.is_below(&from) {
                    self.make_way(&to, written);
                }
                let things = self.taken(&from);
                (!things.is_empty()).then_some(())?;
                self.paste(&to, things, written);
            }
            Doing::Move(from, to) => {
                let (from, to) = (at(self, from)?, at(self, to)?);
                let things = self.taken(&from);
                (!things.is_empty() && !to.is_below(&from)).then_some(())?;
                if from != to {
                    self.paste(&to, things, written);
                    if !from.is_below(&to) {
                        self.remove(&from);
                        written.takes(&from);
                    }
                }
            }
            Doing::Object(key, members) => {
                let key = at(self, key)?;
                self.put(&key, Thing::Directory, written);
                for (name, thing) in members {
                    let key = key.child(name).unwrap();
                    self.0.insert(key.clone(), thing.clone());
                    written.gives(&key);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::key;

    fn tree(doings: &[Doing]) -> (Tree, Written) {
        let (mut tree, mut written) = Default::default();
        for doing in doings {
            Tree::perform(&mut tree, doing, &mut written).unwrap();
        }
        (tree, written)
    }

    #[test]
    fn operations_follow_links_on_the_way_and_replace_the_last() {
        let (tree, written) = tree(&[
            Doing::Put(key("a.x"), "1".into()),
            Doing::Link(key("l"), "a".into()),
            Doing::Put(key("l.y"), "2".into()),
            Doing::Copy(key("l"), key("m")),
            Doing::Move(key("a"), key("b")),
        ]);
        let keys: Vec<_> = tree.0.keys().map(|key| key.as_str()).collect();
        assert_eq!(keys, ["b", "b.x", "b.y", "l", "m"]);
        assert_eq!(tree.0[&key("m")], Thing::Link("a".into()));
        let must: Vec<_> = written.must.iter().map(|key| key.as_str()).collect();
        assert_eq!(must, ["b", "l", "m"]);
        assert!(written.may.contains(&key("a.y")));
    }

    #[test]
    fn a_loop_is_no_way() {
        let (tree, _) = tree(&[
            Doing::Link(key("a"), "b".into()),
            Doing::Link(key("b"), "a".into()),
        ]);
        assert_eq!(tree.resolve(&key("a"), true), None);
        assert_eq!(tree.resolve(&key("a"), false).unwrap().end, key("a"));
    }
}
