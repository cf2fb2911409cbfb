//! `kvs setroot`: each move of a root as it comes, and namespaces that come and go.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{FollowOptions, Moved, NamespaceRoot, RootEvent, Start};

use super::failure::About as _;
use super::interrupt::end_on_interrupt;
use super::options::{Daemon, NamespaceOption};
use super::report::who;
use super::watch::From;
use crate::output::{RootReport, Sink, Standing, Touched, reader_gone, seconds};

/// Options of `kvs setroot`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs setroot                              each version of the namespace, with the keys it touched
  kvs setroot --all --json                 those of all namespaces, one JSON object a line
  kvs setroot --namespaces                 namespaces that are made, removed or given away
  kvs setroot --from 42 --count 3          three versions from 42 on
  kvs setroot --all --json --after PLACE   what happened since the event with that place")]
pub(crate) struct SetrootArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Follow all namespaces that you may read
    #[arg(long)]
    all: bool,
    /// Of all namespaces, tell only that they are made, removed or given to another user
    #[arg(long)]
    namespaces: bool,
    /// Where to begin: now; initial, where the roots are first; or a version of the one namespace,
    /// which is included
    #[arg(
        long,
        value_name = "now|initial|VERSION",
        default_value = "now",
        hide_default_value = true
    )]
    from: From,
    /// Go on right behind an event, whose place --json shows, also after the daemon was restarted
    #[arg(long, value_name = "PLACE", conflicts_with = "from")]
    after: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print one JSON object a line for each event
    #[arg(long)]
    json: bool,
}

/// Prints events until the count is reached.
pub(crate) async fn run(daemon: &Daemon, args: SetrootArgs) -> Result<ExitCode> {
    end_on_interrupt();
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let mut options = FollowOptions::new();
    options.namespace = (!args.all && !args.namespaces).then(|| name.into());
    options.place = args.after.map(Into::into);
    options.start = match args.from {
        From::Now => Start::Now,
        From::Initial => Start::Initial,
        From::Version(version) => Start::Version {
            version,
            incarnation: None,
        },
    };
    let mut stream = client.follow(options).await.about("setroot")?;
    let mut sink = Sink::new();
    let mut left = args.count;
    let gone = reader_gone();
    tokio::pin!(gone);
    loop {
        let event = tokio::select! {
            event = stream.recv() => event.about("setroot")?,
            error = &mut gone => return Err(error.into()),
        };
        let place = event.place().clone();
        let Some(report) = report(event) else {
            continue;
        };
        if args.namespaces && !report.is_of_namespaces() {
            continue;
        }
        if args.json {
            sink.line(&report.json(&place)?)?;
        } else {
            for line in report.lines() {
                sink.line(&line)?;
            }
        }
        sink.flush()?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// What is printed of an event; `None` for a kind that this build does not know.
fn report(event: RootEvent) -> Option<RootReport> {
    Some(match event {
        RootEvent::State(state) => RootReport::State {
            lost: state.lost,
            namespaces: state.namespaces.into_iter().map(standing).collect(),
        },
        RootEvent::Moved(moved) => report_move(moved),
        RootEvent::Created(made) => RootReport::Created {
            namespace: made.namespace.into(),
            owner: made.owner,
            incarnation: made.incarnation,
            time: seconds(made.time),
        },
        RootEvent::Reincarnated(anew) => RootReport::Reincarnated {
            namespace: anew.namespace.into(),
            incarnation: anew.incarnation,
            time: seconds(anew.time),
        },
        RootEvent::OwnerChanged(changed) => RootReport::OwnerChanged {
            namespace: changed.namespace.into(),
            owner: changed.owner,
            before: changed.before,
            time: seconds(changed.time),
        },
        RootEvent::Removed(gone) => RootReport::Removed {
            namespace: gone.namespace.into(),
            time: seconds(gone.time),
        },
        _ => return None,
    })
}

fn standing(root: NamespaceRoot) -> Standing {
    Standing {
        namespace: root.namespace.into(),
        owner: root.owner,
        version: root.position.version,
        root: root.root.into(),
    }
}

fn report_move(moved: Moved) -> RootReport {
    let changes = moved.changes.into_iter().map(|change| Touched {
        key: change.key.into(),
        kind: change.kind.name(),
    });
    RootReport::Moved {
        namespace: moved.namespace.into(),
        version: moved.position.version,
        root: moved.root.into(),
        previous: moved.previous.into(),
        snapshot: moved.snapshot.into(),
        time: seconds(moved.time),
        transactions: who(&moved.transactions),
        changes: changes.collect(),
    }
}
