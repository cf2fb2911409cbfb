//! The commit task: its state and its loop.
//!
//! While one group is written, the next is built on the heads; at most one group is written and not
//! yet durable. Answers of every kind wait until everything that they can reveal is durable.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kvs_tree::Blobref;
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};

use super::command::Reply;
use super::detaching::Detaching;
use super::draft::Begun;
use super::group::OpenGroup;
use super::head::Head;
use super::inbox::{Queue, WeakInbox};
use super::leases::Leases;
use super::life::Life;
use super::loading::{LoadDone, Parked};
use super::matching::Matching;
use super::time::Time;
use super::trouble::Trouble;
use super::waiting::Waiting;
use super::writer::{Done, Report, Writer};
use crate::answers::Wakes;
use crate::checkpoint::{Outcome, Target};
use crate::config::{Durability, EngineConfig};
use crate::epoch::Epoch;
use crate::error::Stopped;
use crate::history::RootAt;
use crate::journal::JournalError;
use crate::past::GroupInfo;
use crate::state::State;
use crate::store::Store;
use crate::term::Ownership;

/// The parts of a commit task.
pub(crate) struct Parts {
    pub(crate) epoch: Epoch,
    pub(crate) config: EngineConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) state: State,
    pub(crate) checkpoints: Vec<u64>,
    pub(crate) target: Target,
    pub(crate) ownership: Arc<Ownership>,
    pub(crate) writer: Writer,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    pub(crate) queue: Queue,
    pub(crate) resubmit: WeakInbox,
    pub(crate) life: watch::Sender<Life>,
    pub(crate) trimmed_to: u64,
    /// Bytes and versions of journal that a restart would replay.
    pub(crate) replayed: (u64, u64),
}

/// A group that the journal is writing.
pub(super) struct InFlight {
    pub(super) group: OpenGroup,
    pub(super) begun: Begun,
}

/// The only owner of all heads and of the catalog.
pub(crate) struct CommitTask {
    pub(super) config: EngineConfig,
    pub(super) store: Arc<Store>,
    /// As of the newest published group.
    pub(super) published: State,
    /// With everything accepted since. Its trees are in `heads`.
    pub(super) head: State,
    /// Groups that checkpoints cover up to, ascending; the journal may be dropped before any of
    /// them.
    pub(super) checkpoints: Vec<u64>,
    pub(super) heads: BTreeMap<SmolStr, Head>,
    /// Heads with an open version, in the order of opening.
    pub(super) open: Vec<SmolStr>,
    pub(super) building: OpenGroup,
    pub(super) in_flight: Option<InFlight>,
    /// Transactions that lack objects, and those that must not overtake them.
    pub(super) waiting: Waiting<Parked>,
    /// Receives what was loaded for them.
    pub(super) loaded: mpsc::UnboundedSender<LoadDone>,
    /// The roots of pins whose records are not durable yet.
    pub(super) pinning: HashMap<u64, (RootAt, Option<u64>)>,
    /// Commands taken so far.
    pub(super) taken: u64,
    pub(super) time: Time,
    pub(super) leases: Leases,
    pub(super) epoch: Epoch,
    /// The last checkpoint of this owner: its group, and the root of the state.
    pub(super) checkpointed: Option<(u64, Blobref)>,
    pub(super) target: Target,
    pub(super) writer: Writer,
    pub(super) resubmit: WeakInbox,
    pub(super) life: watch::Sender<Life>,
    pub(super) bytes_since: u64,
    pub(super) versions_since: u64,
    pub(super) journal_bytes: u64,
    pub(super) trimmed_to: u64,
    pub(super) trimming: bool,
    /// The eviction that remains after the last checkpoint.
    pub(super) detaching: Option<Detaching>,
    /// Whether a checkpoint is being written.
    pub(super) checkpointing: bool,
    pub(super) checkpoint_wanted: Vec<Reply<()>>,
    pub(super) checkpoint_waiting: Vec<Reply<()>>,
    /// The uptime until which a checkpoint that found no space is not retried.
    pub(super) checkpoint_retry: Option<u64>,
    pub(super) trouble: Trouble,
    pub(super) finished: mpsc::UnboundedSender<Outcome>,
    /// Whether groups were published that no sync covers yet (weaker modes).
    pub(super) unsynced: bool,
    /// The replies that wait for the running sync, if one runs.
    pub(super) syncing: Option<Vec<Reply<()>>>,
    /// The uptime at which the last sync ended.
    pub(super) synced_at: u64,
    /// Watches and followers to wake for published versions.
    pub(super) matching: Matching,
    /// Whether a group was published since the last round.
    pub(super) answered: bool,
    /// Sessions answered in this round.
    pub(super) wakes: Wakes,
    pub(super) stopping: Option<Reply<()>>,
    pub(super) final_checkpoint: bool,
    ownership: Arc<Ownership>,
}

