//! Reads one state of one namespace: lookups, listings, values. A view holds a root and loads what
//! is below it on demand. It stays consistent while the namespace moves on.

mod encoded;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kvs_tree::{
    Blobref, Bounds, Directory, Entry, Fault, Key, LINK_DEPTH, NodeSource, Resolved, Scope, Value,
    list, lookup,
};

use crate::error::EngineError;
use crate::history::RootAt;
use crate::limits::{CACHED_VALUE_BYTES, READ_AT_ONCE_BYTES, REQUEST_SLICES};
use crate::namespace::Namespace;
use crate::reference::{At, Position, SnapshotRef};
use crate::request::Principal;
use crate::roots::{bare, root_of, stale};
use crate::slices::{Pace, visits_of_bytes};
use crate::store::Store;

/// A consistent view of one version. Cheap to clone.
#[derive(Clone)]
pub struct View {
    store: Arc<Store>,
    namespace: Arc<Namespace>,
    caller: Principal,
    root: RootAt,
}

/// An entry and where it was found.
pub struct Located {
    /// The entry at the key.
    pub entry: Entry,
    /// The key after following links.
    pub key: Key,
    /// The view it was found in; a link may have led into another namespace.
    pub view: View,
}

/// The parameters of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// The directory to list; links are not followed.
    pub dir: &'a Key,
    /// Return only entries after this key.
    pub after: Option<&'a Key>,
    /// Maximum number of entries.
    pub limit: usize,
    /// Whether to descend into directories.
    pub recursive: bool,
    /// Return only entries in this scope.
    pub scope: Option<&'a Scope>,
    /// Whether to stop after `REQUEST_SLICES`, even if nothing was found.
    pub bounded: bool,
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The entries, in walk order.
    pub entries: Vec<(Key, Entry)>,
    /// The key to continue after; `None` at the end.
    pub next: Option<Key>,
}

/// The nodes on the way to a key, for a client that resolves it itself.
pub struct Nodes {
    /// Canonical encodings, in the order in which a lookup reads them.
    pub nodes: Vec<Bytes>,
    /// Whether more nodes follow.
    pub more: bool,
    /// The value at the key, if it is not in one of the nodes and no more nodes follow.
    pub value: Option<Value>,
}

impl View {
    /// Opens the state `at` of a namespace.
    pub(crate) async fn open(
        store: &Arc<Store>,
        caller: Principal,
        name: &str,
        at: At,
    ) -> Result<Self, EngineError> {
        let name = match &at {
            At::Snapshot(snapshot) => snapshot.namespace.clone(),
            _ => name.into(),
        };
        let namespace = store.readable(caller, &name)?;
        let view = |namespace, root| Self {
            store: store.clone(),
            namespace,
            caller,
            root,
        };
        let root = match at {
            At::Current => (*namespace.published()).clone(),
            At::Version(version) => root_of(store, &namespace, version).await?,
            At::Snapshot(snapshot) => {
                let root = root_of(store, &namespace, snapshot.version).await?;
                if root.root != snapshot.root {
                    return Err(stale(&snapshot, &root));
                }
                root
            }
            At::Root(root) => {
                store
                    .authority()
                    .check_instance_owner(caller, "reading a bare reference")?;
                let (namespace, root) = bare(store, namespace, root).await?;
                return Ok(view(namespace, root));
            }
        };
        Ok(view(namespace, root))
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        &self.namespace.name
    }

    /// The namespace's current owner.
    pub fn owner(&self) -> Principal {
        self.namespace.terms().owner
    }

    /// The position of this state.
    pub fn position(&self) -> Position {
        self.namespace.at(self.root.version)
    }

    /// The blobref of the root.
    pub fn root(&self) -> Blobref {
        self.root.root
    }

    /// The root as a directory, for its tree object and counts.
    pub fn directory(&self) -> Directory {
        self.root.directory.clone()
    }

    /// When the version was committed, in milliseconds since the epoch; 0 for version 0.
    pub fn time_ms(&self) -> u64 {
        self.root.time_ms
    }

    /// The reference by which this state can be read again while it is retained or pinned.
    pub fn snapshot(&self) -> SnapshotRef {
        self.namespace.snapshot(&self.root)
    }

    pub(crate) fn root_at(&self) -> RootAt {
        self.root.clone()
    }

    /// Runs a pure step: on this task if everything it needs is in memory, else on a blocking
    /// thread.
    async fn step<T: Send + 'static>(
        &self,
        step: impl Fn(&dyn NodeSource) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, EngineError> {
        if let Some(done) = self.store.objects.at_once(&step) {
            return done;
        }
        self.store
            .offload(move |store| store.objects.complete(step))
            .await
    }

    /// The entry at `key`, or `None`. Links on the way are followed; a link at the end only with
    /// `follow_last`.
    ///
    /// # Errors
    /// `LinkLoop` for more than 10 links; `Permission` or `NoNamespace` for a link into a namespace
    /// that the caller may not read or that does not exist.
    pub async fn lookup(
        &self,
        key: &Key,
        follow_last: bool,
    ) -> Result<Option<Located>, EngineError> {
        self.find(key, follow_last, &mut 0).await
    }

