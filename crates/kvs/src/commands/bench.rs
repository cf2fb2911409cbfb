//! `kvs bench`: its command line. The measurements are in the crate `kvs-bench`.
//!
//! `BenchPeerArgs` is the hidden subcommand `kvs bench-peer`: the other side of the ping-pong.

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use kvs_bench::{self as bench, Cpus, Layout, Pin, Plan, Workload};
use kvs_proto::REQUESTS_IN_FLIGHT;
use kvs_server::Durability;
use kvs_tree::HashAlgorithm;
use tokio_util::sync::CancellationToken;

use super::options::Daemon;
use super::signals::{Signals, status_of};
use crate::output::print;
use crate::quantity::{duration, size};

/// The name for all workloads.
const ALL: &str = "all";

/// Most connections.
const CLIENTS: i64 = 1024;

/// Options of `kvs bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// all, put, get, snapshot-get, mixed, watch, idle-watches, txn, append, counter,
    /// large-value, directory-growth or restart
    #[arg(value_name = "WORKLOAD", value_parser = workloads)]
    workloads: Workloads,
    /// Connections that make load
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=CLIENTS))]
    clients: u16,
    /// Unanswered requests of each connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=REQUESTS_IN_FLIGHT as i64))]
    in_flight: u16,
    /// Bytes of a value [default: 64; large-value: 8 MiB]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    value_size: Option<u64>,
    /// Number of keys [default: 1000; directory-growth, restart: 100000; large-value: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keys: Option<u64>,
    /// Watchers of `watch` [default: 1], watches of `idle-watches` [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    watchers: Option<u32>,
    /// All keys in one directory, or each in one of its own (lwj.N.state)
    #[arg(
        long,
        value_enum,
        default_value = "directory",
        hide_possible_values = true,
        value_name = "directory|lwj"
    )]
    layout: Layout,
    /// Durability of the own daemon
    #[arg(long, value_name = "commit|interval|none", default_value = "commit")]
    durability: String,
    /// Hash of the own daemon's store
    #[arg(long, value_name = "blake3|sha1", default_value = "blake3")]
    hash: HashAlgorithm,
    /// Time that is measured, in seconds or with a unit
    #[arg(long, value_name = "TIME", default_value = "3", value_parser = duration)]
    seconds: Duration,
    /// Load before that [default: a fifth of it]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    warm_up: Option<Duration>,
    /// How often to measure; medians are printed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// Bind the own daemon to the first CPU, and the load to the second (one: both to it)
    #[arg(long, value_name = "CPU[,CPU]", value_parser = pin)]
    pin: Option<Pin>,
    /// Where the own daemon's store is made and the disk measured; of another daemon, a directory
    /// beside its store [default: $TMPDIR, else /tmp; of another daemon the disk is not measured]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print one JSON object a workload instead of a table
    #[arg(long)]
    json: bool,
}

/// Options of the hidden `kvs bench-peer`, which only `kvs bench` starts.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchPeerArgs {
    /// Bytes of a request
    request: usize,
    /// Bytes of an answer
    answer: usize,
}

/// One workload, or all.
#[derive(Clone, Debug)]
struct Workloads(Vec<Workload>);

/// Runs the workloads one after the other and prints the results.
pub(crate) async fn run(daemon: &Daemon, args: BenchArgs) -> Result<ExitCode> {
    let plan = plan(daemon, &args)?;
    let cpus = Cpus::new()?;
    let stop = CancellationToken::new();
    let mut signals = Signals::catch()?;
    let stopper = stop.clone();
    let (ended, mut ended_by) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        // The receiver is used only if the signal stopped a workload.
        let _ = ended.send(signals.end().await);
        stopper.cancel();
        // A second signal does not speed up the end: created files are being removed.
        loop {
            signals.end().await;
        }
    });
    let mut all = Vec::new();
    for workload in args.workloads.0.iter().copied() {
        if workload == Workload::Restart && plan.uri.is_some() {
            ensure!(
                args.workloads.0.len() > 1,
                "restart: only the own daemon can be restarted"
            );
            continue;
        }
        let Some(figures) = bench::run(&plan, workload, &cpus, &stop).await? else {
            let status = ended_by.try_recv().map_or(u8::MAX, status_of);
            return Ok(ExitCode::from(status));
        };
        if args.json {
            print(&figures.json())?;
        }
        all.push(figures);
    }
    if !args.json {
        print(&bench::table(&all, stdout().is_terminal()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the peer of the ping-pong.
pub(crate) async fn run_peer(args: BenchPeerArgs) -> Result<ExitCode> {
    bench::run_peer(args.request, args.answer).await?;
    Ok(ExitCode::SUCCESS)
}

fn plan(daemon: &Daemon, args: &BenchArgs) -> Result<Plan> {
    // The daemon would also refuse this, but later.
    args.durability.parse::<Durability>()?;
    ensure!(!args.seconds.is_zero(), "--seconds: nothing to measure");
    Ok(Plan {
        clients: usize::from(args.clients),
        in_flight: usize::from(args.in_flight),
        value_size: args.value_size.map(usize::try_from).transpose()?,
        keys: args.keys,
        watchers: args.watchers.and_then(|n| usize::try_from(n).ok()),
        layout: args.layout,
        time: args.seconds,
        warm_up: args.warm_up.unwrap_or(args.seconds / 5),
        repetitions: usize::from(args.repetitions),
        pin: args.pin,
        durability: args.durability.clone(),
        hash: args.hash,
        directory: args.directory.clone(),
        uri: daemon.explicit_uri(),
    })
}

fn workloads(text: &str) -> Result<Workloads, String> {
    if text == ALL {
        return Ok(Workloads(Workload::value_variants().to_vec()));
    }
    match Workload::from_str(text, false) {
        Ok(one) => Ok(Workloads(vec![one])),
        Err(_) => {
            let all = Workload::value_variants().iter();
            let names = all.filter_map(ValueEnum::to_possible_value);
            let names: Vec<String> = names.map(|one| one.get_name().to_owned()).collect();
            let names = names.join(", ");
            Err(format!("no such workload; there are {ALL}, {names}"))
        }
    }
}

fn pin(text: &str) -> Result<Pin, String> {
    let cpu = |text: &str| {
        text.parse()
            .map_err(|_| "not a CPU number, or two with a comma between them".to_owned())
    };
    let (daemon, clients) = text.split_once(',').unwrap_or((text, text));
    Ok(Pin {
        daemon: cpu(daemon)?,
        clients: cpu(clients)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_workload_is_refused_with_the_names_of_all() {
        let message = workloads("nosuch").err().unwrap_or_default();
        assert!(message.contains("all, put, get,"), "{message}");
        assert!(message.contains("restart"), "{message}");
    }

    #[test]
    fn one_cpu_is_for_both_sides() {
        let both = |daemon, clients| Ok(Pin { daemon, clients });
        assert_eq!(pin("1"), both(1, 1));
        assert_eq!(pin("0,1"), both(0, 1));
        assert!(pin("").is_err() && pin("0,").is_err() && pin("a").is_err());
    }

    #[test]
    fn all_is_every_workload() {
        assert_eq!(workloads("all").unwrap().0.len(), 12);
        assert_eq!(
            workloads("idle-watches").unwrap().0,
            [Workload::IdleWatches]
        );
        assert!(workloads("idle").is_err());
    }
}
