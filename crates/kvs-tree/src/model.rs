//! A reference model of a tree (a sorted map from keys to entries), and the properties in which
//! this crate must agree with it.

mod copies;

mod properties;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::*;

/// An entry of the model, independent of how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    Value(Vec<u8>),
    Directory,
    Link(Symlink),
}

/// A tree as a map, without the root directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model(BTreeMap<Key, Thing>);

type Refusal = TreeErrorKind;

impl Model {
    /// The key with links followed, the last one only with `follow_last`.
    fn resolve(&self, key: &Key, follow_last: bool) -> Result<Key, Refusal> {
        let mut key = key.clone();
        for _ in 0..=LINK_DEPTH {
            let depth = key.depth();
            let mut link = None;
            for count in 1..=depth {
                match self.0.get(&key.prefix(count)) {
                    Some(Thing::Link(target)) if count < depth || follow_last => {
                        link = Some((count, target));
                        break;
                    }
                    Some(Thing::Directory) => {}
                    _ => break,
                }
            }
            let Some((count, target)) = link else {
                return Ok(key);
            };
            let rest = key.suffix(count);
            key = Key::parse(&target.target).unwrap().join(&rest).unwrap();
            if target.namespace.is_some() {
                return Err(Refusal::Invalid);
            }
        }
        Err(Refusal::LinkLoop)
    }

    fn write_key(&self, key: &Key) -> Result<Key, Refusal> {
        if key.is_root() {
            return Err(Refusal::Invalid);
        }
        self.resolve(key, false)
    }

    fn remove(&mut self, key: &Key) {
        self.0.retain(|other, _| !other.starts_with(key));
    }

    fn make_way(&mut self, key: &Key) {
        for count in 1..key.depth() {
            let above = key.prefix(count);
            if self.0.get(&above) != Some(&Thing::Directory) {
                self.0.insert(above, Thing::Directory);
            }
        }
    }

    fn put(&mut self, key: &Key, thing: Thing) {
        self.make_way(key);
        self.remove(key);
        self.0.insert(key.clone(), thing);
    }

    /// Everything at and below the key, with keys relative to it.
    fn take(&self, key: &Key) -> Vec<(Key, Thing)> {
        let depth = key.depth();
        let below = self.0.iter().filter(|(other, _)| other.starts_with(key));
        below
            .map(|(other, thing)| (other.suffix(depth), thing.clone()))
            .collect()
    }

    fn paste(&mut self, key: &Key, things: &[(Key, Thing)]) {
        self.make_way(key);
        self.remove(key);
        for (rest, thing) in things {
            self.0.insert(key.join(rest).unwrap(), thing.clone());
        }
    }