    /// Like [`lookup`](Self::lookup), and adds its cost to `visits`.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub async fn find(
        &self,
        key: &Key,
        follow_last: bool,
        visits: &mut usize,
    ) -> Result<Option<Located>, EngineError> {
        let mut view = self.clone();
        let mut key = key.clone();
        let mut followed = 0;
        loop {
            let (root, wanted) = (view.root.directory.clone(), key.clone());
            let before = followed;
            let found = view
                .step(move |source| lookup(&root, source, &wanted, follow_last, before))
                .await;
            // Resolution restarts at the root after each link.
            let mut count = |key: &Key, links: usize| *visits += (1 + key.depth()) * (1 + links);
            match found {
                Ok(Resolved::Found { entry, key, links }) => {
                    count(&key, links.len());
                    return Ok(Some(Located { entry, key, view }));
                }
                Ok(Resolved::Absent { key, links }) => {
                    count(&key, links.len());
                    return Ok(None);
                }
                Ok(Resolved::Elsewhere {
                    namespace,
                    key: rest,
                    followed: now,
                    links,
                }) => {
                    count(&key, links.len());
                    view = Self::open(&view.store, view.caller, &namespace, At::Current).await?;
                    key = rest;
                    followed = now;
                }
                Err(error) => {
                    count(&key, LINK_DEPTH);
                    return Err(error);
                }
            }
        }
    }

    /// Up to `limit` entries of the directory `dir` (links not followed), sorted, starting after
    /// `after`; recursive listings are in walk order. `scope` filters. Reads in slices, as many as
    /// needed.
    ///
    /// # Errors
    /// `NotFound` or `NotDirectory` if `dir` is not a directory.
    pub async fn list(
        &self,
        dir: &Key,
        after: Option<&Key>,
        limit: usize,
        recursive: bool,
        scope: Option<&Scope>,
    ) -> Result<Vec<(Key, Entry)>, EngineError> {
        let asked = Listing {
            dir,
            after,
            limit,
            recursive,
            scope,
            bounded: false,
        };
        let mut pace = self.store.slices.pace(self.caller);
        Ok(self.page(asked, &mut pace).await?.entries)
    }

    /// One page of a listing, read in slices. Dropping the future stops the work.
    ///
    /// # Errors
    /// `NotFound` or `NotDirectory` if `dir` is not a directory; `Permission` if the right to read
    /// is revoked meanwhile.
    pub async fn page(&self, asked: Listing<'_>, pace: &mut Pace) -> Result<Listed, EngineError> {
        let (recursive, mut after) = (asked.recursive, asked.after.cloned());
        let mut entries = Vec::new();
        loop {
            let (root, dir) = (self.root.directory.clone(), asked.dir.clone());
            let (from, scope) = (after.clone(), asked.scope.cloned());
            let bounds = Bounds {
                items: asked.limit.saturating_sub(entries.len()),
                visits: pace.left(),
            };
            let step = move |source: &dyn NodeSource| {
                let (from, scope) = (from.as_ref(), scope.as_ref());
                list(&root, source, &dir, from, bounds, recursive, scope)
            };
            let page = self.step(step).await?;
            entries.extend(page.items);
            after = page.next;
            pace.spend(page.visits).await;
            let full = entries.len() >= asked.limit;
            let enough = full || (asked.bounded && pace.ended() >= REQUEST_SLICES);
            if enough || after.is_none() {
                let next = after;
                return Ok(Listed { entries, next });
            }
            self.store.may_read(self.caller, &self.namespace)?;
        }
    }

    /// The bytes `range` of a value found in this view, clamped to its length. Large reads are
    /// copied in slices.
    pub async fn read(&self, value: &Value, range: Range<u64>) -> Result<Bytes, EngineError> {
        let value = value.clone();
        let range = range.start.min(value.len())..range.end.min(value.len());
        let bytes = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let len = value.len();
        if bytes <= READ_AT_ONCE_BYTES && len <= CACHED_VALUE_BYTES {
            return self
                .step(move |source| value.read(source, range.clone()))
                .await;
        }
        let step = move |source: &dyn NodeSource| value.pieces(source, range.clone());
        let pieces = if len <= CACHED_VALUE_BYTES {
            self.step(step).await?
        } else {
            match self.store.objects.at_once(&step) {
                Some(done) => done?,
                None => {
                    let pass = move |store: &Arc<Store>| store.objects.pass(step);
                    self.store.offload(pass).await?
                }
            }
        };
        if let [piece] = pieces.as_slice() {
            return Ok(piece.clone());
        }
        let mut pace = self.store.slices.pace(self.caller);
        let mut joined = BytesMut::with_capacity(bytes);
        for piece in pieces {
            joined.extend_from_slice(&piece);
            pace.spend(visits_of_bytes(piece.len())).await;
        }
        Ok(joined.freeze())
    }

    /// The number of direct entries of a directory.
    pub async fn count(&self, directory: &Directory) -> Result<u64, EngineError> {
        let directory = directory.clone();
        self.step(move |source| directory.len(source)).await
    }
}
