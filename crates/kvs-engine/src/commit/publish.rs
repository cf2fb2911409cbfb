//! A group became durable: roots move, committers are answered, whoever watches is woken. Or it did not:
//! everything computed since is dropped, and everyone is told.

use std::sync::Arc;

use smol_str::SmolStr;

use super::group::Item;
use super::life::Life;
use super::task::{CommitTask, InFlight};
use super::writer::{Job, Report};
use crate::catalog::CheckpointRoot;
use crate::error::{EngineError, ErrorKind, Stopped};
use crate::history::{History, RootAt};
use crate::journal::Appended;
use crate::namespace::{Namespace, Publication};
use crate::pack::PackId;
use crate::record::{Record, VersionRecord};
use crate::store::Pinned;

use super::head::{ClosedVersion, Head};

impl CommitTask {
    /// Has the journal write what was built. What came of it, if it was written at once.
    pub(super) fn send_group(&mut self) -> Option<Report> {
        self.time.watch_for_jumps();
        let mut group = std::mem::take(&mut self.building);
        let (time_ms, sync) = (self.now(), self.durable());
        let staged = group.staged().to_vec();
        let here = !sync && staged.is_empty();
        let job = Job::Append {
            after: self.catalog.group,
            time_ms,
            drafts: group.drafts(),
            staged,
            sync,
        };
        self.in_flight = Some(InFlight { group, time_ms });
        if here {
            // What takes no sync takes less than waking another thread for it.
            return self.writer.perform_here(job);
        }
        self.writer.submit(job);
        None
    }

    /// Takes the journal's answer about the group that was in flight.
    pub(super) fn on_appended(
        &mut self,
        appended: Appended,
        packs: &[PackId],
        records: Vec<Record>,
    ) {
        match appended {
            Appended::Done(number) => {
                self.trouble.group_written();
                self.publish(number, packs, records);
            }
            Appended::NotWritten(error) => {
                self.trouble.group_refused(self.time.uptime(), &error);
                self.not_written(&error.into());
            }
            Appended::Unknown(error) => self.poison(&error.into()),
        }
    }

    fn publish(&mut self, number: u64, packs: &[PackId], records: Vec<Record>) {
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        self.unsynced |= !self.durable();
        self.answered = true;
        self.store.objects.unstage(in_flight.group.staged());
        for &pack in packs {
            let added = Record::PackAdded { pack };
            if let Err(error) = self.catalog.apply(number, in_flight.time_ms, &added) {
                return self.poison(&error);
            }
        }
        let (items, held) = in_flight.group.take();
        for (item, record) in items.into_iter().zip(records) {
            let time_ms = in_flight.time_ms;
            let published = match (item, record) {
                (Item::Version(version), Record::Version(record)) => {
                    self.publish_version(number, time_ms, version, record)
                }
                (_, record) => self.publish_other(number, time_ms, &record),
            };
            if let Err(error) = published {
                // The state that was built and the state that was recorded have parted ways.
                return self.fail(Stopped::internal(error.message));
            }
        }
        self.store.feed.published(number);
        held.into_iter().for_each(|reply| reply(Ok(())));
        self.matching.wake_some(&self.store, true);
    }

    fn publish_version(
        &mut self,
        number: u64,
        time_ms: u64,
        version: ClosedVersion,
        record: Arc<VersionRecord>,
    ) -> Result<(), EngineError> {
        self.catalog
            .apply(number, time_ms, &Record::Version(record.clone()))?;
        self.versions_since += 1;
        let Some(head) = self.heads.get_mut(&record.namespace) else {
            // Its removal is a later record, so this is a fault of this program.
            let error = EngineError::no_namespace(&record.namespace);
            version.refuse(&error);
            return Err(error);
        };
        head.published(&record);
        let root = record.root;
        let effects = record.transactions.iter().map(|one| one.effects.len());
        self.matching.owe(effects.sum());
        let publication = Publication {
            root: RootAt {
                version: record.version,
                time_ms: record.time_ms,
                directory: version.directory.clone(),
                root,
            },
            group: number,
            bytes: version.bytes,
            record,
        };
        head.namespace.publish(publication);
        self.matching.stirred(&head.namespace);
        version.answer(head.namespace.incarnation, root);
        Ok(())
    }

