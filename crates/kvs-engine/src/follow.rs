//! Following roots: every move of a namespace's root, and namespaces that come and go.
//!
//! A cursor into the journal, group by group, shared by nobody and buffered nowhere: at most one page
//! of the journal is held. Only groups that are published are read, so no event is ahead of a read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kvs_tree::{Blobref, Directory};
use smol_str::SmolStr;

use crate::dispatch::Wake;
use crate::error::{EngineError, ErrorKind};
use crate::event::RootEvent;
use crate::feed::FeedGuard;
use crate::limits::FOLLOW_READ_BYTES;
use crate::namespace::Namespace;
use crate::record::{Group, Record, VersionRecord};
use crate::reference::Position;
use crate::request::{Caller, NamespaceInfo, Start};
use crate::store::Store;
use crate::told::{keys_of, transactions_of};
use crate::view::root_of;

/// A namespace as far as it was followed.
#[derive(Clone)]
struct Known {
    owner: u32,
    incarnation: u64,
    version: u64,
    root: Option<Blobref>,
    /// Whether it was shared with the caller, for when it is removed.
    shared: bool,
}

/// A cursor into the journal that tells of root moves and of namespaces. Dropping it ends it.
pub struct Follower {
    store: Arc<Store>,
    caller: Caller,
    /// The one namespace that is followed; none: all that the caller may read.
    only: Option<SmolStr>,
    guard: FeedGuard,
    /// Everything up to this group was looked at.
    group: u64,
    /// Events of the page that was read; bounded by `FOLLOW_READ_BYTES`.
    events: VecDeque<RootEvent>,
    known: BTreeMap<SmolStr, Known>,
    /// The state is to be told next, and whether that is because events were lost.
    state: Option<bool>,
    ended: bool,
}

impl Follower {
    pub(crate) fn open(
        store: &Arc<Store>,
        caller: Caller,
        only: Option<&str>,
        start: Start,
        wake: Wake,
    ) -> Result<Self, EngineError> {
        let guard = store.feed.follow(wake)?;
        let group = guard.newest();
        let mut follower = Self {
            store: store.clone(),
            caller,
            only: only.map(SmolStr::new),
            guard,
            group,
            events: VecDeque::new(),
            known: BTreeMap::new(),
            state: (start == Start::Initial).then_some(false),
            ended: false,
        };
        if let Some(name) = only {
            store.readable(caller, name)?;
        }
        follower.learn();
        if let Start::Version {
            incarnation,
            version,
        } = start
        {
            let Some(name) = only else {
                let message = "following from a version is for one namespace";
                return Err(EngineError::new(ErrorKind::Invalid, message));
            };
            follower.begin_at(&*store.readable(caller, name)?, incarnation, version);
        }
        Ok(follower)
    }

    fn begin_at(&mut self, namespace: &Namespace, incarnation: Option<u64>, version: u64) {
        let before = version.saturating_sub(1);
        let start = {
            let history = namespace.history();
            history
                .group_of(version)
                .filter(|_| before >= history.oldest())
        };
        if incarnation.is_some_and(|wanted| wanted != namespace.incarnation) {
            self.state = Some(true);
        } else if version > namespace.position().version {
            if let Some(known) = self.known.get_mut(&namespace.name) {
                known.version = before;
            }
        } else if let Some(group) = start {
            self.group = group - 1;
            if let Some(known) = self.known.get_mut(&namespace.name) {
                (known.version, known.root) = (before, None);
            }
        } else {
            self.state = Some(true);
        }
    }

    /// Takes what is published now as known.
    fn learn(&mut self) {
        self.known.clear();
        for namespace in self.store.namespaces() {
            if self
                .only
                .as_ref()
                .is_some_and(|only| *only != namespace.name)
            {
                continue;
            }
            let now = namespace.published();
            let known = Known {
                owner: namespace.owner(),
                incarnation: namespace.incarnation,
                version: now.version,
                root: Some(now.root),
                shared: namespace.is_shared_with(self.caller.uid),
            };
            self.known.insert(namespace.name.clone(), known);
        }
    }

