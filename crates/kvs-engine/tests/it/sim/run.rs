//! A run from a seed: clients commit; readers come, go, sleep and are disconnected; the daemon is
//! stopped, killed, and trims its past. The result is the histories and the truth.

use std::collections::BTreeSet;

use kvs_engine::{CommitRequest, Durability, EngineConfig, Mode, Start, TransactionId};
use kvs_tree::{Key, Transaction};
use smol_str::SmolStr;
use tokio::task::yield_now;

use super::generate::{self, one_of};
use super::history::{History, Moment, Step, Wish};
use super::lives::LIFE;
use super::machine::{Machine, Medium};
use super::reader::Reader;
use super::sent::{Sent, disorder, truths};
use super::sight::Truths;
use super::tree::Doing;
use crate::support::{OWNER, Random, config, key};

/// The number of connections on which transactions are sent.
const CLIENTS: u64 = 3;

/// What is wrong with a run on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The disk lies about syncs of the journal.
    pub(super) lying_disk: bool,
    /// Readers resume with the last version that they had.
    pub(super) repeats: bool,
    /// A waiting transaction is overtaken by a later one of its connection.
    pub(super) overtaken: bool,
}

/// What keeps the store of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// The simulated disk.
    Disk,
    /// Memory in bad weather.
    Memory,
}

/// The result of a run.
pub(super) struct Outcome {
    pub(super) truths: Truths,
    pub(super) histories: Vec<History>,
    /// Transactions of one connection that took effect in another order than they were sent.
    pub(super) disorder: Vec<String>,
}

pub(super) struct Run {
    pub(super) random: Random,
    pub(super) machine: Machine,
    sent: Vec<Sent>,
    /// Readers, each with the average number of turns between its reads.
    readers: Vec<(Reader, u64)>,
    wrong: Wrong,
    wide: bool,
    /// Namespaces that the guest owns.
    pub(super) given: BTreeSet<String>,
    /// A transaction that is overtaken on purpose.
    overtaken: Option<usize>,
    /// Keys of the namespace `o` that links of primary lead to or above.
    pub(super) abroad: Vec<Key>,
}

fn settings(seed: u64, random: &mut Random) -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = one_of(random, &[2, 6, 20]) * 1024;
    config.retention.versions = one_of(random, &[3, 10, 40, 1_000_000]);
    config.retention.time_ms = 0;
    if is_weak(seed) {
        config.durability = one_of(random, &[Durability::Interval, Durability::None]);
    }
    config.retention.bytes = 256 * 1024;
    // Not drawn, so that runs are otherwise unchanged.
    config.match_slice = [1, 1_024, 4, 20][(seed % 4) as usize];
    config.match_lag = [1, 4_096, 3][(seed % 3) as usize];
    // Not from the run's own random numbers, whose sequence this would change.
    config.slice_visits = one_of(&mut Random(!seed), &[1, 5, 30, 512]);
    if is_heavy(seed) {
        config.checkpoint_bytes = 1024 * 1024;
        config.segment_bytes = Some(1024 * 1024);
        config.retention.bytes = 4 * 1024 * 1024;
    }
    config
}

/// Runs that write more than the daemon keeps in memory of its past.
fn is_heavy(seed: u64) -> bool {
    seed % 25 == 7
}

/// Runs with a directory whose changes do not fit into one part of an event.
fn is_wide(seed: u64) -> bool {
    seed % 19 == 3
}

/// Runs in which a power cut may lose what was delivered.
fn is_weak(seed: u64) -> bool {
    seed % 7 == 4
}

pub(super) async fn run(seed: u64, wrong: Wrong, on: On) -> Outcome {
    let mut random = Random(seed.wrapping_mul(0x51_7C_C1_B7_27_22_0A_95));
    let config = settings(seed, &mut random);
    let medium = match on {
        On::Memory => Medium::memory(seed),
        On::Disk if wrong.lying_disk => Medium::LyingDisk,
        On::Disk => Medium::Disk,
    };
    let machine = Machine::new(config, seed, medium).await;
    let mut run = Run {
        random,
        machine,
        sent: Vec::new(),
        readers: Vec::new(),
        wrong,
        wide: is_wide(seed),
        given: BTreeSet::new(),
        overtaken: None,
        abroad: Vec::new(),
    };
    let turns = if is_wide(seed) { 25 } else { 55 };
    if is_wide(seed) {
        run.send(generate::many()).await;
        run.settle().await;
    }
    run.found().await;
    for _ in 0..3 {
        run.join().await;
    }
    for turn in 0..turns {
        run.turn().await;
        if is_heavy(seed) && turn == turns / 2 {
            run.flood().await;
        }
    }
    run.settle().await;
    run.give_back().await;
    run.machine.matched().await;
    for (reader, _) in &mut run.readers {
        reader.finish(&run.machine).await;
    }
    run.machine.check().await;
    run.weigh().await;
    let truths = truths(&run.sent, &run.machine.lives);
    for (name, newest) in &run.machine.world().newest {
        let known = truths[name].0.last_key_value().map(|(index, _)| *index);
        let what = "no version without an acknowledged transaction";
        assert_eq!(Some(*newest), known, "{name}: {what}");
    }
    let disorder = disorder(&run.sent, &run.machine.lives);
    let histories = run.readers.into_iter().map(|(reader, _)| reader.history);
    Outcome {
        truths,
        histories: histories.collect(),
        disorder,
    }
}

