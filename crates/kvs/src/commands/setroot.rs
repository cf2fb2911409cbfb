//! `kvs setroot`: prints root moves, and the creation and removal of namespaces, as they happen.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use kvs_client::{FollowOptions, Moved, NamespaceRoot, RootEvent, SmolStr, Start};

use super::failure::About as _;
use super::from::From;
use super::interrupt::end_on_interrupt;
use super::options::{Daemon, NamespaceOption};
use super::report::who;
use super::retelling::Retelling;
use crate::output::{Halves, RootReport, Sink, Standing, Touched, reader_gone, seconds};

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
    let mut moves = Moves {
        json: args.json,
        begun: None,
    };
    let mut left = args.count;
    let gone = reader_gone();
    tokio::pin!(gone);
    loop {
        let event = tokio::select! {
            event = stream.recv() => event.about("setroot")?,
            error = &mut gone => return Err(error.into()),
        };
        match &event {
            RootEvent::Moved(_) if args.namespaces => continue,
            RootEvent::Moved(moved) => {
                let whole = moves.print(moved, &mut sink)?;
                sink.flush()?;
                if !whole {
                    continue;
                }
            }
            RootEvent::Restart(_) => {
                moves.restart();
                continue;
            }
            other => {
                moves.check_whole()?;
                let Some(report) = report(other) else {
                    continue;
                };
                if args.json {
                    sink.line(&report.json(event.place())?)?;
                } else {
                    for line in report.lines() {
                        sink.line(&line)?;
                    }
                }
                sink.flush()?;
            }
        }
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Prints moves; a move that touched many keys arrives in parts.
struct Moves {
    json: bool,
    begun: Option<Begun>,
}

/// A move that has been printed in part.
struct Begun {
    namespace: SmolStr,
    version: u64,
    root: SmolStr,
    printed: Retelling,
    /// The text after the keys.
    end: String,
}

impl Moves {
    /// Prints a part of a move. Returns whether the move is complete.
    fn print(&mut self, moved: &Moved, sink: &mut Sink) -> Result<bool> {
        let mut begun = match self.begun.take() {
            Some(begun) if begun.root == moved.root && begun.version == moved.position.version => {
                begun
            }
            Some(begun) => return Err(cut_off(&begun)),
            None => self.begin(moved, sink)?,
        };
        for change in &moved.changes {
            let is_first = begun.printed.count() == 0;
            let item = [change.key.as_bytes(), change.kind.name().as_bytes()];
            let printed = match moved.last {
                true => begun.printed.takes_last(&item),
                false => begun.printed.takes(&item),
            };
            if !printed.map_err(|_| cut_off(&begun))? {
                continue;
            }
            let touched = Touched {
                key: &change.key,
                kind: change.kind.name(),
            };
            if self.json {
                sink.text(if is_first { "" } else { "," })?;
                sink.text(&touched.json()?)?;
            } else {
                sink.text(&touched.word())?;
            }
        }
        if !moved.last {
            self.begun = Some(begun);
            return Ok(false);
        }
        begun.printed.finish().map_err(|_| cut_off(&begun))?;
        sink.line(&begun.end)?;
        Ok(true)
    }

    fn begin(&self, moved: &Moved, sink: &mut Sink) -> Result<Begun> {
        let report = RootReport::Moved {
            namespace: moved.namespace.to_string(),
            version: moved.position.version,
            root: moved.root.to_string(),
            previous: moved.previous.to_string(),
            snapshot: moved.snapshot.to_string(),
            time: seconds(moved.time),
            transactions: who(&moved.transactions),
            changes: [],
        };
        let mut end = String::new();
        if self.json {
            let Halves { before, after } = report.moved(&moved.place)?;
            sink.text(&before)?;
            sink.text("[")?;
            end = format!("]{after}");
        } else {
            for line in report.lines() {
                sink.text(&line)?;
            }
        }
        Ok(Begun {
            namespace: moved.namespace.clone(),
            version: moved.position.version,
            root: moved.root.clone(),
            printed: Retelling::default(),
            end,
        })
    }

    /// Notes a lost connection: a partly printed move will be repeated.
    fn restart(&mut self) {
        if let Some(begun) = &mut self.begun {
            begun.printed.restart();
        }
    }

    /// Fails if a move has been printed in part.
    fn check_whole(&self) -> Result<()> {
        match &self.begun {
            Some(begun) => Err(cut_off(begun)),
            None => Ok(()),
        }
    }
}

fn cut_off(begun: &Begun) -> anyhow::Error {
    anyhow!(
        "setroot: the connection was lost while version {} of {} was printed, and the rest of it is not to be had",
        begun.version,
        begun.namespace
    )
}

/// The report of an event other than a move.
fn report(event: &RootEvent) -> Option<RootReport> {
    Some(match event {
        RootEvent::State(state) => RootReport::State {
            lost: state.lost,
            namespaces: state.namespaces.iter().map(standing).collect(),
        },
        RootEvent::Created(made) => RootReport::Created {
            namespace: made.namespace.to_string(),
            owner: made.owner,
            incarnation: made.incarnation,
            time: seconds(made.time),
        },
        RootEvent::Reincarnated(anew) => RootReport::Reincarnated {
            namespace: anew.namespace.to_string(),
            incarnation: anew.incarnation,
            time: seconds(anew.time),
        },
        RootEvent::OwnerChanged(changed) => RootReport::OwnerChanged {
            namespace: changed.namespace.to_string(),
            owner: changed.owner,
            before: changed.before,
            time: seconds(changed.time),
        },
        RootEvent::Removed(gone) => RootReport::Removed {
            namespace: gone.namespace.to_string(),
            time: seconds(gone.time),
        },
        _ => return None,
    })
}

fn standing(root: &NamespaceRoot) -> Standing {
    Standing {
        namespace: root.namespace.to_string(),
        owner: root.owner,
        version: root.position.version,
        root: root.root.to_string(),
    }
}
