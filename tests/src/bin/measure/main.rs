//! The measurements of kvs, one subcommand per measurement:
//! `cargo run --release -p kvs-acceptance --bin measure -- kill-nine`, or `all`, or `all --short`.
//!
//! Fails if a guarantee is broken or, without `--short`, if a target is missed.

mod what;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kvs_testkit::{Random, has_root};
use what::What;

/// Runs the acceptance measurements of kvs
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Small sizes, about a minute in total; timing targets are shown but not enforced
    #[arg(long, global = true)]
    short: bool,
    /// Print one JSON object per measurement
    #[arg(long, global = true)]
    json: bool,
    /// Directory for the stores; must be on the disk to be measured, not in memory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "target/measure"
    )]
    directory: PathBuf,
    /// Random seed, printed so that a run can be repeated
    #[arg(long, global = true)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let What::HostileGuest(guest) = &arguments.what {
        guest.run()?;
        return Ok(ExitCode::SUCCESS);
    }
    if let What::Flood {
        how,
        socket,
        versions,
    } = &arguments.what
    {
        how.run(socket, *versions)?;
        return Ok(ExitCode::SUCCESS);
    }
    let seed = arguments.seed.unwrap_or_else(Random::fresh_seed);
    let runs = match (&arguments.what, arguments.short) {
        (What::All, short) => What::all(short),
        (one, false) => vec![one.clone()],
        (one, true) => {
            let same = std::mem::discriminant(one);
            let mut small = What::all(true);
            small.retain(|run| std::mem::discriminant(run) == same);
            small
        }
    };
    let mut met = true;
    for run in runs {
        let needs_root = matches!(run, What::Fairness(_));
        if needs_root && matches!(arguments.what, What::All) && !has_root() {
            continue;
        }
        let report = run.run(arguments.directory.clone(), seed).await?;
        let mut out = std::io::stdout().lock();
        if arguments.json {
            writeln!(out, "{}", report.to_json())?;
        } else {
            writeln!(out, "{report}")?;
        }
        met &= report.met();
    }
    Ok(if met || arguments.short {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
