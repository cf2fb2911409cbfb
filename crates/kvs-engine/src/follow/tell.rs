//! From a record of the journal to what a follower is told of it: one event, or none.

use kvs_tree::{Blobref, Directory};
use smol_str::SmolStr;

use super::known::{Known, Sight};
use crate::error::EngineError;
use crate::event::RootEvent;
use crate::record::{Record, VersionRecord};
use crate::reference::Position;
use crate::told::{keys_of, transactions_of};

impl Sight {
    /// Takes a record in, and tells of it what the caller may know.
    pub(super) async fn tell(
        &mut self,
        record: Record,
        time_ms: u64,
    ) -> Result<Option<RootEvent>, EngineError> {
        Ok(match record {
            Record::Version(record) => return self.moved(&record).await,
            Record::Created {
                namespace,
                owner,
                incarnation,
            } => {
                let root = Directory::empty().seal(self.store.objects.params());
                self.made(namespace, (owner, incarnation, root), time_ms)
            }
            Record::Forked {
                namespace,
                owner,
                incarnation,
                root,
                ..
            } => self.made(namespace, (owner, incarnation, root), time_ms),
            Record::Shared { namespace, uid } => self.shared(&namespace, uid, true),
            Record::Withdrawn { namespace, uid } => self.shared(&namespace, uid, false),
            Record::Given {
                namespace,
                incarnation,
                owner,
                before,
            } => self.given(namespace, incarnation, (owner, before), time_ms),
            Record::Removed {
                namespace,
                incarnation,
                owner,
                readers,
            } => {
                let shared = readers.contains(&self.caller.uid);
                self.removed(namespace, incarnation, (owner, shared), time_ms)
            }
            Record::Reincarnated {
                namespace,
                incarnation,
            } => self.reincarnated(namespace, incarnation, time_ms),
            Record::Pinned(_) | Record::Unpinned { .. } | Record::PackAdded { .. } => None,
        })
    }

    async fn moved(&mut self, record: &VersionRecord) -> Result<Option<RootEvent>, EngineError> {
        let Some(known) = self.before(record) else {
            return Ok(None);
        };
        let previous = known.root.replace(record.root);
        known.version = record.version;
        let known = known.clone();
        if !self.readable(&record.namespace, &known) {
            return Ok(None);
        }
        let previous = match previous {
            Some(root) => Some(root),
            None => self.root_before(record).await?,
        };
        let Some(previous) = previous else {
            // It was removed meanwhile: of what nobody can read any more only that is told.
            self.known.remove(&record.namespace);
            return Ok(None);
        };
        Ok(Some(RootEvent::Moved {
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
        }))
    }

    fn made(
        &mut self,
        namespace: SmolStr,
        (owner, incarnation, root): (u32, u64, Blobref),
        time_ms: u64,
    ) -> Option<RootEvent> {
        let known = self.known.get(&namespace);
        if !self.follows(&namespace) || known.is_some_and(|known| known.incarnation == incarnation)
        {
            return None;
        }
        let known = Known {
            owner,
            incarnation,
            version: 0,
            root: Some(root),
            shared: false,
        };
        let readable = self.readable(&namespace, &known);
        self.known.insert(namespace.clone(), known);
        readable.then_some(RootEvent::Created {
            namespace,
            owner,
            incarnation,
            time_ms,
        })
    }

    fn shared(&mut self, namespace: &str, uid: u32, shared: bool) -> Option<RootEvent> {
        if let (true, Some(known)) = (uid == self.caller.uid, self.known.get_mut(namespace)) {
            known.shared = shared;
        }
        None
    }

    fn given(
        &mut self,
        namespace: SmolStr,
        incarnation: u64,
        (owner, before): (u32, u32),
        time_ms: u64,
    ) -> Option<RootEvent> {
        let met = self.late && self.follows(&namespace);
        let known = self.known.get_mut(&namespace);
        let known = known.filter(|known| known.incarnation == incarnation);
        let known = match known {
            // What came before the version to begin with is not told.
            Some(known) if known.root.is_none() => return None,
            Some(known) => {
                known.owner = owner;
                known.shared &= ![owner, before].contains(&self.caller.uid);
                known.clone()
            }
            None if met => Known {
                owner,
                incarnation,
                version: 0,
                root: None,
                shared: false,
            },
            None => return None,
        };
        // To who owned it before it is the last that is told of the namespace.
        let told = self.readable(&namespace, &known) || before == self.caller.uid;
        told.then_some(RootEvent::OwnerChanged {
            namespace,
            owner,
            before,
            time_ms,
        })
    }

    fn removed(
        &mut self,
        namespace: SmolStr,
        incarnation: u64,
        (owner, shared): (u32, bool),
        time_ms: u64,
    ) -> Option<RootEvent> {
        match self.known.get(&namespace) {
            Some(known) if known.incarnation == incarnation => {
                self.known.remove(&namespace);
            }
            None if self.late && self.follows(&namespace) => {}
            // One that is known under a later incarnation was made after this removal.
            _ => return None,
        }
        self.ended |= self.only.is_some();
        let told = self.store.may_use(self.caller, owner) || shared;
        told.then_some(RootEvent::Removed { namespace, time_ms })
    }

    fn reincarnated(
        &mut self,
        namespace: SmolStr,
        incarnation: u64,
        time_ms: u64,
    ) -> Option<RootEvent> {
        let known = self.known.get_mut(&namespace)?;
        if std::mem::replace(&mut known.incarnation, incarnation) == incarnation {
            return None;
        }
        let known = known.clone();
        let readable = self.readable(&namespace, &known);
        readable.then_some(RootEvent::Reincarnated {
            namespace,
            incarnation,
            time_ms,
        })
    }
}
