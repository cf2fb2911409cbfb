//! Turns a record of the journal into a follower's event, if the caller may see one.

use std::sync::Arc;

use kvs_tree::Blobref;
use smol_str::SmolStr;

use super::known::Sight;
use crate::error::EngineError;
use crate::event::RootEvent;
use crate::past::GroupInfo;
use crate::reference::Position;
use crate::state::{Notice, Record, Terms, VersionRecord};
use crate::version_changes::{keys_of, transactions_of};

impl Sight {
    /// Applies a record and returns its event, if the caller may see it.
    pub(super) async fn tell(
        &mut self,
        info: GroupInfo,
        record: &Record,
    ) -> Result<Option<RootEvent>, EngineError> {
        if !self.is_news(record) {
            return Ok(None);
        }
        let time_ms = info.time_ms;
        Ok(match self.state.apply(info, record)? {
            Notice::Moved { record, previous } => return self.moved(&record, previous).await,
            Notice::Began {
                namespace, terms, ..
            } => self
                .readable(&namespace, &terms)
                .then(|| RootEvent::Created {
                    namespace,
                    owner: terms.owner,
                    incarnation: terms.incarnation,
                    time_ms,
                }),
            Notice::Ended { namespace, terms } => {
                self.ended |= self.only.is_some();
                let told = self.store.authority().may_read(self.caller, &terms);
                told.then_some(RootEvent::Removed { namespace, time_ms })
            }
            Notice::Terms {
                namespace,
                before,
                after,
            } => self.changed(namespace, &before, &after, time_ms),
            Notice::Pinned(_) | Notice::Unpinned { .. } | Notice::PackAdded(_) | Notice::Store => {
                None
            }
        })
    }

    async fn moved(
        &mut self,
        record: &Arc<VersionRecord>,
        previous: Option<Blobref>,
    ) -> Result<Option<RootEvent>, EngineError> {
        let terms = self.state.namespace(&record.namespace);
        let terms = terms.map(|known| known.terms.clone());
        if !terms.is_some_and(|terms| self.readable(&record.namespace, &terms)) {
            return Ok(None);
        }
        let previous = match previous {
            Some(root) => Some(root),
            None => self.root_before(record).await?,
        };
        let Some(previous) = previous else {
            // It was removed meanwhile: its versions are unreadable, only its removal is reported.
            self.state.forget(&record.namespace);
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

    fn changed(
        &mut self,
        namespace: SmolStr,
        before: &Terms,
        after: &Terms,
        time_ms: u64,
    ) -> Option<RootEvent> {
        let readable = self.readable(&namespace, after);
        if before.incarnation != after.incarnation {
            return readable.then_some(RootEvent::Reincarnated {
                namespace,
                incarnation: after.incarnation,
                time_ms,
            });
        }
        if before.owner == after.owner {
            return None;
        }
        if self.met(&namespace) {
            // Its current terms are unknown; the next record about it has them.
            self.state.forget(&namespace);
        }
        // For the previous owner this is the last event of the namespace.
        let told = readable || before.owner == self.caller;
        told.then_some(RootEvent::OwnerChanged {
            namespace,
            owner: after.owner,
            before: before.owner,
            time_ms,
        })
    }

    /// Whether the namespace was only just added, by a record that is not one of its versions.
    fn met(&self, name: &str) -> bool {
        let known = self.state.namespace(name);
        self.late && known.is_some_and(|known| known.root.is_none() && known.version == 0)
    }
}