    fn publish_other(
        &mut self,
        number: u64,
        time_ms: u64,
        record: &Record,
    ) -> Result<(), EngineError> {
        self.catalog.apply(number, time_ms, record)?;
        match record {
            Record::Created {
                namespace,
                owner,
                incarnation,
            } => {
                let params = self.store.objects.params();
                let origin = CheckpointRoot::origin(params, number, time_ms);
                self.begin(namespace, *owner, *incarnation, number, origin);
                self.store.feed.created();
            }
            Record::Forked {
                namespace,
                owner,
                incarnation,
                root,
                stats,
            } => {
                let origin = CheckpointRoot::forked(*root, *stats, number, time_ms);
                self.begin(namespace, *owner, *incarnation, number, origin);
                self.store.feed.created();
            }
            Record::Removed { namespace, .. } => {
                self.heads.remove(namespace);
                self.store
                    .pins()
                    .retain(|_, p| p.pin.snapshot.namespace != *namespace);
                if let Some(removed) = self.store.remove_namespace(namespace) {
                    removed.remove();
                    self.matching.stirred(&removed);
                }
            }
            Record::Pinned(pin) => {
                if let Some((root, _)) = self.pinning.remove(&pin.id) {
                    self.store.pins().insert(
                        pin.id,
                        Pinned {
                            pin: pin.clone(),
                            root,
                        },
                    );
                }
            }
            Record::Unpinned { id } => {
                self.leases.set(*id, None);
                self.store.pins().remove(id);
            }
            Record::Shared { namespace, uid } => {
                if let Some(head) = self.heads.get(namespace) {
                    head.namespace.share(*uid);
                }
            }
            Record::Withdrawn { namespace, uid } => {
                if let Some(head) = self.heads.get(namespace) {
                    head.namespace.withdraw(*uid);
                    self.matching.stirred(&head.namespace);
                }
            }
            Record::Given {
                namespace,
                owner,
                before,
                ..
            } => {
                if let Some(head) = self.heads.get(namespace) {
                    head.namespace.give(*owner, *before);
                    self.matching.stirred(&head.namespace);
                }
            }
            Record::Version(_) | Record::Reincarnated { .. } | Record::PackAdded { .. } => {}
        }
        Ok(())
    }

    /// A namespace is there, at version 0.
    fn begin(
        &mut self,
        name: &SmolStr,
        owner: u32,
        incarnation: u64,
        number: u64,
        origin: CheckpointRoot,
    ) {
        self.creating.remove(name);
        let root = RootAt {
            version: 0,
            time_ms: origin.time_ms,
            directory: origin.directory(),
            root: origin.root,
        };
        let history = History::new(vec![origin], Vec::new());
        let new = Namespace::new(name.clone(), owner, incarnation, root, history);
        let new = Arc::new(new.made_by(number));
        self.heads.insert(name.clone(), Head::new(new.clone()));
        self.store.insert_namespace(new);
    }

    /// Nothing of the group in flight is on disk: drops it and everything built on it.
    pub(super) fn not_written(&mut self, error: &EngineError) {
        let groups = self.in_flight.take().map(|f| f.group);
        for group in groups
            .into_iter()
            .chain([std::mem::take(&mut self.building)])
        {
            self.store.objects.unstage(group.staged());
            group.refuse(error);
        }
        self.drop_heads(error);
        if error.kind == ErrorKind::NoSpace {
            // A checkpoint lets the journal give space back.
            self.bytes_since = self.bytes_since.max(self.config.checkpoint_bytes());
        }
    }

    /// What became of the group in flight is not known, so nothing more may be acknowledged.
    pub(super) fn poison(&mut self, error: &EngineError) {
        self.fail(Stopped::by(error));
    }

    /// The store stops: nothing more is acknowledged.
    pub(super) fn fail(&mut self, stopped: Stopped) {
        tracing::error!("the store stops: {stopped}");
        let unknown = EngineError::new(
            ErrorKind::OutcomeUnknown,
            format!("whether this took effect is not known, ask again after a restart: {stopped}"),
        );
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.group.refuse(&unknown);
        }
        self.life.send_replace(Life::Stopped(stopped));
        self.refuse_everything();
    }

    /// Answers everything that waits with the error that stopped the store.
    pub(super) fn refuse_everything(&mut self) {
        let Some(error) = self.life.borrow().failure().cloned() else {
            return;
        };
        std::mem::take(&mut self.building).refuse(&error);
        self.drop_heads(&error);
        let waiting = self.syncing.take().unwrap_or_default();
        let checkpoints = self
            .checkpoint_wanted
            .drain(..)
            .chain(self.checkpoint_waiting.drain(..));
        for reply in waiting.into_iter().chain(checkpoints) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    fn drop_heads(&mut self, error: &EngineError) {
        self.open.clear();
        self.creating.clear();
        self.pinning.clear();
        self.heads.values_mut().for_each(|head| head.refuse(error));
    }
}