    fn perform(&mut self, operation: &Operation) -> Result<OperationResult, Refusal> {
        match operation {
            Operation::Put { key, value } => {
                let key = self.write_key(key)?;
                self.put(&key, Thing::Value(value.to_vec()));
            }
            Operation::Append { key, value } => {
                let key = self.write_key(key)?;
                match self.0.get_mut(&key) {
                    None => self.put(&key, Thing::Value(value.to_vec())),
                    Some(Thing::Value(bytes)) => bytes.extend_from_slice(value),
                    Some(Thing::Directory) => return Err(Refusal::IsDirectory),
                    Some(Thing::Link(_)) => return Err(Refusal::LinkAppend),
                }
            }
            Operation::Unlink { key } => {
                let key = self.write_key(key)?;
                self.remove(&key);
            }
            Operation::Mkdir { key } => {
                let key = self.write_key(key)?;
                if self.0.get(&key) != Some(&Thing::Directory) {
                    self.put(&key, Thing::Directory);
                }
            }
            Operation::Link { key, target } => {
                let key = self.write_key(key)?;
                self.put(&key, Thing::Link(target.clone()));
            }
            Operation::Add { key, delta } => {
                let key = self.write_key(key)?;
                let number: i64 = match self.0.get(&key) {
                    None => 0,
                    Some(Thing::Value(bytes)) if bytes.len() > 20 => return Err(Refusal::Invalid),
                    Some(Thing::Value(bytes)) => std::str::from_utf8(bytes)
                        .map_err(|_| Refusal::Invalid)?
                        .parse()
                        .map_err(|_| Refusal::Invalid)?,
                    Some(Thing::Directory) => return Err(Refusal::IsDirectory),
                    Some(Thing::Link(_)) => return Err(Refusal::LinkAppend),
                };
                let sum = number.checked_add(*delta).ok_or(Refusal::Limit)?;
                self.put(&key, Thing::Value(sum.to_string().into_bytes()));
                return Ok(OperationResult::Added(sum));
            }
            Operation::Copy { from, to } | Operation::Move { from, to } => {
                let moves = matches!(operation, Operation::Move { .. });
                if to.is_root() {
                    return Err(Refusal::Invalid);
                }
                let from = self.write_key(from)?;
                let mut things = self.take(&from);
                if things.is_empty() {
                    return Err(Refusal::NotFound);
                }
                let to = self.resolve(to, false)?;
                if to.is_below(&from) {
                    if moves || !matches!(things.first(), Some((_, Thing::Directory))) {
                        return Err(Refusal::Invalid);
                    }
                    self.make_way(&to);
                    things = self.take(&from);
                }
                if moves && from != to {
                    self.remove(&from);
                }
                self.paste(&to, &things);
            }
            Operation::PutObject { .. } | Operation::PutStored { .. } => unreachable!(),
        }
        Ok(OperationResult::Done)
    }

    fn holds(&self, past: &[Model], condition: &Condition) -> Result<bool, Refusal> {
        let key = self.resolve(condition.key(), false)?;
        let is_there = key.is_root() || self.0.contains_key(&key);
        Ok(match condition {
            Condition::Absent { .. } => !is_there,
            Condition::Present { .. } => is_there,
            Condition::Equals { value, .. } => {
                self.0.get(&key) == Some(&Thing::Value(value.to_vec()))
            }
            Condition::Unchanged { key: asked, since } => {
                let before = &past[*since as usize];
                match before.resolve(asked, false) {
                    Ok(old) => before.take(&old) == self.take(&key),
                    Err(_) => false,
                }
            }
        })
    }

    /// The model after the transaction, or why it is refused.
    fn apply(
        &self,
        past: &[Model],
        transaction: &Transaction,
    ) -> Result<(Model, Vec<OperationResult>), Refusal> {
        for condition in &transaction.conditions {
            if !self.holds(past, condition)? {
                return Err(Refusal::ConditionFailed);
            }
        }
        let mut next = self.clone();
        let results: Result<_, _> = transaction
            .operations
            .iter()
            .map(|operation| next.perform(operation))
            .collect();
        let deepest = next
            .0
            .iter()
            .map(|(key, thing)| key.depth() + usize::from(*thing == Thing::Directory));
        assert!(
            deepest.max().unwrap_or(0) <= DEPTH as usize,
            "the strategies stay in the limits"
        );
        Ok((next, results?))
    }

    /// The same content as a tree, built in key order or in reverse.
    fn build(&self, store: &Store, backwards: bool) -> Directory {
        let mut operations: Vec<Operation> = self
            .0
            .iter()
            .map(|(key, thing)| match thing.clone() {
                Thing::Value(value) => Operation::Put {
                    key: key.clone(),
                    value: value.into(),
                },
                Thing::Link(target) => Operation::Link {
                    key: key.clone(),
                    target,
                },
                Thing::Directory => Operation::Mkdir { key: key.clone() },
            })
            .collect();
        if backwards {
            // Directories first, in order, since a mkdir keeps existing content.
            operations.reverse();
            operations.sort_by_key(|operation| match operation {
                Operation::Mkdir { key } => key.depth(),
                _ => usize::MAX,
            });
        }
        let transaction = Transaction {
            conditions: Vec::new(),
            operations,
        };
        store
            .apply(&Directory::empty(), &[], &transaction)
            .unwrap()
            .root
    }
}

