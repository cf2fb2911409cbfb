//! What a follower knows of the namespaces that it follows, as of the record that it has read.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::Blobref;
use smol_str::SmolStr;

use crate::error::{EngineError, ErrorKind};
use crate::namespace::Namespace;
use crate::record::VersionRecord;
use crate::reference::Position;
use crate::request::{Caller, NamespaceInfo};
use crate::store::Store;

/// A namespace as far as it was followed.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) owner: u32,
    pub(super) incarnation: u64,
    pub(super) version: u64,
    /// None until the next version is met.
    pub(super) root: Option<Blobref>,
    /// Whether it is shared with the caller.
    pub(super) shared: bool,
}

impl Known {
    /// A namespace as it is now.
    fn of(namespace: &Namespace, caller: Caller) -> Self {
        let now = namespace.published();
        Self {
            owner: namespace.owner(),
            incarnation: namespace.incarnation,
            version: now.version,
            root: Some(now.root),
            shared: namespace.is_shared_with(caller.uid),
        }
    }
}

/// What is followed, for whom, and what is known of it.
pub(super) struct Sight {
    pub(super) store: Arc<Store>,
    pub(super) caller: Caller,
    /// The one namespace that is followed; none: all that the caller may read.
    pub(super) only: Option<SmolStr>,
    pub(super) known: BTreeMap<SmolStr, Known>,
    /// What is read lies in the past, so that a namespace may be met that is not known yet.
    pub(super) late: bool,
    /// The one namespace was removed.
    pub(super) ended: bool,
}

impl Sight {
    pub(super) fn new(store: &Arc<Store>, caller: Caller, only: Option<&str>) -> Self {
        Self {
            store: store.clone(),
            caller,
            only: only.map(SmolStr::new),
            known: BTreeMap::new(),
            late: false,
            ended: false,
        }
    }

    pub(super) fn follows(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    /// Takes what is published now as known.
    pub(super) fn learn(&mut self) {
        self.late = false;
        self.known.clear();
        for namespace in self.store.namespaces() {
            if self.follows(&namespace.name) {
                let known = Known::of(&namespace, self.caller);
                self.known.insert(namespace.name.clone(), known);
            }
        }
    }

    /// What is known of the namespace of a version. One that is met here first, since its past is read, stood at the version
    /// before. None if it is not followed, or is gone by now.
    pub(super) fn before(&mut self, record: &VersionRecord) -> Option<&mut Known> {
        if !self.follows(&record.namespace) {
            return None;
        }
        if self.late && !self.known.contains_key(&record.namespace) {
            let namespace = self.life(&record.namespace, record.incarnation)?;
            let known = Known {
                version: record.version.saturating_sub(1),
                root: None,
                ..Known::of(&namespace, self.caller)
            };
            self.known.insert(record.namespace.clone(), known);
        }
        let known = self.known.get_mut(&record.namespace)?;
        let next = record.incarnation == known.incarnation && record.version > known.version;
        next.then_some(known)
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

    /// Whether the caller may know of the namespace now, or, if that life of it is over, might when
    /// it was as is known.
    pub(super) fn readable(&self, name: &str, known: &Known) -> bool {
        match self.life(name, known.incarnation) {
            Some(namespace) => self.store.may_read(self.caller, &namespace).is_ok(),
            None => self.store.may_use(self.caller, known.owner) || known.shared,
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

    /// Of the one namespace that is followed: how far it is known.
    pub(super) fn position(&self) -> Option<Position> {
        self.known.get(self.only.as_ref()?).map(position)
    }

    /// Whether the version was met that the one namespace is to be followed from.
    pub(super) fn has_begun(&self) -> bool {
        let known = self.only.as_ref().and_then(|only| self.known.get(only));
        known.is_none_or(|known| known.root.is_some())
    }

    /// How things stand.
    pub(super) fn infos(&self) -> Vec<NamespaceInfo> {
        let mut namespaces = Vec::new();
        for (name, known) in &self.known {
            if let (true, Some(root)) = (self.readable(name, known), known.root) {
                namespaces.push(NamespaceInfo {
                    name: name.clone(),
                    owner: known.owner,
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

fn position(known: &Known) -> Position {
    Position {
        incarnation: known.incarnation,
        version: known.version,
    }
}
