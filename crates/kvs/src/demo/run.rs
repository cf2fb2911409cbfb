//! Runs the demo: daemon, clients, executor, the kill half-way, the checks.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::executor;
use super::job::STATES;
use super::process::{ClientPlan, ClientProcess, Progress};
use super::record;
use super::report::{ClientReport, Report};
use super::validate::judge;
use kvs_bench::PrivateDaemon as Daemon;

/// If no client makes progress for this long, the run ends; what was not seen counts as missed.
const STALL: Duration = Duration::from_secs(60);

/// Interval at which the progress bar is updated and stalls are detected.
const TICK: Duration = Duration::from_millis(100);

/// Runs everything in `directory`, which must be empty and private.
pub(crate) async fn run(directory: &Path, jobs: u32, bar: bool) -> anyhow::Result<Report> {
    let transitions = u64::from(jobs) * STATES.len() as u64;
    let daemon = Daemon::start(directory).await?;
    let plans = plans(directory, transitions);
    let progress: Vec<_> = plans
        .iter()
        .map(|_| Arc::new(Progress::default()))
        .collect();
    let bar = start_bar(bar, transitions * plans.len() as u64);

    let started = Instant::now();
    let (done, _) = tokio::sync::watch::channel(None);
    let mut lives = JoinSet::new();
    for (index, (plan, progress)) in plans.iter().zip(&progress).enumerate() {
        let (plan, progress, done) = (plan.clone(), Arc::clone(progress), done.subscribe());
        let uri = daemon.uri().to_owned();
        lives.spawn(async move { (index, live(&plan, &uri, &progress, done).await) });
    }
    let execute = async {
        let written = executor::run(daemon.uri(), jobs).await?;
        done.send_replace(written.iter().map(|entry| entry.version).max().or(Some(0)));
        anyhow::Ok(written)
    };
    let (written, starts) = tokio::try_join!(execute, wait_for_all(lives, &progress, &bar))?;
    let elapsed = started.elapsed();
    bar.finish_and_clear();
    daemon.stop().await?;

    let mut clients = Vec::new();
    for (plan, starts) in plans.iter().zip(starts) {
        let verdict = judge(&written, &record::read(&plan.record)?);
        clients.push(ClientReport {
            role: plan.role,
            starts,
            verdict,
        });
    }
    let versions: HashSet<u64> = written.iter().map(|entry| entry.version).collect();
    Ok(Report {
        jobs,
        transitions,
        versions: versions.len() as u64,
        elapsed,
        clients,
    })
}

/// Two ordinary clients, one that is killed half-way, and one that is slow.
fn plans(directory: &Path, transitions: u64) -> Vec<ClientPlan> {
    let half = (transitions > 1).then_some(transitions / 2);
    [
        ("steady", false, None),
        ("steady", false, None),
        ("killed, resumed", false, half),
        ("slow", true, None),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (role, slow, kill_at))| ClientPlan {
        role,
        record: directory.join(format!("client-{}", index + 1)),
        slow,
        kill_at,
    })
    .collect()
}

/// Runs one client until it has seen everything. Returns the number of processes started.
async fn live(
    plan: &ClientPlan,
    uri: &str,
    progress: &Arc<Progress>,
    mut done: tokio::sync::watch::Receiver<Option<u64>>,
) -> anyhow::Result<u32> {
    let mut process = ClientProcess::start(plan, uri, true, progress)?;
    let mut starts = 1;
    if let Some(kill_at) = plan.kill_at {
        progress.reaches(kill_at).await;
        process.kill().await?;
        process = ClientProcess::start(plan, uri, false, progress)?;
        starts += 1;
    }
    let newest = done
        .wait_for(Option::is_some)
        .await
        .map(|newest| newest.unwrap_or(0))?;
    process.finish(newest).await?;
    Ok(starts)
}

/// Waits for all clients and shows their progress; aborts those that have stalled.
async fn wait_for_all(
    mut lives: JoinSet<(usize, anyhow::Result<u32>)>,
    progress: &[Arc<Progress>],
    bar: &ProgressBar,
) -> anyhow::Result<Vec<u32>> {
    let mut starts = vec![1; progress.len()];
    let mut tick = tokio::time::interval(TICK);
    let (mut newest, mut moved) = (0, Instant::now());
    loop {
        tokio::select! {
            life = lives.join_next() => match life {
                Some(life) => {
                    let (index, count) = life?;
                    if let Some(start) = starts.get_mut(index) {
                        *start = count?;
                    }
                }
                None => return Ok(starts),
            },
            _ = tick.tick() => {
                let handled = progress.iter().map(|progress| progress.handled()).sum();
                bar.set_position(handled);
                if handled > newest {
                    (newest, moved) = (handled, Instant::now());
                } else if moved.elapsed() > STALL {
                    lives.shutdown().await;
                    return Ok(starts);
                }
            }
        }
    }
}

/// The progress bar; it draws only on a terminal.
fn start_bar(visible: bool, length: u64) -> ProgressBar {
    if !visible {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} events  {per_sec}  {elapsed}")
    {
        bar.set_style(style);
    }
    bar
}
