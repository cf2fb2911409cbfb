//! When a group becomes durable, roots move, committers are answered and watches are woken. When it
//! fails, everything computed since is dropped and its committers get the error.

use std::sync::Arc;

use super::group::Item;
use super::life::Life;
use super::task::{CommitTask, InFlight};
use super::writer::{Job, Report};
use crate::error::{EngineError, ErrorKind, Stopped};
use crate::history::RootAt;
use crate::journal::Appended;
use crate::namespace::Publication;
use crate::pack::PackId;
use crate::past::GroupInfo;
use crate::state::{Notice, Record, VersionRecord};
use crate::store::Pinned;

use super::head::{ClosedVersion, Head};

impl CommitTask {
    /// Hands the built group to the journal. Returns the report if it was written at once.
    pub(super) fn send_group(&mut self) -> Option<Report> {
        self.time.watch_for_jumps();
        if let Err(error) = self.note_upkeep() {
            self.fail(Stopped::internal(error.message));
            return None;
        }
        let begun = self.begun();
        let mut group = std::mem::take(&mut self.building);
        let sync = self.durable();
        let staged = group.staged().to_vec();
        let here = !sync && staged.is_empty();
        let job = Job::Append {
            after: self.published.group(),
            begun,
            drafts: group.drafts(),
            staged,
            sync,
        };
        self.in_flight = Some(InFlight { group, begun });
        if here {
            // Without a sync, the write takes less time than waking another thread for it.
            return self.writer.perform_here(job);
        }
        self.writer.submit(job);
        None
    }

    /// Handles the journal's result for the group in flight.
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
            Appended::Unknown(error) | Appended::Fenced(error) => self.poison(&error.into()),
        }
    }

    fn publish(&mut self, number: u64, packs: &[PackId], records: Vec<Record>) {
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        self.unsynced |= !self.durable();
        self.answered = true;
        self.store.objects.unstage(in_flight.group.staged());
        let info = in_flight.begun.info(number);
        let (items, held) = in_flight.group.take();
        let packs = packs.iter().map(|&pack| Record::PackAdded { pack });
        let packs = packs.map(|record| (None, record));
        let records = items.into_iter().map(Item::version).zip(records);
        for (version, record) in packs.chain(records) {
            if let Err(error) = self.publish_record(info, version, &record) {
                // The head state and the recorded state have diverged.
                return self.fail(Stopped::internal(error.message));
            }
        }
        self.store.feed.published(number);
        held.into_iter()
            .for_each(|reply| reply(Ok(()), &mut self.wakes));
        self.wakes.wake();
        self.matching.wake_some(&self.store, true);
    }

    /// Publishes a durable record: the published state has it from now on, and reads see it.
    fn publish_record(
        &mut self,
        info: GroupInfo,
        version: Option<ClosedVersion>,
        record: &Record,
    ) -> Result<(), EngineError> {
        let notice = match self.published.apply(info, record) {
            Ok(notice) => notice,
            Err(error) => {
                version
                    .into_iter()
                    .for_each(|one| one.refuse(&error, &mut self.wakes));
                return Err(error);
            }
        };
        match notice {
            Notice::Moved { record, .. } => self.show(info, record, version)?,
            Notice::Began {
                namespace,
                terms,
                origin,
            } => {
                let new = self.store.begin(info, namespace.clone(), terms, &origin);
                self.heads.insert(namespace, Head::new(new));
                self.store.feed.created();
            }
            Notice::Ended { namespace, .. } => {
                self.heads.remove(&namespace);
                if let Some(removed) = self.store.end(&namespace) {
                    self.matching.stirred(&removed);
                }
            }
            Notice::Terms {
                namespace, after, ..
            } => {
                if let Some(head) = self.heads.get(&namespace) {
                    head.namespace.change_terms(after);
                    self.matching.stirred(&head.namespace);
                }
            }
            Notice::Pinned(pin) => {
                if let Some((root, deadline)) = self.pinning.remove(&pin.id) {
                    let id = pin.id;
                    let pinned = Pinned {
                        pin,
                        root,
                        deadline,
                    };
                    self.store.pins().insert(id, pinned);
                }
            }
            Notice::Unpinned { id } => {
                self.leases.end(id);
                self.store.pins().remove(&id);
            }
            Notice::PackAdded(_) | Notice::Store => {}
        }
        Ok(())
    }

    fn show(
        &mut self,
        info: GroupInfo,
        record: Arc<VersionRecord>,
        version: Option<ClosedVersion>,
    ) -> Result<(), EngineError> {
        self.versions_since += 1;
        let head = self.heads.get(&record.namespace);
        let (Some(head), Some(version)) = (head, version) else {
            // A removal is a later record, so this is a bug.
            return Err(EngineError::no_namespace(&record.namespace));
        };
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
            group: info.group,
            bytes: version.bytes,
            record,
        };
        head.namespace.publish(publication);
        self.matching.stirred(&head.namespace);
        version.answer(head.namespace.incarnation, root, &mut self.wakes);
        Ok(())
    }

    /// Nothing of the group in flight is on disk: drops it and everything built on it.
    pub(super) fn not_written(&mut self, error: &EngineError) {
        let groups = self.in_flight.take().map(|f| f.group);
        for group in groups
            .into_iter()
            .chain([std::mem::take(&mut self.building)])
        {
            self.store.objects.unstage(group.staged());
            group.refuse(error, &mut self.wakes);
        }
        self.drop_heads(error);
        if error.kind == ErrorKind::NoSpace {
            // A checkpoint lets the journal free space.
            self.bytes_since = self.bytes_since.max(self.config.checkpoint_bytes());
        }
    }

    /// The fate of the group in flight is unknown, so nothing more may be acknowledged.
    pub(super) fn poison(&mut self, error: &EngineError) {
        self.fail(Stopped::by(error));
    }

    /// Stops the store: nothing more is acknowledged.
    pub(super) fn fail(&mut self, stopped: Stopped) {
        tracing::error!("the store stops: {stopped}");
        let unknown = EngineError::new(
            ErrorKind::OutcomeUnknown,
            format!("whether this took effect is not known, ask again after a restart: {stopped}"),
        );
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.group.refuse(&unknown, &mut self.wakes);
        }
        self.life.send_replace(Life::Stopped(stopped));
        self.refuse_everything();
    }

    /// Answers everything that waits with the error that stopped the store.
    pub(super) fn refuse_everything(&mut self) {
        let Some(error) = self.life.borrow().failure().cloned() else {
            return;
        };
        std::mem::take(&mut self.building).refuse(&error, &mut self.wakes);
        self.drop_heads(&error);
        self.refuse_waiting(&error);
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
        self.pinning.clear();
        self.head = self.published.clone();
        let heads = self.heads.values_mut();
        heads.for_each(|head| head.refuse(error, &mut self.wakes));
    }
}
