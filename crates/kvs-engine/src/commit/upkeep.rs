//! Checkpoints, trimming and syncs. They keep restarts short, the journal bounded, and the weaker
//! durability modes within their window.

use super::command::{Command, Reply};
use super::detaching::Detaching;
use super::task::CommitTask;
use super::writer::Job;
use crate::checkpoint::{Finished, Outcome, Plan};
use crate::config::Durability;
use crate::error::{EngineError, ErrorKind};
use crate::journal::JournalError;
use crate::limits::{CHECKPOINT_RETRY_MS, SYNC_INTERVAL_MS};
use crate::past::CheckpointRoot;
use crate::request::Tenant;

impl CommitTask {
    /// Starts a checkpoint if one is due. Called between two groups only.
    pub(super) fn checkpoint_if_due(&mut self) {
        let done = self.building.is_empty() && self.open.is_empty() && self.waiting.is_empty();
        let last = self.final_checkpoint && done;
        let due = self.bytes_since >= self.config.checkpoint_bytes()
            || self.versions_since >= self.config.checkpoint_versions;
        let wanted = !self.checkpoint_wanted.is_empty();
        if last && self.bytes_since == 0 && self.durable() {
            self.final_checkpoint = false;
            return;
        }
        if self.checkpointing || !(wanted || last || (due && self.may_retry())) {
            return;
        }
        if self.unsynced {
            self.start_sync();
            return;
        }
        self.final_checkpoint = self.final_checkpoint && !last;
        self.checkpoint_waiting.append(&mut self.checkpoint_wanted);
        self.checkpointing = true;
        let plan = self.plan(last);
        self.bytes_since = 0;
        self.versions_since = 0;
        let (target, finished) = (self.target.clone(), self.finished.clone());
        let store = self.store.clone();
        let work = move || {
            let outcome = target.write(plan);
            if let Ok(done) = &outcome {
                // Next, the heads evict what is stored.
                store.objects.keep_stored(&done.plan.roots);
            }
            let _ = finished.send(outcome);
        };
        self.store.in_background(work);
    }

    /// Whether a checkpoint that found no space may be retried.
    fn may_retry(&self) -> bool {
        self.checkpoint_retry
            .is_none_or(|retry| self.time.uptime() >= retry)
    }

    /// Published state that changed since the last checkpoint, between two groups. Cost: linear in
    /// the changed namespaces and pins.
    fn plan(&mut self, clean: bool) -> Plan {
        let start = self.target.env.clock.thread_ns();
        let group = self.published.group();
        let age_ms = self.time.age();
        let changed = self.published.take_changed();
        let (mut roots, mut points, mut pasts) = (Vec::new(), Vec::new(), Vec::new());
        for (name, ()) in &changed.namespaces {
            let Some(head) = self.heads.get(name) else {
                pasts.push((name.clone(), None));
                continue;
            };
            let published = head.namespace.published();
            let point = CheckpointRoot::of(&published, group, age_ms);
            let mut past = head.namespace.history().past();
            past.checkpointed(point.clone());
            pasts.push((name.clone(), Some(past)));
            roots.push(published.directory.clone());
            points.push((head.namespace.clone(), point));
        }
        {
            let pins = self.store.pins();
            let pinned = changed.pins.keys().filter_map(|id| pins.get(id));
            roots.extend(pinned.map(|pinned| pinned.root.directory.clone()));
        }
        let mut checkpoints = self.checkpoints.clone();
        checkpoints.push(group);
        Plan {
            state: self.published.clone(),
            changed,
            pasts,
            checkpoints,
            weak: !self.durable() && !clean,
            roots,
            points,
            held_ns: self.target.env.clock.thread_ns().saturating_sub(start),
        }
    }

    /// Handles the end of a checkpoint.
    pub(super) fn on_checkpoint(&mut self, done: Outcome) {
        self.checkpointing = false;
        let waiting = std::mem::take(&mut self.checkpoint_waiting);
        match done {
            Ok(finished) => {
                self.checkpoint_retry = None;
                self.trouble.checkpoint_written();
                self.take_checkpoint(*finished);
                waiting
                    .into_iter()
                    .for_each(|reply| drop(reply.send(Ok(()))));
                self.trim();
            }
            Err((error, changed)) => {
                self.published.give_back(&changed);
                for reply in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
                if error.kind != ErrorKind::NoSpace {
                    return self.poison(&error);
                }
                self.trouble.checkpoint_refused(self.time.uptime(), &error);
                self.checkpoint_retry = Some(self.time.uptime() + CHECKPOINT_RETRY_MS);
                self.bytes_since = self.bytes_since.max(self.config.checkpoint_bytes());
            }
        }
    }

