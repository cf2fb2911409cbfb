//! Measures `kvs dir -R` on a large tree during writes: its output must show a single state, and it
//! must be read in pages, as its memory shows.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use kvs_client::{Namespace, Transaction};

use crate::load::pipeline::Pipeline;
use crate::measuring::report::Report;
use crate::measuring::rss_sampler::Streamed;
use kvs_testkit::Home;
use kvs_testkit::median;

/// Number of keys per directory.
const KEYS_A_DIRECTORY: u64 = 100;

/// Maximum time in seconds.
const TARGET_S: f64 = 3.0;

/// The first and the last key of the tree, which each commit of the other client writes together.
const ENDS: [&str; 2] = ["a.first", "z.last"];

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct DirRecursive {
    /// Number of keys in the tree.
    pub keys: u64,
    /// Number of listings.
    pub rounds: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

/// The cost of one `dir -R`.
struct Shown {
    seconds: f64,
    first_s: f64,
    peak_kib: u64,
}

impl DirRecursive {
    /// Performs the run.
    ///
    /// # Errors
    /// If a key is missing or out of order, or a listing mixes two states.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let home = Home::in_directory(&self.directory)?;
        let daemon = home.start()?;
        let mut pipeline = Pipeline::to(&daemon).await?;
        for number in 0..self.keys {
            let put = Transaction::new().put(key(number), number.to_string());
            pipeline.commit(put).await?;
        }
        pipeline.finish().await?;
        let primary = pipeline.namespace().clone();
        write_ends(&primary, 0).await?;

        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let stop = Arc::clone(&stop);
            async move {
                let mut commits = 0;
                while !stop.load(Ordering::Relaxed) {
                    commits += 1;
                    write_ends(&primary, commits).await?;
                }
                anyhow::Ok(commits)
            }
        });
        let mut shown = Vec::new();
        for _ in 0..self.rounds {
            let (command, keys) = (home.client(&["dir", "-R", "-w", "0"])?, self.keys);
            let one = tokio::task::spawn_blocking(move || show(command, keys));
            shown.push(one.await??);
        }
        stop.store(true, Ordering::Relaxed);
        let commits = writer.await??;

        let about = format!(
            "kvs dir -R of {} keys in directories of {KEYS_A_DIRECTORY}, {} times, while another client commits; seconds from exec to the last line; medians",
            self.keys, self.rounds
        );
        let mut seconds: Vec<f64> = shown.iter().map(|one| one.seconds).collect();
        let mut first: Vec<f64> = shown.iter().map(|one| one.first_s).collect();
        let peak = shown.iter().map(|one| one.peak_kib).max().unwrap_or(0);
        let mut report = Report::new("dir-recursive", about);
        report.figure("keys", self.keys as f64);
        report.figure("seconds", median(&mut seconds));
        report.figure("first_line_s", median(&mut first));
        report.figure("peak_memory_mib", peak as f64 / 1024.0);
        report.figure("commits_meanwhile", commits as f64);
        report.at_most("seconds", median(&mut seconds), TARGET_S);
        report.held("each time all keys, in order, of one state");
        Ok(report)
    }
}

/// Runs the command and checks each line of its output.
fn show(mut command: std::process::Command, keys: u64) -> anyhow::Result<Shown> {
    let start = Instant::now();
    let dir = Streamed::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let (mut next, mut first_s) = (0, None);
    let mut ends = Vec::new();
    let peak_kib = dir.lines(|line| {
        first_s.get_or_insert_with(|| start.elapsed().as_secs_f64());
        let (shown, value) = line.split_once(" = ").context("a line without a value")?;
        if ENDS.contains(&shown) {
            ends.push((shown.to_owned(), value.to_owned()));
            return Ok(());
        }
        ensure!(
            shown == key(next) && value == next.to_string(),
            "{line} where {} is due",
            key(next)
        );
        next += 1;
        Ok(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(next == keys, "{next} keys of {keys}");
    let [(first, one), (last, other)] = ends.as_slice() else {
        anyhow::bail!("the ends are missing: {ends:?}");
    };
    ensure!([first.as_str(), last.as_str()] == ENDS, "{ends:?}");
    ensure!(one == other, "two states in one listing: {ends:?}");
    Ok(Shown {
        seconds,
        first_s: first_s.unwrap_or(seconds),
        peak_kib,
    })
}

async fn write_ends(primary: &Namespace, number: u64) -> anyhow::Result<()> {
    let put = Transaction::new();
    let put = ENDS
        .iter()
        .fold(put, |put, end| put.put(*end, number.to_string()));
    primary.commit(put).await?;
    Ok(())
}

fn key(number: u64) -> String {
    format!(
        "k.{:06}.{:02}",
        number / KEYS_A_DIRECTORY,
        number % KEYS_A_DIRECTORY
    )
}
