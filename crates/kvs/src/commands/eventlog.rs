//! `kvs eventlog append`, `get` and `wait-event`.
//!
//! Adding an event is an append operation, so its cost does not depend on the length of the log.
//! Followers read what each version appends. Logs of any length are read range by range.

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::{Args, Subcommand};
use kvs_client::{At, Client, Entry as Found, LookupAnswer, Transaction};

use super::failure::{About as _, Kind, failed, is_directory, is_link, usage};
use super::follow::{Appends, wait_for};
use super::followed::Seen;
use super::growth::{Flow, Growth};
use super::interrupt::end_on_interrupt;
use super::look::{Look, Printer};
use super::options::{Daemon, NamespaceOption};
use super::show::Form;
use crate::eventlog::{Decoder, Entry, Malformed, encode};
use crate::output::reader_gone;
use crate::quantity::duration;

/// Bytes of a log that are decoded at a time.
const DECODE_BYTES: usize = 64 * 1024;

/// Options of `kvs eventlog`.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
An eventlog is a value to which JSON objects are appended, one a line, each with a
timestamp, a name and perhaps a context.

Examples:
  kvs eventlog append lwj.1.log start
  kvs eventlog append lwj.1.log exit '{\"status\":0}'
  kvs eventlog get -H lwj.1.log
  kvs eventlog wait-event -W -t 10s lwj.1.log exit"
)]
pub(crate) struct EventlogArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Append an event
    #[command(after_help = "\
Examples:
  kvs eventlog append log start                          with the time of now
  kvs eventlog append log exit '{\"status\":0,\"by\":\"me\"}'   with a context
  kvs eventlog append -t 1.5 log start                   with another time")]
    Append(AppendArgs),
    /// Print events
    #[command(after_help = "\
Examples:
  kvs eventlog get log              1700000000.250000 exit status=0
  kvs eventlog get -H log           [Nov14 23:13] exit status=0
  kvs eventlog get -u log           {\"timestamp\":1700000000.25,\"name\":\"exit\",\"context\":{\"status\":0}}
  kvs eventlog get -w -c 3 log      the first three events, when they are there")]
    Get(GetArgs),
    /// Wait until an event is in a log
    #[command(after_help = "\
Examples:
  kvs eventlog wait-event log exit            prints the event when it is there
  kvs eventlog wait-event -W -t 1m log exit   the log may have to come first; a minute at most
  kvs eventlog wait-event -v log exit         prints the events before it, too")]
    WaitEvent(WaitEventArgs),
}

#[derive(Debug, Args)]
struct AppendArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Seconds since 1970, above 0 [default: now]
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    timestamp: Option<f64>,
    /// The log; it is made if there is none
    key: String,
    /// Name of the event
    name: String,
    /// Context of the event: words that make a JSON object
    context: Vec<String>,
}

#[derive(Debug, Args)]
struct GetArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    look: Look,
    /// Wait until the log is there, and its namespace
    #[arg(short = 'W', long)]
    waitcreate: bool,
    /// Print the events, then each that is appended
    #[arg(short, long)]
    watch: bool,
    /// End after so many events
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    count: u64,
    /// Print a long log piece by piece, as always
    #[arg(short = 'S', long)]
    stream: bool,
    /// The log
    key: String,
}

#[derive(Debug, Args)]
struct WaitEventArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    look: Look,
    /// Wait until the log is there, and its namespace
    #[arg(short = 'W', long)]
    waitcreate: bool,
    /// How long to wait at most, such as 10s or 1.5m; a bare number is seconds
    #[arg(short, long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print nothing
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print the events before it as well
    #[arg(short, long)]
    verbose: bool,
    /// The log
    key: String,
    /// Name of the event
    event: String,
}

/// Runs the subcommand.
pub(crate) async fn run(daemon: &Daemon, args: EventlogArgs) -> Result<ExitCode> {
    match args.action {
        Action::Append(args) => append(daemon, args).await,
        Action::Get(args) => get(daemon, args).await,
        Action::WaitEvent(args) => wait_event(daemon, args).await,
    }
}

async fn append(daemon: &Daemon, args: AppendArgs) -> Result<ExitCode> {
    let timestamp = match args.timestamp {
        Some(given) if given > 0.0 && given.is_finite() => given,
        Some(_) => return Err(usage("--timestamp: must be a number of seconds above 0")),
        None => {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)?
                .as_micros() as f64
                / 1e6
        }
    };
    if args.name.is_empty() {
        return Err(usage(
            "eventlog append: the name of the event must not be empty",
        ));
    }
    let context = (!args.context.is_empty()).then(|| args.context.join(" "));
    let line = encode(timestamp, &args.name, context.as_deref())
        .map_err(|_| usage("eventlog append: the context is not a JSON object"))?;
    let namespace = args.namespace.name(daemon);
    let client = daemon.connect(&namespace).await?;
    let transaction = Transaction::new().append(args.key.as_str(), line);
    client
        .namespace(namespace)
        .commit(transaction)
        .await
        .about(&args.key)?;
    Ok(ExitCode::SUCCESS)
}