    fn take_checkpoint(&mut self, finished: Finished) {
        let start = self.target.env.clock.thread_ns();
        let Finished {
            written,
            state_root,
            bytes,
            plan,
        } = finished;
        let mut detaching = Detaching::of(*self.store.objects.params(), written);
        for (namespace, point) in plan.points {
            if let Some(head) = self.heads.get_mut(&namespace.name) {
                head.directory = detaching.detacher.directory(&head.directory);
            }
            namespace.history().checkpointed(point);
            let mut root = (*namespace.published()).clone();
            root.directory = detaching.detacher.directory(&root.directory);
            namespace.replace_root(root);
            detaching.add(namespace);
        }
        self.store.detach(&mut detaching.detacher);
        let group = plan.state.group();
        tracing::info!(group, bytes, "checkpoint written");
        self.checkpoints.push(group);
        self.checkpointed = Some((group, state_root));
        let before = self.detaching.replace(detaching);
        self.drop_beside((before, plan.roots));
        let held_ns = self.target.env.clock.thread_ns().saturating_sub(start);
        self.store.checkpoints.note(bytes, plan.held_ns + held_ns);
    }

    /// When idle, evicts from recent versions what packs hold. Returns whether work remained.
    pub(super) fn detach_some(&mut self) -> bool {
        let Some(detaching) = &mut self.detaching else {
            return false;
        };
        if !detaching.step() {
            let done = self.detaching.take();
            self.drop_beside(done);
        }
        true
    }

    /// Drops a value in the background because that may take long.
    fn drop_beside(&self, what: impl Send + 'static) {
        self.store.in_background(move || drop(what));
    }

    /// Drops the whole segments before a checkpoint that retention allows to drop.
    fn trim(&mut self) {
        if self.trimming {
            return;
        }
        let margin = self.config.checkpoint_bytes();
        let over = self.journal_bytes + margin > self.config.retention.bytes;
        let groups = self.checkpoints.iter().copied();
        let groups: Vec<u64> = groups.filter(|&g| g > self.trimmed_to).collect();
        let age_ms = self.time.age();
        let namespaces = || self.heads.values().map(|head| &head.namespace);
        let pasts = namespaces().map(|one| (one.position().version, one.history()));
        let retention = &self.config.retention;
        let Some(group) = retention.drop_before(&groups, pasts, age_ms, over) else {
            return;
        };
        namespaces().for_each(|namespace| namespace.history().trim(group));
        self.trimmed_to = group;
        self.checkpoints.retain(|&g| g >= group);
        self.trimming = true;
        self.writer.submit(Job::Trim {
            keep_from: group + 1,
        });
    }

    pub(super) fn on_trimmed(&mut self, result: Result<(), JournalError>) {
        self.trimming = false;
        match result {
            Ok(()) => {
                self.trouble.trimmed();
                self.trim();
            }
            Err(error @ JournalError::NoSpace(_)) => {
                self.trouble.trim_refused(self.time.uptime(), &error);
            }
            Err(error) => self.poison(&error.into()),
        }
    }

    /// Answers once everything committed is on disk.
    pub(super) fn sync(&mut self, reply: Reply<()>) {
        if self.durable() {
            return self.hold(Box::new(move |outcome, _| drop(reply.send(outcome))));
        }
        let inbox = self.resubmit.clone();
        if self.is_idle() {
            match &mut self.syncing {
                // A running sync covers it: nothing is appended meanwhile.
                Some(waiting) => waiting.push(reply),
                None => {
                    self.start_sync();
                    self.syncing.get_or_insert_default().push(reply);
                }
            }
            return;
        }
        // First write everything that was accepted; then try again.
        self.hold(Box::new(move |outcome, _| {
            if let Err(error) = outcome {
                return drop(reply.send(Err(error)));
            }
            if let Some(inbox) = inbox.upgrade() {
                let _ = inbox.send(Tenant::Owner, Command::Sync { reply });
            }
        }));
    }

    fn start_sync(&mut self) {
        if self.syncing.is_none() {
            self.syncing = Some(Vec::new());
            self.writer.submit(Job::Sync);
        }
    }

    /// With durability `interval`, syncs when the window is over.
    pub(super) fn sync_if_due(&mut self) {
        let due = self.config.durability == Durability::Interval && self.unsynced;
        if due && self.time.uptime() >= self.synced_at + SYNC_INTERVAL_MS {
            self.start_sync();
        }
    }

    pub(super) fn on_synced(&mut self, result: Result<(), JournalError>) {
        let waiting = self.syncing.take().unwrap_or_default();
        self.unsynced = false;
        self.synced_at = self.time.uptime();
        match result {
            Ok(()) => waiting
                .into_iter()
                .for_each(|reply| drop(reply.send(Ok(())))),
            Err(error) => {
                let error: EngineError = error.into();
                for reply in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
                self.poison(&error);
            }
        }
    }
}
