//! Puts through one connection with `kill -9` at a random moment, many rounds on one store. After
//! each round: every acknowledged put exists in the version and root that it was answered with, the
//! puts found are a prefix of those sent, the log is contiguous, and nothing left behind by the
//! killed daemon prevented the restart.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kvs_client::{At, Entry, ErrorCode, ListOptions, LogOptions, Namespace, Options, Transaction};
use kvs_client::{Committed, LogVersion};
use tokio::sync::watch;

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::measuring::report::Report;
use kvs_testkit::Random;
use kvs_testkit::median;
use kvs_testkit::{Daemon, Home};

/// Maximum random pause between the chosen acknowledgement and the kill, in microseconds.
const PAUSE_US: u64 = 2_000;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct KillNine {
    /// Number of daemons killed.
    pub rounds: u64,
    /// Puts sent per round, unless the kill comes first.
    pub puts: u64,
    /// Seed of the random moments.
    pub seed: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

/// The result of a round.
struct Round {
    /// Number of puts found, a prefix of those sent.
    found: u64,
    acknowledged: u64,
    sent: u64,
}

impl KillNine {
    /// Performs all rounds.
    ///
    /// # Errors
    /// If anything was lost, changed or prevented a restart; the error names the round and the
    /// seed.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let home = Home::in_directory(&self.directory)?;
        let mut random = Random::new(self.seed);
        let mut rounds = Vec::new();
        let mut restarts = Vec::new();
        let mut daemon = home.start()?;
        for round in 0..self.rounds {
            let sent = self.interrupted(&mut random, daemon, round).await;
            let (sent, answers) = sent.with_context(|| self.where_(round))?;
            let start = Instant::now();
            daemon = home.start().with_context(|| self.where_(round))?;
            restarts.push(start.elapsed().as_secs_f64() * 1e3);
            let primary = daemon.primary().await?;
            let checked = check(&primary, round, sent, &answers).await;
            rounds.push(checked.with_context(|| self.where_(round))?);
        }
        let versions = self.check_all(&daemon, &rounds).await?;
        daemon.stop_cleanly()?;
        Ok(self.report(&rounds, restarts, versions))
    }

    fn where_(&self, round: u64) -> String {
        format!("round {round}, seed {}", self.seed)
    }

    fn report(&self, rounds: &[Round], mut restarts: Vec<f64>, versions: u64) -> Report {
        let about = format!(
            "{} puts with {IN_FLIGHT} in flight, kill -9 at a random moment, {} rounds on one store; seed {}",
            self.puts, self.rounds, self.seed
        );
        let mut report = Report::new("kill-nine", about);
        let sum = |of: fn(&Round) -> u64| rounds.iter().map(of).sum::<u64>() as f64;
        report.figure("rounds", rounds.len() as f64);
        report.figure("sent_puts", sum(|round| round.sent));
        report.figure("acknowledged_puts", sum(|round| round.acknowledged));
        report.figure("found_puts", sum(|round| round.found));
        report.figure("versions", versions as f64);
        report.figure("restart_median_ms", median(&mut restarts));
        report.figure("restart_max_ms", restarts.last().copied().unwrap_or(0.0));
        report.held("every acknowledged put is there, in its version, with its root");
        report.held("what is there is a prefix of what was sent");
        report.held("versions are contiguous");
        report.held("every restart went through: each root verified, no lock or socket in the way");
        report
    }

    /// Sends puts and kills the daemon meanwhile. Returns the number of puts sent and the answers
    /// received.
    async fn interrupted(
        &self,
        random: &mut Random,
        daemon: Daemon,
        round: u64,
    ) -> anyhow::Result<(u64, Vec<Committed>)> {
        let options = Options::new()
            .requests_in_flight(IN_FLIGHT)
            .reconnect_time(Duration::ZERO);
        let primary = daemon.connect_with(options).await?.namespace("primary");
        let (answered, mut watched) = watch::channel(0);
        let puts = self.puts;
        let sending = tokio::spawn(async move {
            let mut pipeline = Pipeline::new(primary, IN_FLIGHT);
            let mut answers = Vec::new();
            let mut sent = 0;
            while sent < puts {
                let put = Transaction::new().put(key(round, sent), value(round, sent));
                sent += 1;
                match pipeline.commit(put).await {
                    Ok(answer) => answers.extend(answer),
                    Err(_) => break,
                }
                answered.send_replace(answers.len() as u64);
            }
            // Answers arrive in order: after the first lost one there are none.
            while let Some(Ok(answer)) = pipeline.next().await {
                answers.push(answer);
            }
            (sent, answers)
        });
        let moment = random.below(self.puts);
        // Ends early, with an error, once all puts are answered; that moment is as good as any.
        let _ = watched.wait_for(|answered| *answered >= moment).await;
        let pause = Instant::now() + Duration::from_micros(random.below(PAUSE_US));
        while Instant::now() < pause {
            std::hint::spin_loop();
        }
        daemon.kill()?;
        Ok(sending.await?)
    }

    /// Checks after the last round that no earlier round has changed and that the log is complete.
    async fn check_all(&self, daemon: &Daemon, rounds: &[Round]) -> anyhow::Result<u64> {
        let primary = daemon.primary().await?;
        for (number, round) in (0..).zip(rounds) {
            let found = found(&primary, number).await?;
            ensure!(
                found == round.found,
                "round {number} had {} puts and now has {found}",
                round.found
            );
        }
        let versions = log(&primary, 1).await?;
        let newest = primary.info(At::Current).await?.position.version;
        ensure!(
            versions.len() as u64 == newest,
            "the log ends before {newest}"
        );
        Ok(newest)
    }
}

