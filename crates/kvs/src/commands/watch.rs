//! `kvs watch`: prints every version that touched a scope, or runs a command for it.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use kvs_client::{Client, ErrorCode, Event, Mode, Position, WatchOptions, WatchStream};
use serde_json::json;

use super::events::is_last;
use super::exec::Exec;
use super::failure::{About as _, failure_as, usage};
use super::from::From;
use super::interrupt::end_on_interrupt;
use super::options::{Daemon, NamespaceOption, TimeoutOption};
use super::outlet::{Feed, Outlet};
use super::report::{Printer, gap, head};
use super::until::{Asking, Until};
use crate::limits::WATCH_WHOLE_BYTES;
use crate::output::{Sink, reader_gone};
use crate::quantity::{bookmark_interval, size};

/// Options of `kvs watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
A SCOPE is a key and all that is below it (lwj.17), or a pattern in which * is one name, ** any
number of names, and ? and […] stand for a character (lwj.*.state). Quote patterns for the shell.

A command of --exec finds KVS_SNAPSHOT, KVS_NAMESPACE, KVS_VERSION, KVS_ROOT and KVS_KEYS (a line
each) in its environment, and the event as a JSON object on its standard input.

Examples:
  kvs watch 'lwj.*.state'                   every state of every job, from now on
  kvs watch --from initial config           what is there, then each change of it
  kvs watch --from 42 --count 3 --json .    three versions from 42 on, one JSON object a line
  kvs watch --from 1 --to 42 config         what versions 1 to 42 did to it
  kvs watch --mode append log               what is appended to a value
  kvs watch --exec 'kvs get -a $KVS_SNAPSHOT config.a config.b' config
                                            both values as they were when either changed")]
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
    /// Which versions: every one; the latest, if more come than are taken; only what is appended;
    /// only those that leave another value than before [default: every]
    #[arg(
        long,
        value_enum,
        default_value = "every",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "every|latest|append|unique"
    )]
    mode: ModeName,
    /// With --mode append: bytes of the value that are there already
    #[arg(long, value_name = "BYTES", value_parser = size)]
    offset: Option<u64>,
    /// Wait for the namespace if there is none
    #[arg(long)]
    wait_create: bool,
    /// Tell what stood there before, too
    #[arg(long)]
    previous: bool,
    /// Tell keys without values
    #[arg(long, conflicts_with = "previous")]
    keys: bool,
    /// Run a shell command for each event instead of printing it, one at a time; if it fails, so
    /// does the watch
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// With --exec: of what comes while the command runs, only the newest
    #[arg(long, requires = "exec")]
    coalesce: bool,
    /// Tell at this interval, 100ms or more, how far the watch is, if nothing else does
    #[arg(long, value_name = "DURATION", value_parser = bookmark_interval)]
    bookmarks: Option<Duration>,
    /// End after so many versions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after that version, once it is there: nothing newer is printed
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    #[command(flatten)]
    timeout: TimeoutOption,
    /// Print one JSON object a line for each version
    #[arg(long)]
    json: bool,
    /// What to watch
    #[arg(required = true, value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// Names of modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeName {
    Every,
    Latest,
    Append,
    Unique,
}

impl WatchArgs {
    fn options(&self) -> Result<WatchOptions> {
        let mut options = WatchOptions::new();
        options.assemble_bytes = WATCH_WHOLE_BYTES;
        for scope in &self.scopes {
            options = options.scope(scope.as_str());
        }
        options = match self.from {
            From::Now => options,
            From::Initial => options.initial(),
            From::Version(version) => options.from_version(version),
        };
        if self.offset.is_some() && self.mode != ModeName::Append {
            return Err(usage("watch: --offset is for --mode append"));
        }
        options.mode = match self.mode {
            ModeName::Every => Mode::Every,
            ModeName::Latest => Mode::Latest,
            ModeName::Unique => Mode::Unique,
            ModeName::Append => Mode::Append {
                offset: self.offset.unwrap_or(0),
            },
        };
        options.values = !self.keys;
        options.previous = self.previous;
        options.wait_create = self.wait_create;
        options.mark_interval = self.bookmarks;
        if let (From::Version(from), Some(to)) = (self.from, self.to)
            && to < from
        {
            return Err(usage(format!("watch: --to {to} is before --from {from}")));
        }
        Ok(options)
    }
}

/// Runs `kvs watch`.
pub(crate) async fn run(daemon: &Daemon, args: WatchArgs) -> Result<ExitCode> {
    end_on_interrupt();
    let timeout = args.timeout;
    timeout.within("watch", watch(daemon, args)).await
}