impl Run {
    async fn turn(&mut self) {
        match self.random.below(100) {
            0..=36 => self.burst().await,
            37..=40 => self.settle().await,
            41..=74 => self.read().await,
            75..=80 => self.lose().await,
            81..=86 => self.join().await,
            87..=88 => self.make_or_remove().await,
            89..=90 => self.share_or_withdraw().await,
            91 => self.machine.wait().await,
            92..=94 => {
                let engine = self.machine.engine.clone();
                self.settle().await;
                engine.checkpoint().await.unwrap();
                self.machine.check().await;
            }
            // A lying disk is detected in `weigh` instead.
            95..=97 if !self.wrong.lying_disk => self.power_cut().await,
            98 => self.restart().await,
            _ => self.leave().await,
        }
    }

    async fn burst(&mut self) {
        for _ in 0..=self.random.below(6) {
            let doings = match self.wide && self.random.below(4) == 0 {
                true => generate::widely(&mut self.random),
                false => generate::transaction(&mut self.random),
            };
            self.send(doings).await;
        }
        if self.random.below(4) == 0 {
            self.stir().await;
        }
        self.some_time().await;
    }

    async fn some_time(&mut self) {
        for _ in 0..self.random.below(12) {
            yield_now().await;
        }
    }

    async fn send(&mut self, doings: Vec<Doing>) {
        let namespace = self.some_namespace();
        self.send_to(namespace, doings).await;
    }

    pub(super) async fn send_to(&mut self, namespace: SmolStr, doings: Vec<Doing>) {
        let number = self.sent.len() as u64 + 1;
        let request = CommitRequest {
            namespace,
            caller: OWNER,
            id: TransactionId {
                client: [3 + (number % CLIENTS) as u8; 16],
                number,
            },
            acknowledged: 0,
            repeat: None,
            name: None,
            no_merge: self.random.below(10) == 0,
            prepared: kvs_engine::Prepared::default(),
            transaction: Transaction {
                conditions: Vec::new(),
                operations: doings.iter().map(generate::operation).collect(),
            },
        };
        self.sent.push(Sent {
            request,
            doings,
            task: None,
            answer: None,
            again: false,
        });
        let at = self.sent.len() - 1;
        if self.wrong.overtaken && self.overtaken.is_none() && number % 4 == 1 {
            self.overtaken = Some(at);
            return;
        }
        self.submit(at).await;
        if let Some(waited) = self.overtaken
            && self.sent[waited].is_of_the_line_of(&self.sent[at])
        {
            self.overtaken = None;
            self.submit(waited).await;
        }
    }

    async fn submit(&mut self, at: usize) {
        let engine = self.machine.engine.clone();
        let sent = &mut self.sent[at];
        let name = &*sent.request.namespace;
        let newest = self.machine.newest(name);
        let known = newest.map(|newest| self.machine.lives.position(name, newest));
        let request = sent.request.clone();
        // A repeat carries what its client knew when it sent the transaction first.
        sent.request.repeat = sent.request.repeat.or(known);
        sent.task = Some(tokio::spawn(async move { engine.commit(request).await }));
    }

    /// Waits for all answers.
    pub(super) async fn settle(&mut self) {
        if let Some(waited) = self.overtaken.take() {
            self.submit(waited).await;
        }
        for sent in &mut self.sent {
            if let Some(task) = sent.task.take() {
                sent.answer = Some(task.await.unwrap());
            }
        }
    }

    async fn read(&mut self) {
        for (reader, pace) in &mut self.readers {
            if self.random.below(*pace) == 0 {
                let credit = one_of(&mut self.random, &[1, 2, 5, 100]);
                reader.read(&self.machine, credit).await;
                if self.random.below(4) == 0 {
                    reader.mark(&self.machine).await;
                }
            }
        }
    }

    /// Disconnects a reader, or reconnects it.
    async fn lose(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let at = self.random.below(self.readers.len() as u64) as usize;
        let (reader, _) = &mut self.readers[at];
        match reader.is_open() {
            true => {
                if self.random.below(3) == 0 {
                    reader.pin(&self.machine).await;
                }
                reader.disconnect();
            }
            false => reader.open(&self.machine).await,
        }
    }