async fn get(daemon: &Daemon, args: GetArgs) -> Result<ExitCode> {
    if args.watch || args.waitcreate {
        end_on_interrupt();
    }
    let namespace = args.namespace.name(daemon);
    let client = daemon.connect(&namespace).await?;
    let mut reader = Reader::new(&client, &args.key, Printer::new(args.look));
    let mut left = args.count;
    let mut take = |_: &Entry| {
        left = left.wrapping_sub(1);
        Verdict {
            print: true,
            enough: left == 0,
        }
    };
    if args.watch {
        let ended = reader.follow(&namespace, args.waitcreate, &mut take);
        return ended.await.map(|_| ExitCode::SUCCESS);
    }
    let found = if args.waitcreate {
        wait_for(&client, &namespace, &args.key, Form::default()).await?
    } else {
        let form = Form::default();
        form.look_up(&client, &namespace, &args.key, &At::Current)
            .await?
    };
    if reader.whole(&found, &mut take).await?.is_continue() {
        reader.finish()?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait_event(daemon: &Daemon, args: WaitEventArgs) -> Result<ExitCode> {
    if args.event.is_empty() {
        return Err(usage(
            "eventlog wait-event: the name of the event must not be empty",
        ));
    }
    end_on_interrupt();
    let namespace = args.namespace.name(daemon);
    let waiting = async {
        let client = daemon.connect(&namespace).await?;
        let mut reader = Reader::new(&client, &args.key, Printer::new(args.look));
        let mut take = |entry: &Entry| {
            let enough = entry.name == args.event;
            let print = if enough { !args.quiet } else { args.verbose };
            Verdict { print, enough }
        };
        reader.follow(&namespace, args.waitcreate, &mut take).await
    };
    let ended = match args.timeout {
        None => waiting.await?,
        Some(timeout) => tokio::time::timeout(timeout, waiting).await.map_err(|_| {
            let text = format!("wait-event timeout on event '{}'", args.event);
            failed(Kind::TimedOut, text)
        })??,
    };
    if ended.is_continue() {
        let text = format!("event '{}' never received", args.event);
        return Err(failed(Kind::NotThere, text));
    }
    Ok(ExitCode::SUCCESS)
}

/// Decodes the events of one log and prints the selected ones.
struct Reader<'r> {
    client: &'r Client,
    key: &'r str,
    decoder: Decoder,
    printer: Printer,
}

/// What to do with an event.
struct Verdict {
    print: bool,
    /// Stop after this event.
    enough: bool,
}

impl<'r> Reader<'r> {
    fn new(client: &'r Client, key: &'r str, printer: Printer) -> Self {
        Self {
            client,
            key,
            decoder: Decoder::default(),
            printer,
        }
    }

    /// Handles the existing events, then appended ones, until `take` has enough or the watch ends.
    async fn follow(
        &mut self,
        namespace: &str,
        waitcreate: bool,
        take: &mut impl FnMut(&Entry) -> Verdict,
    ) -> Flow {
        let mut appends = Appends::open(self.client, namespace, self.key, waitcreate).await?;
        let mut growth = Growth::default();
        let gone = reader_gone();
        tokio::pin!(gone);
        loop {
            let seen = tokio::select! {
                seen = appends.next() => seen?,
                error = &mut gone => return Err(error.into()),
            };
            let flow = match seen {
                Some(Seen::Grown { grown, end, .. }) => {
                    let key = self.key;
                    let read = async |bytes: &[u8]| self.piece(bytes, take);
                    let flow = growth.take(key, grown, read).await?;
                    // Appends to a log are whole lines.
                    if end && flow.is_continue() {
                        self.finish()?;
                    }
                    flow
                }
                Some(Seen::Found(found)) => self.whole(&found, take).await?,
                Some(Seen::Bytes(bytes, _)) => self.piece(&bytes, take)?,
                None => return Ok(ControlFlow::Continue(())),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }

    /// Handles the events of a log that was looked up.
    async fn whole(
        &mut self,
        found: &LookupAnswer,
        take: &mut impl FnMut(&Entry) -> Verdict,
    ) -> Flow {
        let mut value = match &found.entry {
            None => {
                let text = format!("eventlog path {} not found", self.key);
                return Err(failed(Kind::NotThere, text));
            }
            Some(Found::Directory(_)) => return Err(is_directory(self.key)),
            Some(Found::Link(_)) => return Err(is_link(self.key)),
            Some(Found::Value(_)) => {
                let value = self.client.found_reader(found);
                value.ok_or_else(|| is_link(self.key))?
            }
        };
        while let Some(piece) = value.next().await.about(self.key)? {
            if self.piece(&piece, take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn piece(&mut self, bytes: &[u8], take: &mut impl FnMut(&Entry) -> Verdict) -> Flow {
        let mut flow = Ok(ControlFlow::Continue(()));
        for bytes in bytes.chunks(DECODE_BYTES) {
            flow = self.lines(bytes, take);
            if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                break;
            }
        }
        // Flush before waiting for more.
        self.printer.sink.flush()?;
        flow
    }

    fn lines(&mut self, bytes: &[u8], take: &mut impl FnMut(&Entry) -> Verdict) -> Flow {
        let (entries, result) = self.decoder.feed(bytes);
        for entry in &entries {
            let verdict = take(entry);
            if verdict.print {
                self.printer.print(entry)?;
            }
            if verdict.enough {
                return Ok(ControlFlow::Break(()));
            }
        }
        result.map_err(|malformed| self.malformed(malformed))?;
        Ok(ControlFlow::Continue(()))
    }

    /// Says whether the log may end here.
    fn finish(&self) -> Result<()> {
        let finished = self.decoder.finish();
        finished.map_err(|malformed| self.malformed(malformed))
    }

    fn malformed(&self, malformed: Malformed) -> anyhow::Error {
        failed(Kind::Other, format!("{}: {malformed}", self.key))
    }
}