    /// Whether the caller may know of the namespace now, or might when it was removed.
    fn readable(&self, name: &str, known: &Known) -> bool {
        match self.store.namespace(name) {
            Ok(now) if now.incarnation == known.incarnation => {
                self.store.may_read(self.caller, &now).is_ok()
            }
            _ => self.store.may_use(self.caller, known.owner) || known.shared,
        }
    }

    /// Whether the stream goes on, for one that may not be told anything now.
    ///
    /// # Errors
    /// `Permission` once the right to read the one namespace that is followed is gone.
    pub fn check(&self) -> Result<(), EngineError> {
        let only = self.only.as_ref();
        match only.map(|name| self.store.namespace(name)) {
            Some(Ok(namespace)) => self.store.may_read(self.caller, &namespace),
            _ => Ok(()),
        }
    }

    /// Of the one namespace that is followed: everything after this position is told. None if all
    /// are followed.
    pub fn position(&self) -> Option<Position> {
        let known = self.known.get(self.only.as_ref()?)?;
        Some(Position {
            incarnation: known.incarnation,
            version: known.version,
        })
    }

    /// The next event if there is one now; else `None`, and the follower's sink is woken when there
    /// may be one.
    ///
    /// # Errors
    /// `NoNamespace` after the one namespace that is followed was removed, `Permission` once the
    /// right to read it is gone, `Corrupt` for damaged data. Each ends the follower.
    pub async fn next(&mut self) -> Result<Option<RootEvent>, EngineError> {
        loop {
            self.check()?;
            if let Some(lost) = self.state.take() {
                return Ok(Some(self.state(lost)));
            }
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let (Some(name), true) = (&self.only, self.ended) {
                return Err(EngineError::no_namespace(name));
            }
            let newest = self.guard.newest();
            if self.group >= newest {
                return Ok(None);
            }
            match self.advance(newest).await {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Compacted => {
                    self.group = newest;
                    self.state = Some(true);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn state(&mut self, lost: bool) -> RootEvent {
        if lost {
            // Whatever is published by now is in the state; what of it is read again is left out.
            self.group = self.guard.newest();
            self.events.clear();
            self.learn();
        }
        let mut namespaces = Vec::new();
        for (name, known) in &self.known {
            if let (true, Some(root)) = (self.readable(name, known), known.root) {
                namespaces.push(NamespaceInfo {
                    name: name.clone(),
                    owner: known.owner,
                    flags: 0,
                    position: Position {
                        incarnation: known.incarnation,
                        version: known.version,
                    },
                    root,
                    readers: Vec::new(),
                });
            }
        }
        RootEvent::State { namespaces, lost }
    }

    async fn advance(&mut self, newest: u64) -> Result<(), EngineError> {
        for (number, group) in self.read(newest).await? {
            self.take_in(group).await?;
            self.group = number;
        }
        Ok(())
    }

    async fn read(&self, newest: u64) -> Result<Vec<(u64, Group)>, EngineError> {
        let from = self.group + 1;
        let read = move |store: &Arc<Store>| store.archive.groups(from, newest, FOLLOW_READ_BYTES);
        self.store.offload(read).await
    }

    async fn take_in(&mut self, group: Group) -> Result<(), EngineError> {
        let time_ms = group.time_ms;
        for record in group.records {
            match record {
                Record::Version(record) => self.moved(&record).await?,
                Record::Created {
                    namespace,
                    owner,
                    incarnation,
                } => {
                    let root = Directory::empty().seal(self.store.objects.params());
                    self.made(namespace, owner, incarnation, root, time_ms);
                }
                Record::Forked {
                    namespace,
                    owner,
                    incarnation,
                    root,
                    ..
                } => self.made(namespace, owner, incarnation, root, time_ms),
                Record::Shared { namespace, uid } => self.shared(&namespace, uid, true),
                Record::Withdrawn { namespace, uid } => self.shared(&namespace, uid, false),
                Record::Given {
                    namespace,
                    owner,
                    before,
                    ..
                } => self.given(namespace, owner, before, time_ms),
                Record::Removed { namespace } => self.removed(namespace, time_ms),
                Record::Reincarnated {
                    namespace,
                    incarnation,
                } => {
                    let Some(known) = self.known.get_mut(&namespace) else {
                        continue;
                    };
                    let new = known.incarnation != incarnation;
                    known.incarnation = incarnation;
                    let known = known.clone();
                    if new && self.readable(&namespace, &known) {
                        self.events.push_back(RootEvent::Reincarnated {
                            namespace,
                            incarnation,
                            time_ms,
                        });
                    }
                }
                Record::Pinned(_) | Record::Unpinned { .. } | Record::PackAdded { .. } => {}
            }
        }
        Ok(())
    }

    fn made(
        &mut self,
        namespace: SmolStr,
        owner: u32,
        incarnation: u64,
        root: Blobref,
        time_ms: u64,
    ) {
        let other = self.only.as_ref().is_some_and(|only| *only != namespace);
        let known = self.known.get(&namespace);
        if other || known.is_some_and(|known| known.incarnation == incarnation) {
            return;
        }
        let known = Known {
            owner,
            incarnation,
            version: 0,
            root: Some(root),
            shared: false,
        };
        if self.readable(&namespace, &known) {
            self.events.push_back(RootEvent::Created {
                namespace: namespace.clone(),
                owner,
                incarnation,
                time_ms,
            });
        }
        self.known.insert(namespace, known);
    }

    fn shared(&mut self, namespace: &str, uid: u32, shared: bool) {
        if let (true, Some(known)) = (uid == self.caller.uid, self.known.get_mut(namespace)) {
            known.shared = shared;
        }
    }

    fn given(&mut self, namespace: SmolStr, owner: u32, before: u32, time_ms: u64) {
        let Some(known) = self.known.get_mut(&namespace) else {
            return;
        };
        known.owner = owner;
        known.shared &= ![owner, before].contains(&self.caller.uid);
        let known = known.clone();
        // To who owned it before it is the last that is told of the namespace.
        if self.readable(&namespace, &known) || before == self.caller.uid {
            self.events.push_back(RootEvent::OwnerChanged {
                namespace,
                owner,
                before,
                time_ms,
            });
        }
    }

    fn removed(&mut self, namespace: SmolStr, time_ms: u64) {
        // One that is there again under a later incarnation was made after this removal.
        let Some(known) = self.known.remove(&namespace) else {
            return;
        };
        self.ended |= self.only.is_some();
        if self.readable(&namespace, &known) {
            self.events
                .push_back(RootEvent::Removed { namespace, time_ms });
        }
    }

    async fn moved(&mut self, record: &VersionRecord) -> Result<(), EngineError> {
        let Some(known) = self.known.get_mut(&record.namespace) else {
            return Ok(());
        };
        if record.version <= known.version {
            return Ok(());
        }
        let previous = match known.root.replace(record.root) {
            Some(root) => root,
            None => {
                let namespace = self.store.namespace(&record.namespace)?;
                root_of(&self.store, &namespace, record.version - 1)
                    .await?
                    .root
            }
        };
        known.version = record.version;
        let known = known.clone();
        if !self.readable(&record.namespace, &known) {
            return Ok(());
        }
        self.events.push_back(RootEvent::Moved {
            namespace: record.namespace.clone(),
            position: Position {
                incarnation: record.incarnation,
                version: record.version,
            },
            root: record.root,
            previous,
            time_ms: record.time_ms,
            transactions: transactions_of(record),
            keys: keys_of(record),
        });
        Ok(())
    }
}