fn directory(round: u64) -> String {
    format!("kill.{round}")
}

fn key(round: u64, put: u64) -> String {
    format!("kill.{round}.{put:05}")
}

fn value(round: u64, put: u64) -> String {
    format!("{:064x}", Random::mix(round << 32 | put))
}

/// Checks the result of a round against the puts sent and their answers.
async fn check(
    primary: &Namespace,
    round: u64,
    sent: u64,
    answers: &[Committed],
) -> anyhow::Result<Round> {
    let acknowledged = answers.len() as u64;
    let found = found(primary, round).await?;
    ensure!(
        (acknowledged..=sent).contains(&found),
        "{sent} puts sent, {acknowledged} acknowledged, {found} found"
    );
    let Some(first) = answers.first() else {
        return Ok(Round {
            found,
            acknowledged,
            sent,
        });
    };
    let log = log(primary, first.position.version).await?;
    let info = primary.info(At::Current).await?;
    let newest = log.last().context("an empty log")?;
    ensure!(
        (newest.position, &newest.root) == (info.position, &info.root),
        "the log ends at {:?}, the namespace is at {:?}",
        newest.position,
        info.position
    );
    let mut order = log
        .iter()
        .flat_map(|version| version.changes.iter().map(move |change| (version, change)))
        .filter(|(_, change)| change.key.len() > directory(round).len());
    for (put, answer) in (0..).zip(answers) {
        let (version, change) = order.next().context("the log ends early")?;
        ensure!(
            change.key == key(round, put)
                && version.position == answer.position
                && version.root == answer.root(),
            "put {put} was answered with {:?}, the log has {} at {:?}",
            answer.position,
            change.key,
            version.position
        );
    }
    // Past states are rebuilt from the journal, which compares their roots with the recorded ones.
    for part in [1, 2, 3, 4] {
        let put = (acknowledged - 1) * part / 4;
        let at = answers.get(put as usize).context("no such answer")?;
        let at = At::Version(at.position.version);
        let read = primary.get_at(key(round, put), at).await?;
        ensure!(
            read.as_deref() == Some(value(round, put).as_bytes()),
            "put {put} is not in its version"
        );
    }
    Ok(Round {
        found,
        acknowledged,
        sent,
    })
}

/// Returns the number of puts found for a round; they must be the first ones, with their values.
async fn found(primary: &Namespace, round: u64) -> anyhow::Result<u64> {
    let listed = primary
        .list_all(directory(round), ListOptions::default())
        .await;
    let listed = match listed {
        Err(error) if error.code == ErrorCode::NotFound => return Ok(0),
        listed => listed?,
    };
    for (put, entry) in (0..).zip(&listed.entries) {
        let bytes = match &entry.entry {
            Entry::Value(value) => value.bytes.as_deref(),
            _ => None,
        };
        if entry.key != key(round, put) || bytes != Some(value(round, put).as_bytes()) {
            bail!("in place of put {put} there is {}", entry.key);
        }
    }
    Ok(listed.entries.len() as u64)
}

/// Returns the log from a version to the newest and checks that it is contiguous.
async fn log(primary: &Namespace, from: u64) -> anyhow::Result<Vec<LogVersion>> {
    let mut versions: Vec<LogVersion> = Vec::new();
    let mut next = Some(from);
    while let Some(from) = next {
        let options = LogOptions::new().from_version(from);
        let page = primary.log(options).await?;
        versions.extend(page.versions);
        next = page.next;
    }
    for (expected, version) in (from..).zip(&versions) {
        ensure!(
            version.position.version == expected,
            "version {expected} is missing in the log"
        );
    }
    Ok(versions)
}
