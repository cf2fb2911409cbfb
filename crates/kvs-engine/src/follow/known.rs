//! The state of the followed namespaces, as of the last record that a follower has read.

use std::sync::Arc;

use kvs_tree::Blobref;
use smol_str::SmolStr;

use crate::error::{EngineError, ErrorKind};
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::{NamespaceInfo, Principal};
use crate::state::{NamespaceState, Record, State, Subject, Terms, VersionRecord};
use crate::store::Store;

/// What is followed, for which caller, and its state so far.
pub(super) struct Sight {
    pub(super) store: Arc<Store>,
    pub(super) caller: Principal,
    /// The one namespace that is followed; `None`: all that the caller may read.
    pub(super) only: Option<SmolStr>,
    /// The followed namespaces, as of the last record read. A root is `None` until the first
    /// version to be reported has been read.
    pub(super) state: State,
    /// Whether the past is being read, so that records may concern namespaces not in `state` yet.
    pub(super) late: bool,
    /// Whether the one namespace was removed.
    pub(super) ended: bool,
}

impl Sight {
    pub(super) fn new(store: &Arc<Store>, caller: Principal, only: Option<&str>) -> Self {
        Self {
            store: store.clone(),
            caller,
            only: only.map(SmolStr::new),
            state: State::new(store.objects.params()),
            late: false,
            ended: false,
        }
    }

    pub(super) fn follows(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    /// Clears the state.
    pub(super) fn forget_all(&mut self) {
        self.state = State::new(self.store.objects.params());
    }

    /// Sets the state to what is published now.
    pub(super) fn learn(&mut self) {
        self.late = false;
        self.forget_all();
        for namespace in self.store.namespaces() {
            if self.follows(&namespace.name) {
                let (terms, now) = (namespace.terms().clone(), namespace.published());
                self.state
                    .assume(&namespace.name, terms, now.version, Some(now.root));
            }
        }
    }

    /// Whether the record is to be applied: it concerns a followed namespace and is not part of the
    /// state yet. While the past is read, a namespace not in the state yet is added as of before
    /// the record.
    pub(super) fn is_news(&mut self, record: &Record) -> bool {
        let Some(mut subject) = record.subject() else {
            return false;
        };
        let name = subject.namespace;
        if !self.follows(name) {
            return false;
        }
        let Some(known) = self.state.namespace(name) else {
            return subject.begins || (self.late && self.meet(&subject));
        };
        let incarnation = known.terms.incarnation;
        let same = subject.incarnation.is_none_or(|of| of == incarnation);
        let newer = subject
            .version
            .is_none_or(|version| version > known.version);
        // Changes of terms before the first version to be reported are already in the state.
        let begun = subject.terms.is_none() || known.root.is_some();
        let news = same && newer && begun && !subject.begins;
        if let (true, Some(terms)) = (news && self.late, subject.terms.take()) {
            // The terms assumed when it was added are the current ones; the record has those of its
            // time.
            let (version, root) = (known.version, known.root);
            let readers = known.terms.readers.clone();
            let terms = Terms { readers, ..terms };
            self.state.assume(name, Arc::new(terms), version, root);
        }
        news
    }

    /// Adds a namespace as of before a record of it; false if nothing is known about it.
    fn meet(&mut self, subject: &Subject<'_>) -> bool {
        let name = subject.namespace;
        if let Some(terms) = &subject.terms {
            self.state.assume(name, Arc::new(terms.clone()), 0, None);
            return true;
        }
        let (Some(incarnation), Some(version)) = (subject.incarnation, subject.version) else {
            return false;
        };
        // The namespace no longer exists: its versions are unreadable, only its removal is
        // reported.
        let Some(namespace) = self.life(name, incarnation) else {
            return false;
        };
        let (terms, before) = (namespace.terms().clone(), version.saturating_sub(1));
        self.state.assume(name, terms, before, None);
        true
    }

    /// The root that the version replaced; `None` if the namespace no longer exists.
    ///
    /// # Errors
    /// `Compacted` if it is not retained, `Corrupt`.
    pub(super) async fn root_before(
        &self,
        record: &VersionRecord,
    ) -> Result<Option<Blobref>, EngineError> {
        let Some(namespace) = self.life(&record.namespace, record.incarnation) else {
            return Ok(None);
        };
        let version = record.version.saturating_sub(1);
        let work = move |store: &Arc<Store>| {
            // The record has it and costs one read; it is missing only before the oldest retained
            // version.
            match store.archive.records(&namespace, version, 1) {
                Err(error) if error.kind != ErrorKind::Compacted => return Err(error),
                Ok(records) if !records.is_empty() => {
                    return Ok(records.first().map(|record| record.root));
                }
                _ => {}
            }
            let root = store.archive.root(&namespace, version)?;
            Ok(Some(root.root))
        };
        self.store.offload(work).await
    }

    /// The namespace, if it still has this incarnation.
    fn life(&self, name: &str, incarnation: u64) -> Option<Arc<Namespace>> {
        let namespace = self.store.namespace(name).ok()?;
        (namespace.incarnation == incarnation).then_some(namespace)
    }

    /// Whether the caller may read the namespace now or, if that incarnation no longer exists,
    /// could under its terms.
    pub(super) fn readable(&self, name: &str, terms: &Terms) -> bool {
        match self.life(name, terms.incarnation) {
            Some(namespace) => self.store.may_read(self.caller, &namespace).is_ok(),
            None => self.store.authority().may_read(self.caller, terms),
        }
    }

    /// Fails if the caller may no longer read the one namespace that is followed.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let only = self.only.as_ref();
        match only.map(|name| self.store.namespace(name)) {
            Some(Ok(namespace)) => self.store.may_read(self.caller, &namespace),
            _ => Ok(()),
        }
    }

    /// The state of the one namespace that is followed.
    fn one(&self) -> Option<&NamespaceState> {
        self.state.namespace(self.only.as_ref()?)
    }

    /// The position reached in the one namespace that is followed.
    pub(super) fn position(&self) -> Option<Position> {
        self.one().map(position)
    }

    /// Whether the first version to be reported has been read.
    pub(super) fn has_begun(&self) -> bool {
        self.one().is_none_or(|known| known.root.is_some())
    }

    /// The readable namespaces and their positions.
    pub(super) fn infos(&self) -> Vec<NamespaceInfo> {
        let mut namespaces = Vec::new();
        for (name, known) in self.state.namespaces() {
            if let (true, Some(root)) = (self.readable(name, &known.terms), known.root) {
                namespaces.push(NamespaceInfo {
                    name: name.clone(),
                    owner: known.terms.owner,
                    flags: 0,
                    position: position(known),
                    root,
                    readers: Vec::new(),
                });
            }
        }
        namespaces
    }
}

fn position(known: &NamespaceState) -> Position {
    Position {
        incarnation: known.terms.incarnation,
        version: known.version,
    }
}
