//! `kvs status`: prints the status that the daemon reports.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use super::failure::About as _;
use super::options::Daemon;
use crate::output::{Sink, status_lines};

/// Options of `kvs status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Names that end in _bytes, _ms or _us have that unit. Names may come and go with versions of kvs.

Examples:
  kvs status                                 every text and number
  kvs status --json | jq .connections        one of them")]
pub(crate) struct StatusArgs {
    /// Print one JSON object with every text and number
    #[arg(long)]
    json: bool,
}

/// Runs `kvs status`.
pub(crate) async fn run(daemon: &Daemon, args: StatusArgs) -> Result<ExitCode> {
    let client = daemon.connect("primary").await?;
    let status = client.status().await.about("status")?;
    let mut sink = Sink::new();
    if args.json {
        let texts = status.texts.into_iter();
        let texts = texts.map(|(name, text)| (name.to_string(), Value::from(text)));
        let counters = status.counters.into_iter();
        let counters = counters.map(|(name, count)| (name.to_string(), Value::from(count)));
        let all: Map<String, Value> = texts.chain(counters).collect();
        sink.line(&Value::from(all).to_string())?;
    } else {
        let texts = status.texts.iter();
        let texts: Vec<_> = texts
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let counters = status.counters.iter();
        let counters: Vec<_> = counters
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        for line in status_lines(&texts, &counters) {
            sink.line(&line)?;
        }
    }
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}
