//! Streaming put and get of a 1 GiB value: measures the memory of client and daemon, and the rate
//! compared with copying through a unix socket into a file with a sync. A put is durable when it
//! returns; the file of a get is synced as well.
//!
//! Each round has its own content. Each put and get is compared with a copy made just before it,
//! because the speed of a shared disk varies.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{anyhow, ensure};

use crate::measuring::report::Report;
use crate::measuring::rss_sampler::Streamed;
use kvs_testkit::Home;
use kvs_testkit::Random;
use kvs_testkit::median;

/// Size of a copied piece in bytes.
const PIECE: usize = 1 << 20;

/// Maximum memory of either side, in MiB.
const MEMORY_MIB: f64 = 100.0;

/// Maximum ratio of the time of a put or get to that of the copy.
const TIMES: f64 = 2.0;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct LargeValue {
    /// Size of the value in MiB.
    pub mib: u64,
    /// Number of puts and gets.
    pub rounds: u64,
    /// Directory of the store and the files.
    pub directory: PathBuf,
}

/// The rounds of one kind.
#[derive(Default)]
struct Rounds {
    seconds: Vec<f64>,
    beside: Vec<f64>,
    peak_kib: u64,
}

impl Rounds {
    fn add(&mut self, seconds: f64, cat: f64, peak_kib: u64) {
        self.seconds.push(seconds);
        self.beside.push(seconds / cat);
        self.peak_kib = self.peak_kib.max(peak_kib);
    }

    fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

impl LargeValue {
    /// Performs the run.
    ///
    /// # Errors
    /// If a put or get fails, or returns different content.
    pub async fn run(&self) -> anyhow::Result<Report> {
        std::fs::create_dir_all(&self.directory)?;
        let files = tempfile::tempdir_in(&self.directory)?;
        let (input, output) = (files.path().join("in"), files.path().join("out"));
        let mut daemon_mib: f64 = 0.0;
        let (mut puts, mut gets) = (Rounds::default(), Rounds::default());
        let mut cats = Vec::new();
        for round in 0..self.rounds {
            // A store of its own: older, retained values would fill the page cache.
            let home = Home::in_directory(&self.directory)?;
            let daemon = home.start()?;
            fill(&input, self.mib, round)?;
            let copied = cat(&input, &output)?;
            std::fs::remove_file(&output)?;
            let mut put = home.client(&["put", "-r", "large=-"])?;
            let start = Instant::now();
            let peak = Streamed::spawn(put.stdin(File::open(&input)?))?.wait()?;
            puts.add(start.elapsed().as_secs_f64(), copied, peak);
            cats.push(copied);

            let copied = cat(&input, &output)?;
            std::fs::remove_file(&output)?;
            let mut get = home.client(&["get", "-r", "-S", "large"])?;
            let start = Instant::now();
            let out = File::create(&output)?;
            let get = get.stdin(Stdio::null()).stdout(out.try_clone()?);
            let peak = Streamed::spawn(get)?.wait()?;
            out.sync_data()?;
            gets.add(start.elapsed().as_secs_f64(), copied, peak);
            cats.push(copied);
            ensure!(same(&input, &output)?, "what was got is not what was put");
            std::fs::remove_file(&output)?;
            let peak_kib = daemon.counters().peak_memory_kib()?;
            daemon_mib = daemon_mib.max(peak_kib as f64 / 1024.0);
        }

        let about = format!(
            "a value of {} MiB put from a file and got into one, {} times; beside each the same through a unix socket in pieces of 1 MiB; the put is durable when it ends, files are synced; medians",
            self.mib, self.rounds
        );
        let rate = |seconds: &mut Vec<f64>| self.mib as f64 / median(seconds);
        let mut report = Report::new("large-value", about);
        report.figure("mib", self.mib as f64);
        report.figure("cat_mib_per_s", rate(&mut cats));
        report.figure("put_mib_per_s", rate(&mut puts.seconds));
        report.figure("get_mib_per_s", rate(&mut gets.seconds));
        report.figure("put_peak_memory_mib", puts.peak_mib());
        report.figure("get_peak_memory_mib", gets.peak_mib());
        report.figure("daemon_peak_memory_mib", daemon_mib);
        report.at_most("memory of put, MiB", puts.peak_mib(), MEMORY_MIB);
        report.at_most("memory of get, MiB", gets.peak_mib(), MEMORY_MIB);
        report.at_most("memory of the daemon, MiB", daemon_mib, MEMORY_MIB);
        let (put, get) = (median(&mut puts.beside), median(&mut gets.beside));
        report.at_most("time of a put beside cat", put, TIMES);
        report.at_most("time of a get beside cat", get, TIMES);
        report.held("every byte came back");
        Ok(report)
    }
}

/// Fills a file with content unique to the round.
fn fill(path: &Path, mib: u64, seed: u64) -> anyhow::Result<()> {
    let mut random = Random::new(seed);
    let mut file = File::create(path)?;
    for _ in 0..mib {
        let words = std::iter::repeat_with(|| random.number().to_le_bytes());
        let piece: Vec<u8> = words.take(PIECE / 8).flatten().collect();
        file.write_all(&piece)?;
    }
    file.sync_data()?;
    Ok(())
}

/// Copies a file through a socket into another file with a sync; returns the time in seconds.
fn cat(from: &Path, to: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let (mut near, mut far) = UnixStream::pair()?;
    let mut input = File::open(from)?;
    let sender = std::thread::spawn(move || copy(&mut input, &mut near));
    let mut output = File::create(to)?;
    copy(&mut far, &mut output)?;
    output.sync_data()?;
    let sent = sender.join();
    sent.map_err(|_| anyhow!("the sender panicked"))??;
    Ok(start.elapsed().as_secs_f64())
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = from.read(&mut piece)?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        to.write_all(bytes)?;
    }
}

/// Returns whether two files have the same content.
fn same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let most = PIECE as u64;
        Read::take(&mut one, most).read_to_end(&mut left)?;
        Read::take(&mut other, most).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