impl CommitTask {
    /// Runs until it is stopped or all engine handles are gone.
    pub(crate) async fn run(parts: Parts) {
        let Parts {
            config,
            store,
            state,
            target,
            ownership,
            writer,
            ..
        } = parts;
        let (mut reports, mut queue) = (parts.reports, parts.queue);
        let (finished, mut checkpoints) = mpsc::unbounded_channel();
        let (loaded, mut loads) = mpsc::unbounded_channel();
        let heads = store
            .namespaces()
            .into_iter()
            .map(|n| (n.name.clone(), Head::new(n)));
        let clock = target.env.clock.clone();
        let time = Time::new(clock, state.stamp(), state.age_ms());
        let uptime = time.uptime();
        let matching = Matching::new(&config);
        let mut task = Self {
            time,
            leases: Leases::new(store.lease_time.clone()),
            taken: 0,
            epoch: parts.epoch,
            checkpointed: None,
            heads: heads.collect(),
            config,
            store,
            head: state.clone(),
            published: state,
            checkpoints: parts.checkpoints,
            open: Vec::new(),
            building: OpenGroup::default(),
            in_flight: None,
            waiting: Waiting::default(),
            loaded,
            pinning: HashMap::new(),
            target,
            writer,
            resubmit: parts.resubmit,
            life: parts.life,
            bytes_since: parts.replayed.0,
            versions_since: parts.replayed.1,
            journal_bytes: 0,
            trimmed_to: parts.trimmed_to,
            trimming: false,
            detaching: None,
            checkpointing: false,
            checkpoint_wanted: Vec::new(),
            checkpoint_waiting: Vec::new(),
            checkpoint_retry: None,
            trouble: Trouble::default(),
            finished,
            matching,
            answered: false,
            wakes: Wakes::default(),
            unsynced: false,
            syncing: None,
            synced_at: uptime,
            stopping: None,
            final_checkpoint: false,
            ownership,
        };
        task.renew_leases();
        let mut closed = false;
        // One timer for all rounds: a new one each time would wake the runtime's driver.
        let mut timer = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        let mut armed = None;
        loop {
            task.tick(queue.len());
            if let Some(report) = task.advance() {
                task.on_report(report);
                continue;
            }
            task.wakes.wake();
            let answered = std::mem::take(&mut task.answered);
            if !task.matching.is_idle() || (answered && queue.len() > 0) {
                // Sessions that have answers to send run first.
                tokio::task::yield_now().await;
                // Then threads with such an answer that share this CPU: they would wait longer than
                // they need to run.
                std::thread::yield_now();
                task.matching.wake_some(&task.store, false);
            }
            if task.is_finished() && task.matching.finish() {
                break;
            }
            if task.is_idle() && queue.len() == 0 && task.matching.is_idle() && task.detach_some() {
                tokio::task::yield_now().await;
                continue;
            }
            task.start_loads();
            let open = !closed && !task.building.is_full();
            let due = task.next_timer();
            if due != armed {
                armed = due;
                if let Some(at) = due {
                    let deadline = tokio::time::Instant::now() + task.until(at);
                    timer.as_mut().reset(deadline);
                }
            }
            tokio::select! {
                biased;
                Some(report) = reports.recv() => task.on_report(report),
                Some(done) = checkpoints.recv() => task.on_checkpoint(done),
                Some(done) = loads.recv(), if !task.building.is_full() => task.on_loaded(done),
                more = queue.wait(task.building.admits_guests()), if open => {
                    if !more {
                        closed = true;
                        task.stop(oneshot::channel().0);
                    }
                    task.take_some(&mut queue);
                    if queue.has_guests() {
                        // Others with something to send run before these send their next.
                        tokio::task::yield_now().await;
                    }
                }
                // If it fires early by the uptime of the store, it is set again.
                () = timer.as_mut(), if armed.is_some() => armed = None,
                () = std::future::ready(()), if !task.matching.is_idle() => {}
            }
        }
        let Self {
            writer,
            stopping,
            ownership,
            life,
            ..
        } = task;
        writer.stop();
        // What was acknowledged is safe only if the store still exists.
        let there = ownership.term().check(true);
        let stopped = life.borrow().failure().cloned().map_or(Ok(()), Err);
        let stopped = stopped.and(there.map_err(|gone| JournalError::from(gone).into()));
        life.send_if_modified(|life| {
            let closed = life.failure().is_none();
            if closed {
                *life = Life::Closed;
            }
            closed
        });
        // From here on the store can be opened again.
        drop(ownership);
        if let Some(reply) = stopping {
            let _ = reply.send(stopped);
        }
    }

