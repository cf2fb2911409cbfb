//! kvs through its client library: runs `kvs bench` against a running daemon, which also measures
//! the limits of the machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, ensure};
use kvs_testkit::{median, program};
use serde_json::Value;

use super::kvs::Ours;
use super::system::System;
use super::work::{KEYS, Measured, Times, VALUE_BYTES, Work};

/// Machine limits to record, by their names in `kvs bench`.
pub(crate) const LIMITS: [&str; 5] = [
    "pingpong_p50_us",
    "pingpong_same_core_p50_us",
    "pingpong_cross_core_p50_us",
    "fdatasync_p50_us",
    "append_rate",
];

/// kvs figures with both sides on one core, and on two.
pub(crate) const PLACED: [&str; 2] = ["same_core_p50_us", "cross_core_p50_us"];

/// A daemon measured through the client library.
pub(crate) struct Library {
    name: &'static str,
    about: String,
    daemon: Rc<Ours>,
    /// Directory in which the disk is measured.
    directory: PathBuf,
    /// Additional measurements by workload.
    beside: BTreeMap<(Work, &'static str), Vec<f64>>,
}

impl Library {
    /// Wraps a running daemon.
    pub(crate) fn new(name: &'static str, daemon: &Rc<Ours>, directory: PathBuf) -> Self {
        let durable = match daemon.durability {
            "commit" => "each answer follows an fdatasync",
            _ => "synced at an interval",
        };
        Self {
            name,
            about: format!(
                "kvs {}, unix socket, durability {}: {durable}; by its client library (kvs bench)",
                env!("CARGO_PKG_VERSION"),
                daemon.durability
            ),
            daemon: Rc::clone(daemon),
            directory,
            beside: BTreeMap::new(),
        }
    }

    /// Returns the median of an additional measurement over all repetitions.
    pub(crate) fn beside(&self, work: Work, name: &'static str) -> Option<f64> {
        Some(median(&mut self.beside.get(&(work, name))?.clone()))
    }
}

impl System for Library {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &str {
        &self.about
    }

    fn measure(&mut self, work: Work, times: Times) -> anyhow::Result<Option<Measured>> {
        let workload = match work {
            Work::Put | Work::Puts | Work::ManyPuts => "put",
            Work::Get | Work::Gets => "get",
            Work::Watch => "watch",
            Work::Count | Work::Counts => "counter",
        };
        let output = Command::new(program()?)
            .args(["bench", workload, "--json", "--repetitions", "1", "--uri"])
            .args([&self.daemon.uri, "--directory"])
            .arg(&self.directory)
            .args(["--keys", &KEYS.to_string()])
            .args(["--value-size", &VALUE_BYTES.to_string()])
            .args(["--in-flight", &work.in_flight().to_string()])
            .args(["--seconds", &times.time.as_secs_f64().to_string()])
            .args(["--warm-up", &times.warm_up.as_secs_f64().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run kvs bench")?;
        ensure!(output.status.success(), "kvs bench {workload} failed");
        let figures: Value = serde_json::from_slice(&output.stdout)?;
        let figure = |name: &str| figures.get(name).and_then(Value::as_f64);
        let limit = |name: &str| figures.get("limit")?.get(name)?.as_f64();
        let limits = LIMITS.into_iter().map(|name| (name, limit(name)));
        let placed = PLACED.into_iter().map(|name| (name, figure(name)));
        for (name, value) in limits.chain(placed) {
            if let Some(value) = value {
                self.beside.entry((work, name)).or_default().push(value);
            }
        }
        Ok(Some(Measured {
            rate: figure("rate").context("no rate")?,
            p50_us: figure("p50_us").context("no p50_us")?,
            p99_us: figure("p99_us").context("no p99_us")?,
        }))
    }
}