const PARAMS: StoreParams = StoreParams {
    algorithm: HashAlgorithm::Blake3,
    split_key: [7; 32],
};

/// Stored objects, at hand only after they have been reported missing.
#[derive(Default)]
struct Store {
    objects: RefCell<HashMap<Blobref, (ObjectKind, Bytes)>>,
    nodes: RefCell<HashMap<Blobref, Arc<Node>>>,
    blobs: RefCell<HashMap<Blobref, Bytes>>,
}

impl NodeSource for Store {
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>> {
        self.nodes.borrow().get(blobref).cloned()
    }

    fn blob(&self, blobref: &Blobref) -> Option<Bytes> {
        self.blobs.borrow().get(blobref).cloned()
    }
}

impl Store {
    fn ctx(&self) -> Ctx<'_> {
        Ctx {
            source: self,
            params: &PARAMS,
        }
    }

    /// Runs a step until it is done, loading what it reports missing.
    fn run<T>(&self, mut step: impl FnMut(&Ctx<'_>) -> Result<T, Fault>) -> Result<T, TreeError> {
        for _ in 0..500 {
            match step(&self.ctx()) {
                Ok(done) => return Ok(done),
                Err(Fault::Tree(error)) => return Err(error),
                Err(Fault::NeedVersion(version)) => panic!("version {version} was given"),
                Err(Fault::Missing(missing)) => {
                    assert!(!missing.is_empty());
                    let new = missing.into_iter().filter(|one| self.load(*one)).count();
                    assert!(new > 0, "what is at hand is not asked for");
                }
            }
        }
        panic!("a step asks without end");
    }

    /// Loads an object; returns whether it was not at hand before.
    fn load(&self, missing: Missing) -> bool {
        let objects = self.objects.borrow();
        let (kind, bytes) = objects
            .get(&missing.blobref)
            .expect("what is asked for exists");
        assert_eq!(*kind, missing.kind);
        match kind {
            ObjectKind::Node => {
                let node = Arc::new(Node::decode(PARAMS.algorithm, bytes).unwrap());
                self.nodes
                    .borrow_mut()
                    .insert(missing.blobref, node)
                    .is_none()
            }
            ObjectKind::Blob => self
                .blobs
                .borrow_mut()
                .insert(missing.blobref, bytes.clone())
                .is_none(),
        }
    }

    /// Stores the whole tree and evicts everything at hand.
    fn checkpoint(&self, root: &Directory) -> Directory {
        let mut objects = self.objects.borrow_mut();
        let mut new = Vec::new();
        let is_written = |blobref: &Blobref| objects.contains_key(blobref);
        root.unwritten(&PARAMS, &is_written, &mut |blobref, kind, bytes| {
            new.push((blobref, (kind, bytes)));
        });
        objects.extend(new);
        self.nodes.borrow_mut().clear();
        self.blobs.borrow_mut().clear();
        root.detach(&PARAMS, &|blobref| objects.contains_key(blobref))
    }

    fn apply(
        &self,
        root: &Directory,
        past: &[Directory],
        transaction: &Transaction,
    ) -> Result<Applied, TreeError> {
        let past = |version: u64| past.get(version as usize).cloned();
        self.run(|ctx| apply(root, ctx, &past, transaction))
    }

    /// Applies a transaction in place, if possible; a step that fails must leave no trace.
    fn write(
        &self,
        root: &mut Directory,
        past: &[Directory],
        transaction: &Transaction,
    ) -> Result<Option<Written>, TreeError> {
        if plain_put(transaction).is_some() {
            let before = (root.seal(&PARAMS), root.stats());
            let put = self.run(|ctx| {
                let put = put_plainly(root, ctx, transaction);
                if !matches!(put, Ok(Some(_))) {
                    assert_eq!((root.seal(&PARAMS), root.stats()), before);
                }
                put
            });
            if let Some(written) = put? {
                return Ok(Some(written));
            }
        }
        let past = |version: u64| past.get(version as usize).cloned();
        let Some(mut located) = self.run(|ctx| locate(root, ctx, &past, transaction))? else {
            return Ok(None);
        };
        let before = (root.seal(&PARAMS), root.stats());
        // The target of the write is at hand now. Everything else must be reported missing, once
        // each.
        self.nodes.borrow_mut().clear();
        self.blobs.borrow_mut().clear();
        self.run(|ctx| {
            let written = located.write(root, ctx, transaction);
            if written.is_err() {
                assert_eq!((root.seal(&PARAMS), root.stats()), before);
            }
            written
        })
        .map(Some)
    }

    fn replay(&self, root: &Directory, effects: &[Effect]) -> Directory {
        self.run(|ctx| replay(root, ctx, effects)).unwrap()
    }

    /// The items of all pages of a listing.
    fn list(
        &self,
        root: &Directory,
        dir: &Key,
        bounds: Bounds,
        recursive: bool,
        scope: Option<&Scope>,
    ) -> Vec<(Key, Thing)> {
        let mut all: Vec<(Key, Thing)> = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .run(|ctx| {
                    list(
                        root,
                        ctx.source,
                        dir,
                        after.as_ref(),
                        bounds,
                        recursive,
                        scope,
                    )
                })
                .unwrap();
            assert!(page.items.len() <= bounds.items);
            let entries = page.items.into_iter();
            all.extend(entries.map(|(key, entry)| (key, self.thing(&entry))));
            assert!(
                page.next.is_none() || page.next > after,
                "a page that does not go on"
            );
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// The items of all pages of a diff.
    fn diff(
        &self,
        a: &Directory,
        b: &Directory,
        scopes: &[Scope],
        below: &Key,
        bounds: Bounds,
    ) -> Vec<(Key, Option<Thing>, Option<Thing>)> {
        let mut all: Vec<(Key, Option<Thing>, Option<Thing>)> = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .run(|ctx| {
                    diff(
                        a,
                        b,
                        ctx.source,
                        ctx.params,
                        scopes,
                        below,
                        after.as_ref(),
                        bounds,
                    )
                })
                .unwrap();
            assert!(page.items.len() <= bounds.items);
            all.extend(page.items.into_iter().map(|change| {
                let before = change.before.map(|entry| self.thing(&entry));
                (
                    change.key,
                    before,
                    change.after.map(|entry| self.thing(&entry)),
                )
            }));
            assert!(
                page.next.is_none() || page.next > after,
                "a page that does not go on"
            );
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    fn thing(&self, entry: &Entry) -> Thing {
        match entry {
            Entry::Directory(_) => Thing::Directory,
            Entry::Symlink(link) => Thing::Link(link.clone()),
            Entry::Value(value) => {
                let bytes = self
                    .run(|ctx| value.read(ctx.source, 0..value.len()))
                    .unwrap();
                Thing::Value(bytes.to_vec())
            }
        }
    }

    /// A lookup as a client does it.
    fn lookup(&self, root: &Directory, key: &Key, follow: bool) -> Result<Resolved, TreeError> {
        self.run(|ctx| lookup(root, ctx.source, key, follow, 0))
    }

    /// The bytes of the value at `key`, if no link is on the path.
    fn try_get_inline(&self, root: &Directory, key: &Key) -> Option<Vec<u8>> {
        let see = |value: &Value| Entry::Value(value.clone());
        let seen = self
            .run(|ctx| try_get_inline(root, ctx.source, key, see))
            .unwrap();
        match seen.map(|entry| self.thing(&entry)) {
            Some(Thing::Value(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The path to `key`, loading what is missing.
    fn path(&self, root: &Directory, key: &Key) -> Path {
        loop {
            let way = path(root, &self.ctx(), key);
            let Err(Fault::Missing(missing)) = &way.end else {
                return way;
            };
            assert!(missing.iter().any(|one| self.load(*one)));
        }
    }

    fn contents(&self, root: &Directory) -> Model {
        Model(
            self.list(root, &Key::ROOT, Bounds::items(1000), true, None)
                .into_iter()
                .collect(),
        )
    }
}
