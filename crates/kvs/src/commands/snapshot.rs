//! `kvs snapshot`: prints snapshot references, and pins snapshots so that they stay readable.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use kvs_client::{At, ErrorCode, PinInfo};
use serde_json::json;

use super::failure::{About as _, Kind, failed};
use super::options::{Daemon, NamespaceOption, version};
use super::root::info_json;
use crate::output::Sink;
use crate::quantity::{positive_duration, spoken};

/// Options of `kvs snapshot`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  kvs snapshot                              prints primary@42:blake3-…
  kvs get --at \"$(kvs snapshot)\" a.b        read exactly that state, whoever is given the reference
  kvs snapshot --version 17                 that of a past version
  id=$(kvs snapshot pin --lease 1h)         keep the newest state readable for an hour
  kvs snapshot unpin \"$id\""
)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// That of a past version, instead of the newest
    #[arg(long, value_name = "N", value_parser = version)]
    version: Option<u64>,
    /// Print JSON objects
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Keep a snapshot readable, and print the id of the pin
    #[command(after_help = "\
Examples:
  kvs snapshot pin                                  the newest state, until it is unpinned
  kvs snapshot pin primary@17:blake3-… --lease 1h   that state, for an hour")]
    Pin(PinArgs),
    /// Release pins
    #[command(after_help = "\
Examples:
  kvs snapshot unpin 3                      the pin with that id
  kvs snapshot unpin primary@17:blake3-…    every pin of that snapshot")]
    Unpin(UnpinArgs),
    /// List pins
    #[command(after_help = "\
Examples:
  kvs snapshot list        a header, then ID, OWNER, LEFT, SNAPSHOT of each pin")]
    List,
}

#[derive(Debug, Args)]
struct PinArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// The snapshot [default: the newest state]
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// How long to keep it, such as 10m or 1d, at most 30d [default: until it is unpinned]
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    lease: Option<Duration>,
}

#[derive(Debug, Args)]
struct UnpinArgs {
    /// Ids of pins, or snapshot references
    #[arg(required = true, value_name = "ID")]
    pins: Vec<String>,
}

/// Prints a reference, or runs the subcommand.
pub(crate) async fn run(daemon: &Daemon, args: SnapshotArgs) -> Result<ExitCode> {
    let mut sink = Sink::new();
    let as_json = args.json;
    match args.action {
        None => {
            let name = args.namespace.name(daemon);
            let client = daemon.connect(&name).await?;
            let at = args.version.map_or(At::Current, At::Version);
            let info = client.namespace(name).info(at).await.about("snapshot")?;
            if args.json {
                sink.line(&info_json(&info))?;
            } else {
                sink.line(&info.snapshot)?;
            }
        }
        Some(Action::Pin(args)) => {
            let name = args.namespace.name(daemon);
            let client = daemon.connect(&name).await?;
            let reference = match args.reference {
                Some(reference) => reference,
                None => client
                    .namespace(name)
                    .info(At::Current)
                    .await
                    .about("pin")?
                    .snapshot
                    .to_string(),
            };
            let pin = client
                .pin(reference.as_str(), args.lease)
                .await
                .about(&reference)?;
            if as_json {
                sink.line(&pin_json(&pin))?;
            } else {
                sink.line(&pin.id.to_string())?;
            }
        }
        Some(Action::Unpin(args)) => {
            let client = daemon.connect("primary").await?;
            for pin in &args.pins {
                let ids = match pin.parse() {
                    Ok(id) => vec![id],
                    Err(_) => pins_of(&client.pins().await.about(pin)?, pin)?,
                };
                for id in ids {
                    match client.unpin(id).await {
                        Err(error) if error.code == ErrorCode::NotFound => {
                            return Err(not_pinned(pin));
                        }
                        answer => answer.about(pin)?,
                    }
                }
            }
        }
        Some(Action::List) => {
            let client = daemon.connect("primary").await?;
            let pins = client.pins().await.about("snapshot list")?;
            if !as_json {
                sink.line(&row("ID", "OWNER", "LEFT", "SNAPSHOT"))?;
            }
            for pin in pins {
                if as_json {
                    sink.line(&pin_json(&pin))?;
                    continue;
                }
                let left = pin.left.map_or_else(|| "unlimited".to_owned(), spoken);
                let line = row(
                    &pin.id.to_string(),
                    &pin.uid.to_string(),
                    &left,
                    &pin.snapshot,
                );
                sink.line(&line)?;
            }
        }
    }
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A pin as JSON. `lease` and `left` are in seconds, or null if the pin does not expire.
fn pin_json(pin: &PinInfo) -> String {
    json!({
        "id": pin.id,
        "owner": pin.uid,
        "lease": pin.lease.map(|lease| lease.as_secs_f64()),
        "left": pin.left.map(|left| left.as_secs_f64()),
        "snapshot": pin.snapshot,
    })
    .to_string()
}

fn row(id: &str, owner: &str, left: &str, snapshot: &str) -> String {
    format!("{id:<8} {owner:>10} {left:<10} {snapshot}")
}

/// The ids of all pins of a snapshot.
fn pins_of(pins: &[PinInfo], reference: &str) -> Result<Vec<u64>> {
    let ids: Vec<u64> = pins
        .iter()
        .filter(|pin| pin.snapshot == reference)
        .map(|pin| pin.id)
        .collect();
    if ids.is_empty() {
        return Err(not_pinned(reference));
    }
    Ok(ids)
}

fn not_pinned(what: &str) -> anyhow::Error {
    failed(Kind::NotThere, format!("{what}: not pinned"))
}
