//! What a follower knows of the namespaces that it follows, as of the record that it has read.

use std::sync::Arc;

use kvs_tree::Blobref;
use smol_str::SmolStr;

use crate::error::{EngineError, ErrorKind};
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::{NamespaceInfo, Principal};
use crate::state::{NamespaceState, Record, State, Subject, Terms, VersionRecord};
use crate::store::Store;

/// What is followed, for whom, and what is known of it.
pub(super) struct Sight {
    pub(super) store: Arc<Store>,
    pub(super) caller: Principal,
    /// The one namespace that is followed; none: all that the caller may read.
    pub(super) only: Option<SmolStr>,
    /// The namespaces that are followed, as of the record that was read. A root that is not known is
    /// that before the version to begin with.
    pub(super) state: State,
    /// What is read lies in the past, so that a namespace may be met that is not known yet.
    pub(super) late: bool,
    /// The one namespace was removed.
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

    /// Knows of no namespace any more.
    pub(super) fn forget_all(&mut self) {
        self.state = State::new(self.store.objects.params());
    }

    /// Takes what is published now as known.
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

    /// Whether a record is to be applied. What the state includes already, and what is not followed, is
    /// not. A namespace that is met here first, since the past is read, stood as the record says.
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
        // What changes hands before the version to begin with is in what was learnt.
        let begun = subject.terms.is_none() || known.root.is_some();
        let news = same && newer && begun && !subject.begins;
        if let (true, Some(terms)) = (news && self.late, subject.terms.take()) {
            // What was taken for its terms when it was met are those of now. The record knows better.
            let (version, root) = (known.version, known.root);
            let readers = known.terms.readers.clone();
            let terms = Terms { readers, ..terms };
            self.state.assume(name, Arc::new(terms), version, root);
        }
        news
    }

    /// Meets a namespace; whether anything can be said of it.
    fn meet(&mut self, subject: &Subject<'_>) -> bool {
        let name = subject.namespace;
        if let Some(terms) = &subject.terms {
            self.state.assume(name, Arc::new(terms.clone()), 0, None);
            return true;
        }
        let (Some(incarnation), Some(version)) = (subject.incarnation, subject.version) else {
            return false;
        };
        // It is gone by now: of what nobody can read any more only that is told.
        let Some(namespace) = self.life(name, incarnation) else {
            return false;
        };
        let (terms, before) = (namespace.terms().clone(), version.saturating_sub(1));
        self.state.assume(name, terms, before, None);
        true
    }

    /// The root that a version replaced; none if the namespace is gone by now.
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
            // The record says it with one read; only the oldest retained version has none.
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

    /// The namespace, if it is still in that life.
    fn life(&self, name: &str, incarnation: u64) -> Option<Arc<Namespace>> {
        let namespace = self.store.namespace(name).ok()?;
        (namespace.incarnation == incarnation).then_some(namespace)
    }

    /// Whether the caller may know of the namespace now, or, if that incarnation of it is gone, might
    /// under the terms that it had.
    pub(super) fn readable(&self, name: &str, terms: &Terms) -> bool {
        match self.life(name, terms.incarnation) {
            Some(namespace) => self.store.may_read(self.caller, &namespace).is_ok(),
            None => self.store.authority().may_read(self.caller, terms),
        }
    }

    /// Refuses to go on with the one namespace that is followed when the caller may not read it now.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        let only = self.only.as_ref();
        match only.map(|name| self.store.namespace(name)) {
            Some(Ok(namespace)) => self.store.may_read(self.caller, &namespace),
            _ => Ok(()),
        }
    }

    /// The one namespace that is followed, as far as it is known.
    fn one(&self) -> Option<&NamespaceState> {
        self.state.namespace(self.only.as_ref()?)
    }

    /// Of the one namespace that is followed: how far it is known.
    pub(super) fn position(&self) -> Option<Position> {
        self.one().map(position)
    }

    /// Whether the version was met that the one namespace is to be followed from.
    pub(super) fn has_begun(&self) -> bool {
        self.one().is_none_or(|known| known.root.is_some())
    }

    /// How things stand.
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