async fn watch(daemon: &Daemon, args: WatchArgs) -> Result<ExitCode> {
    let options = args.options()?;
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let stream = client
        .namespace(name.as_str())
        .watch(options)
        .await
        .about("watch")?;
    let json = args.json || args.exec.is_some();
    let until = Until::new(args.to, args.from == From::Initial, stream.started());
    let mut watching = Watching {
        until,
        asking: Asking::never(),
        to: args.to,
        bookmarks: args.bookmarks.is_some(),
        printer: Printer::new(&client, &name, json),
        client,
        stream,
        name,
        json: args.json,
        sink: Sink::new(),
    };
    if watching.stream.started().is_some() {
        watching.ask();
    }
    let gone = reader_gone();
    tokio::pin!(gone);
    let all = async {
        match args.exec {
            Some(command) => {
                let exec = Exec::new(command, daemon.uri());
                watching.hand_over(&exec, args.coalesce, args.count).await
            }
            None => watching.print(args.count).await,
        }
    };
    tokio::select! {
        done = all => done?,
        error = &mut gone => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// A watch and where its events go.
struct Watching {
    client: Client,
    stream: WatchStream,
    name: String,
    json: bool,
    sink: Sink,
    printer: Printer,
    until: Until,
    asking: Asking,
    to: Option<u64>,
    /// Whether to print bookmarks.
    bookmarks: bool,
}

/// An event that waits for its command: a whole version, or the first part of one.
struct Waiting {
    event: Event,
    /// Versions skipped before it.
    skipped: u64,
}

impl Watching {
    /// Requests a bookmark once the namespace has reached the last version.
    fn ask(&mut self) {
        if let Some(version) = self.to {
            let namespace = self.client.namespace(self.name.as_str());
            self.asking = Asking::about(namespace, version);
        }
    }

    /// The next part of a version; other events are printed at once. `None` after the last version.
    async fn next(&mut self) -> Result<Option<Event>> {
        while !self.until.is_over() {
            let event = tokio::select! {
                event = self.stream.recv() => event.about("watch")?,
                due = self.asking.due() => {
                    due.about("watch")?;
                    self.stream.request_mark();
                    continue;
                }
            };
            let shown = self.until.takes(&event);
            match &event {
                Event::Created(_) => self.ask(),
                event => self.asking.again(matches!(event, Event::Mark(_))),
            }
            let line = match event {
                event @ (Event::Initial(_) | Event::Changes(_)) if shown => {
                    return Ok(Some(event));
                }
                Event::Gap(hole) if shown => {
                    self.printer.check_whole()?;
                    gap(&self.name, &hole, self.json)
                }
                Event::Mark(position) if shown && self.bookmarks => {
                    bookmark(&self.name, position, self.json)
                }
                Event::Restart(_) => {
                    self.printer.restart();
                    continue;
                }
                // The end of a wait, or events past the end.
                _ => continue,
            };
            self.sink.line(&line)?;
            self.sink.flush()?;
        }
        match self.until.missed() {
            Some(reason) => Err(failure_as("watch", ErrorCode::Compacted, &reason)),
            None => Ok(None),
        }
    }

    /// Prints `count` versions, each part as it arrives.
    async fn print(&mut self, mut count: Option<u64>) -> Result<()> {
        while take_one(&mut count) {
            loop {
                let Some(event) = self.next().await? else {
                    return Ok(());
                };
                let out = &mut Outlet::Stdout(&mut self.sink);
                let whole = self.printer.part(&event, 0, out).await?;
                self.sink.flush()?;
                if whole {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Runs the command for `count` versions, one after the other. Versions that arrive meanwhile
    /// wait in the daemon; with `coalesce`, only the newest is kept here.
    async fn hand_over(
        &mut self,
        exec: &Exec,
        coalesce: bool,
        mut count: Option<u64>,
    ) -> Result<()> {
        let mut waiting = None;
        while take_one(&mut count) {
            let Waiting { event, skipped } = match waiting.take() {
                Some(waiting) => waiting,
                None => match self.next().await? {
                    Some(event) => Waiting { event, skipped: 0 },
                    None => return Ok(()),
                },
            };
            let Some(report) = head(&self.name, &event) else {
                continue;
            };
            let (running, feed) = exec.start(&report, &event)?;
            if !is_last(&event) {
                // Too large to be buffered: feed it before looking at anything after it.
                self.feed(event, skipped, feed).await?;
                waiting = self.wait(running.wait(), coalesce).await?;
                continue;
            }
            let mut printer = Printer::new(&self.client, &self.name, true);
            let run = async {
                let mut out = Outlet::Command(feed);
                printer.part(&event, skipped, &mut out).await?;
                out.finish().await;
                running.wait().await
            };
            waiting = self.wait(run, coalesce).await?;
        }
        Ok(())
    }

    /// Feeds an event to its command, beginning with the first part.
    async fn feed(&mut self, first: Event, skipped: u64, feed: Feed) -> Result<()> {
        let mut out = Outlet::Command(feed);
        let mut event = first;
        while !self.printer.part(&event, skipped, &mut out).await? {
            let Some(next) = self.next().await? else {
                break;
            };
            event = next;
        }
        out.finish().await;
        Ok(())
    }

    /// Waits until a command has ended. With `coalesce`, returns the newest version that arrived
    /// meanwhile and the number of versions before it.
    async fn wait(
        &mut self,
        run: impl Future<Output = Result<()>>,
        coalesce: bool,
    ) -> Result<Option<Waiting>> {
        let mut run = pin!(run);
        let mut newest: Option<Waiting> = None;
        while coalesce && newest.as_ref().is_none_or(|newest| is_last(&newest.event)) {
            tokio::select! {
                ended = &mut run => return ended.map(|()| newest),
                event = self.next() => {
                    // The watch has ended.
                    let Some(event) = event? else { break };
                    let passed = |before: Waiting| before.skipped + 1 + skipped(&before.event);
                    let skipped = newest.map_or(0, passed);
                    newest = Some(Waiting { event, skipped });
                }
            }
        }
        run.await.map(|()| newest)
    }
}

/// Number of versions that an event replaces.
fn skipped(event: &Event) -> u64 {
    match event {
        Event::Changes(version) => version.skipped,
        _ => 0,
    }
}

/// Counts down; false when nothing is left.
fn take_one(count: &mut Option<u64>) -> bool {
    match count {
        Some(0) => false,
        Some(count) => {
            *count -= 1;
            true
        }
        None => true,
    }
}

/// One line that reports how far a watch is.
fn bookmark(namespace: &str, position: Position, as_json: bool) -> String {
    let version = position.version;
    if as_json {
        json!({ "mark": version, "namespace": namespace }).to_string()
    } else {
        format!("mark {version}")
    }
}
