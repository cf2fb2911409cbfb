//! `peers`: runs the same workloads on kvs and on alternative systems, alternating, in one run on
//! this machine; prints figures, ratios and whether the targets are met.
//!
//! Each system is started here, in a temporary directory and on a socket or port of its own, and
//! stopped afterwards. Reading order: `work` (workloads), `pipe` (the bare client), `process`,
//! `system`; then one file per system (`http2` is the transport for etcd); `bench` measures kvs
//! through its client library; `table` prints.
//!
//! ```text
//! cargo run --release -p kvs-peers                  five repetitions of a second each
//! cargo run --release -p kvs-peers -- --short       a look
//! cargo run --release -p kvs-peers -- --only redis  beside Redis only
//! ```

mod work;

mod pipe;

mod process;

mod system;

mod http2;

mod etcd;
mod nats;
mod redis;
mod zookeeper;

mod kvs;

mod bench;

mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use serde_json::json;

use bench::{LIMITS, Library, PLACED};
use kvs::Ours;
use redis::Sync;
use system::{Started, System};
use table::{Figures, NOT_COMPARABLE, Target};
use work::{Times, Work};

/// Names of the kvs columns.
const KVS: &str = "kvs";
const KVS_BARE: &str = "kvs bare";
const INTERVAL: &str = "kvs interval";
const INTERVAL_BARE: &str = "kvs interval bare";

/// Compares kvs with other systems on this machine
#[derive(Debug, Parser)]
struct Options {
    /// One short repetition, to check that everything works
    #[arg(long)]
    short: bool,
    /// Number of repetitions; figures are their medians
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Seconds per workload and repetition
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Measure only these systems
    #[arg(long, value_delimiter = ',')]
    only: Vec<Peer>,
    /// Directory for all data; should be on the disk to be measured
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// The running systems.
type Systems = Vec<Box<dyn System>>;

/// A system to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    Redis,
    Etcd,
    Nats,
    Zookeeper,
}

fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    if options.short {
        (options.repetitions, options.seconds) = (1, 0.1);
    }
    let time = Duration::try_from_secs_f64(options.seconds)?;
    let times = Times {
        warm_up: time / 5,
        time,
    };
    let parent = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    let (peers, missing) = start(&options, &parent);
    let durable = Ours::start(&parent, "commit")?;
    let relaxed = Ours::start(&parent, "interval")?;
    let mut library = Library::new(KVS, &durable, parent.clone());
    let mut interval = Library::new(INTERVAL, &relaxed, parent);
    let mut others = vec![durable.bare(KVS_BARE)?, relaxed.bare(INTERVAL_BARE)?];
    others.extend(peers);
    let mut names = vec![KVS, INTERVAL];
    names.extend(others.iter().map(|system| system.name()));
    let mut figures = Figures::new(names);
    for repetition in 1..=options.repetitions {
        eprintln!("repetition {repetition} of {}", options.repetitions);
        // All systems run one workload in turn, so that background activity affects all of them.
        for work in Work::ALL {
            let ours: [&mut dyn System; 2] = [&mut library, &mut interval];
            let others = others
                .iter_mut()
                .map(|system| &mut **system as &mut dyn System);
            for system in ours.into_iter().chain(others) {
                let measured = system.measure(work, times);
                let what = || format!("{}: {}", system.name(), work.name());
                if let Some(measured) = measured.with_context(what)? {
                    figures.add(work, system.name(), measured);
                }
            }
        }
    }
    let targets = targets(&figures, &library);
    let about = [library.about(), interval.about()].into_iter();
    let about: Vec<&str> = about
        .chain(others.iter().map(|system| system.about()))
        .collect();
    if options.json {
        let targets: Vec<_> = targets
            .iter()
            .map(|one| json!({"target": one.what, "bound": one.bound, "value": one.value, "met": one.met()}))
            .collect();
        let all = json!({"systems": about, "missing": missing, "figures": figures.json(), "targets": targets});
        println!("{all}");
        return Ok(());
    }
    println!(
        "{} repetitions of {} s each, alternating; medians.",
        options.repetitions, options.seconds
    );
    for line in about
        .iter()
        .copied()
        .chain(missing.iter().map(String::as_str))
    {
        println!("* {line}");
    }
    println!("\nFigures\n{}", figures.table(None));
    println!("\n{KVS} to each\n{}", figures.table(Some(KVS)));
    println!("\n{KVS_BARE} to each\n{}", figures.table(Some(KVS_BARE)));
    println!("\nTargets\n{}", table::targets(&targets));
    print_beside(&library);
    println!("\nNot comparable, or only with care:");
    for line in NOT_COMPARABLE {
        println!("* {line}");
    }
    Ok(())
}