    /// Does everything that is possible without waiting. Returns the report of a group that was
    /// written at once.
    fn advance(&mut self) -> Option<Report> {
        if self.has_failed() {
            self.refuse_everything();
            return None;
        }
        if self.in_flight.is_some() {
            return None;
        }
        self.sync_if_due();
        if self.syncing.is_some() && self.config.durability != Durability::Commit {
            // A checkpoint must not name a group that a power cut can still remove.
            return None;
        }
        self.checkpoint_if_due();
        self.close_open();
        if self.building.has_records() {
            return self.send_group();
        }
        let (_, held) = std::mem::take(&mut self.building).take();
        held.into_iter()
            .for_each(|reply| reply(Ok(()), &mut self.wakes));
        None
    }

    /// Closes every open version into the group.
    pub(super) fn close_open(&mut self) {
        for name in std::mem::take(&mut self.open) {
            self.close(&name);
        }
    }

    /// Closes the open version of one namespace into the group.
    pub(super) fn close(&mut self, name: &str) {
        if let Some(version) = self.heads.get_mut(name).and_then(Head::close) {
            self.building.push_version(version);
        }
    }

    /// Whether groups are synced before they are published.
    pub(super) fn durable(&self) -> bool {
        self.config.durability == Durability::Commit
    }

    /// When the group that is being built was begun.
    pub(super) fn begun(&mut self) -> Begun {
        let (time, epoch) = (&self.time, self.epoch.number);
        self.building.begun(|| Begun {
            epoch,
            age_ms: time.age(),
            time_ms: time.wall(),
        })
    }

    /// What records of the group that is being built have in common.
    pub(super) fn group_info(&mut self) -> GroupInfo {
        let written = u64::from(self.in_flight.is_some());
        let group = self.published.group() + written + 1;
        self.begun().info(group)
    }

    fn on_report(&mut self, report: Report) {
        self.journal_bytes = report.bytes;
        match report.done {
            Done::Refused(error) => self.not_written(&error),
            Done::Appended {
                appended,
                packs,
                records,
                bytes,
            } => {
                self.bytes_since += bytes;
                self.on_appended(appended, &packs, records);
            }
            Done::Removed(error) => self.poison(&error),
            Done::Synced(result) => self.on_synced(result.map(|_| ())),
            Done::Trimmed(result) => self.on_trimmed(result),
            Done::Gone => self.fail(Stopped::internal("the journal's thread has ended")),
        }
    }

    pub(super) fn stop(&mut self, reply: Reply<()>) {
        self.stopping = Some(reply);
        self.final_checkpoint = true;
    }

    /// Whether nothing accepted waits for the journal.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.building.is_empty() && self.open.is_empty()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.life.borrow().failure().is_some()
    }

    fn is_finished(&self) -> bool {
        let idle = self.is_idle();
        let failed = self.has_failed();
        let done = !self.final_checkpoint
            && !self.checkpointing
            && self.syncing.is_none()
            && self.waiting.is_empty();
        self.stopping.is_some() && (failed || (idle && done))
    }
}
