//! `kvs watch`: every version that touched a scope, as it comes.

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use kvs_client::{Client, Event, WatchOptions};

use super::failure::About as _;
use super::interrupt::end_on_interrupt;
use super::options::{Daemon, NamespaceOption};
use super::report::{changes, gap, initial};
use crate::output::{Sink, VersionReport, reader_gone};

/// Options of `kvs watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
A SCOPE is a key and all that is below it (lwj.17), or a pattern in which * is one name, ** any
number of names, and ? and […] stand for a character (lwj.*.state). Quote patterns for the shell.

Examples:
  kvs watch 'lwj.*.state'                   every state of every job, from now on
  kvs watch --from initial config           what is there, then each change of it
  kvs watch --from 42 --count 3 --json .    three versions from 42 on, one JSON object a line")]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Where to begin: now; initial, the present state first; or a version, which is included
    #[arg(
        long,
        value_name = "now|initial|VERSION",
        default_value = "now",
        hide_default_value = true
    )]
    from: From,
    /// End after so many versions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print one JSON object a line for each version
    #[arg(long)]
    json: bool,
    /// What to watch
    #[arg(required = true, value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Now,
    Initial,
    Version(u64),
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "now" => Ok(Self::Now),
            "initial" => Ok(Self::Initial),
            _ => text
                .parse()
                .map(Self::Version)
                .map_err(|_| "not now, initial or a version"),
        }
    }
}

/// Prints versions until the count is reached.
pub(crate) async fn run(daemon: &Daemon, args: WatchArgs) -> Result<ExitCode> {
    end_on_interrupt();
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let mut options = WatchOptions::new();
    // A version is one object or one group of lines, so it must be whole before it is printed.
    options.assemble_bytes = usize::MAX;
    for scope in &args.scopes {
        options = options.scope(scope.as_str());
    }
    options = match args.from {
        From::Now => options,
        From::Initial => options.initial(),
        From::Version(version) => options.from_version(version),
    };
    let mut watch = client
        .namespace(name.as_str())
        .watch(options)
        .await
        .about("watch")?;
    let mut sink = Sink::new();
    let mut left = args.count;
    let gone = reader_gone();
    tokio::pin!(gone);
    loop {
        let event = tokio::select! {
            event = watch.next() => event.about("watch")?,
            error = &mut gone => return Err(error.into()),
        };
        let Some(report) = report(&client, &name, &event, args.json, &mut sink).await? else {
            continue;
        };
        if args.json {
            sink.line(&report.json()?)?;
        } else {
            for line in report.watch_lines() {
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

/// The report of a version, or `None` after an event that is none: a gap is printed at once.
async fn report(
    client: &Client,
    namespace: &str,
    event: &Event,
    json: bool,
    sink: &mut Sink,
) -> Result<Option<VersionReport>> {
    match event {
        Event::Initial(state) => initial(client, namespace, state).await.map(Some),
        Event::Changes(version) => changes(client, namespace, version).await.map(Some),
        Event::Gap(hole) => {
            sink.line(&gap(namespace, hole, json)?)?;
            sink.flush()?;
            Ok(None)
        }
        // Only said of versions that are handed out in parts, or if asked for.
        Event::Restart(_) | Event::Created(_) | Event::Mark(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_begins_now_with_the_state_or_at_a_version() {
        assert_eq!("now".parse(), Ok(From::Now));
        assert_eq!("initial".parse(), Ok(From::Initial));
        assert_eq!("42".parse(), Ok(From::Version(42)));
        assert!("then".parse::<From>().is_err());
    }
}