/// Prints the limits of the machine next to the kvs figures.
fn print_beside(library: &Library) {
    println!("\nThe machine's limits beside kvs, and kvs placed on one core and on two");
    for work in Work::ALL {
        let known: Vec<String> = LIMITS
            .into_iter()
            .chain(PLACED)
            .filter_map(|name| Some(format!("{name} {:.1}", library.beside(work, name)?)))
            .collect();
        if !known.is_empty() {
            println!("* {}: {}", work.name(), known.join(", "));
        }
    }
}

/// Starts the requested and installed systems; also returns why others are missing.
fn start(options: &Options, parent: &Path) -> (Systems, Vec<String>) {
    let wanted = |peer| options.only.is_empty() || options.only.contains(&peer);
    let start = |peer, start: &dyn Fn() -> anyhow::Result<Started>| wanted(peer).then(start);
    let started = [
        start(Peer::Redis, &|| redis::start(parent, Sync::Always)),
        start(Peer::Redis, &|| redis::start(parent, Sync::EverySecond)),
        start(Peer::Etcd, &|| etcd::start(parent)),
        start(Peer::Nats, &|| nats::start(parent)),
        start(Peer::Zookeeper, &|| zookeeper::start(parent)),
    ];
    let mut running = Vec::new();
    let mut missing = Vec::new();
    for one in started.into_iter().flatten() {
        match one {
            Ok(Started::Runs(system)) => running.push(system),
            Ok(Started::Missing(why)) => missing.push(format!("skipped: {why}")),
            // A system that fails to start must not prevent measuring the others.
            Err(error) => missing.push(format!("skipped: {error:#}")),
        }
    }
    missing.dedup();
    (running, missing)
}

/// Returns the performance targets.
fn targets(figures: &Figures, library: &Library) -> Vec<Target> {
    let at_least = |what: &str, value, bound| Target {
        what: what.to_owned(),
        value,
        bound,
        at_most: false,
    };
    let at_most = |what: &str, value, bound| Target {
        what: what.to_owned(),
        value,
        bound,
        at_most: true,
    };
    let over = |work, figure: Option<f64>, limits: &[&'static str]| {
        let sum: Option<f64> = limits.iter().map(|name| library.beside(work, name)).sum();
        Some(figure? / sum?.max(1e-9))
    };
    let puts = |theirs| figures.ratio(Work::Puts, KVS, theirs);
    let gets = |theirs| figures.ratio(Work::Gets, KVS, theirs);
    let bare = figures.ratio(Work::Puts, KVS_BARE, "redis always");
    let place = |name| library.beside(Work::Get, name);
    vec![
        at_most(
            "put p50 : ping-pong + fdatasync",
            over(
                Work::Put,
                figures.figure(Work::Put, KVS),
                &["pingpong_p50_us", "fdatasync_p50_us"],
            ),
            1.25,
        ),
        at_least("puts, 128 in flight : etcd", puts("etcd"), 10.0),
        at_least(
            "puts, 128 in flight : Redis always",
            puts("redis always"),
            1.0,
        ),
        at_least("the same by a bare client of kvs", bare, 1.0),
        at_least(
            "puts, 128 in flight : bare append loop",
            over(
                Work::Puts,
                figures.figure(Work::Puts, KVS),
                &["append_rate"],
            ),
            0.25,
        ),
        at_least(
            "puts, 512 in flight : bare append loop",
            over(
                Work::ManyPuts,
                figures.figure(Work::ManyPuts, KVS),
                &["append_rate"],
            ),
            0.25,
        ),
        at_least(
            "puts, interval, 128 in flight : Redis everysec",
            figures.ratio(Work::Puts, INTERVAL, "redis everysec"),
            1.0,
        ),
        at_most(
            "get p50, two cores : ping-pong",
            over(
                Work::Get,
                place("cross_core_p50_us"),
                &["pingpong_cross_core_p50_us"],
            ),
            1.25,
        ),
        at_most(
            "get p50, one core : ping-pong",
            over(
                Work::Get,
                place("same_core_p50_us"),
                &["pingpong_same_core_p50_us"],
            ),
            2.0,
        ),
        at_least("gets, 128 in flight : Redis", gets("redis always"), 1.0),
        at_least(
            "the same by a bare client of kvs",
            figures.ratio(Work::Gets, KVS_BARE, "redis always"),
            1.0,
        ),
        at_least("gets, 128 in flight : etcd", gets("etcd"), 5.0),
        at_most(
            "watch, call to callback : etcd",
            figures.ratio(Work::Watch, KVS, "etcd"),
            0.5,
        ),
    ]
}