    async fn join(&mut self) {
        if self.readers.len() >= 7 {
            return;
        }
        let wish = generate::wish(&mut self.random, self.wide);
        let namespace = self.some_namespace().to_string();
        let guest = self.random.below(4) == 0;
        let wish = Wish {
            namespace,
            guest,
            ..wish
        };
        let newest = self.machine.newest(&wish.namespace).unwrap_or(0) % LIFE;
        let start = match self.random.below(5) {
            0 | 1 => Start::Initial,
            2 | 3 => Start::Now,
            _ => {
                // Only in mode append it must exist.
                let append = matches!(wish.mode, Mode::Append { .. });
                let ahead = if append { 1 } else { 4 };
                Start::Version {
                    incarnation: None,
                    version: 1 + self.random.below(newest + ahead),
                }
            }
        };
        let mut reader = Reader::new(wish, start);
        reader.repeats = self.wrong.repeats;
        reader.open(&self.machine).await;
        let pace = one_of(&mut self.random, &[1, 1, 2, 4, 15]);
        self.readers.push((reader, pace));
    }

    /// Disconnects readers, which come back much later.
    async fn leave(&mut self) {
        for (reader, _) in &mut self.readers {
            if self.random.below(2) == 0 {
                reader.disconnect();
            }
        }
    }

    async fn restart(&mut self) {
        self.settle().await;
        for (reader, _) in &mut self.readers {
            reader.disconnect();
        }
        self.weigh().await;
        self.machine.restart().await;
        self.return_some().await;
    }

    /// Cuts the power while transactions are in flight. Nobody hears what the daemon did from here
    /// on, so it may have come that far or not.
    async fn power_cut(&mut self) {
        let before = self.machine.disk.operations();
        for _ in 0..self.random.below(4) {
            let doings = generate::transaction(&mut self.random);
            self.send(doings).await;
        }
        if self.random.below(3) == 0 {
            let engine = self.machine.engine.clone();
            tokio::spawn(async move { engine.checkpoint().await });
        }
        self.some_time().await;
        let done = self.machine.disk.operations() - before;
        let cut = before + self.random.below(done as u64 + 1) as usize;
        let unanswered: Vec<usize> = (0..self.sent.len())
            .filter(|&at| self.sent[at].task.is_some())
            .collect();
        for (reader, _) in &mut self.readers {
            reader.disconnect();
        }
        self.weigh().await;
        if self.machine.is_weak() {
            // What was in flight may be lost; the answers are awaited only for its positions.
            self.settle().await;
            self.machine.cut(cut, &mut self.random).await;
            return self.return_some().await;
        }
        for &at in &unanswered {
            self.sent[at].task.take().unwrap().abort();
        }
        self.machine.cut(cut, &mut self.random).await;
        if self.random.below(2) == 0 {
            // Readers may be back before the client sends again.
            self.return_some().await;
            self.read().await;
        }
        for at in unanswered {
            self.sent[at].again = true;
            self.submit(at).await;
        }
        self.return_some().await;
    }

    async fn return_some(&mut self) {
        for (reader, _) in &mut self.readers {
            if !reader.is_open() && self.random.below(3) > 0 {
                reader.open(&self.machine).await;
            }
        }
    }

    /// Writes so much that what slow readers have not read is no longer in memory.
    async fn flood(&mut self) {
        for n in 0..150_u64 {
            let value = vec![b'a' + (n % 26) as u8; 60_000];
            self.send(vec![Doing::Put(key("d.y"), value.into())]).await;
            if n % 8 == 0 {
                self.settle().await;
            }
        }
        self.settle().await;
        self.machine.engine.checkpoint().await.unwrap();
    }

    /// Determines for each delivery in this run of the machine whether it was safe when delivered.
    async fn weigh(&mut self) {
        if self.machine.is_weak() || !self.machine.has_images() {
            for (reader, _) in &mut self.readers {
                reader.moments.clear();
            }
            return;
        }
        let mut moments: Vec<(Moment, usize)> = Vec::new();
        for (at, (reader, _)) in self.readers.iter_mut().enumerate() {
            let told = std::mem::take(&mut reader.moments);
            moments.extend(told.into_iter().map(|moment| (moment, at)));
        }
        moments.sort_by_key(|(moment, _)| moment.operations);
        let only: Vec<Moment> = moments.iter().map(|(moment, _)| moment.clone()).collect();
        let safe = self.machine.safe(&only, &mut self.random).await;
        for ((moment, at), safe) in moments.iter().zip(safe) {
            let history = &mut self.readers[*at].0.history;
            let step = &mut history.steps[moment.step];
            if let Step::Event { durable, .. } | Step::Mark { durable, .. } = step {
                match moment.namespace == history.wish.namespace {
                    true => *durable = Some(safe),
                    // What is delivered of another namespace must be as safe.
                    false if safe < moment.version => *durable = Some(0),
                    false => {}
                }
            }
        }
    }
}
