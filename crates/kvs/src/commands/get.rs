//! `kvs get` without `--watch`: values in the order of the arguments.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Client, Entry, ErrorCode, LookupAnswer, LookupOptions};

use super::failure::{About as _, failure};
use super::follow;
use super::options::{Daemon, ReadOptions};
use super::value::{Place, stream};
use crate::output::Sink;

/// Options of `kvs get`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  kvs get lwj.17.state              the value and a newline
  kvs get -r logo > logo.png        exactly the value
  kvs get -t lwj.17                 the tree object, also of a directory
  kvs get --at \"$ref\" a b           two values of one state
  kvs get -w -c 3 lwj.17.state      the value, then the next two
  kvs get -W result                 waits until there is one")]
pub(crate) struct GetArgs {
    #[command(flatten)]
    read: ReadOptions,
    /// Print exactly the value, without a newline
    #[arg(short, long)]
    pub(super) raw: bool,
    /// Print the tree object (JSON)
    #[arg(short, long, conflicts_with = "raw")]
    pub(super) treeobj: bool,
    /// Print the key and = before each value
    #[arg(short, long)]
    pub(super) label: bool,
    /// Wait until the key is there, and its namespace
    #[arg(short = 'W', long, conflicts_with = "at")]
    pub(super) waitcreate: bool,
    /// Print the value, then again each time the key is written
    #[arg(short, long, conflicts_with = "at")]
    pub(super) watch: bool,
    /// With --watch: not when the value is the same as before
    #[arg(short, long)]
    pub(super) uniq: bool,
    /// With --watch: print the value, then only what is appended to it
    #[arg(short = 'A', long)]
    pub(super) append: bool,
    /// With --watch: also when the key changes indirectly, as always
    #[arg(short, long)]
    full: bool,
    /// With --watch: end after so many values, of all keys together
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(super) count: u64,
    /// Print a long value piece by piece, as always
    #[arg(short = 'S', long)]
    stream: bool,
    /// What to print
    #[arg(required = true, value_name = "KEY")]
    pub(super) keys: Vec<String>,
}

/// Prints values.
pub(crate) async fn run(daemon: &Daemon, args: GetArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target()?;
    let client = daemon.connect(&namespace).await?;
    let mut sink = Sink::new();
    if args.watch {
        follow::watch(&client, &namespace, &args, &mut sink).await?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in &args.keys {
        let found = if args.waitcreate {
            follow::wait_for(&client, &namespace, key, &args).await?
        } else {
            look_up(&client, &namespace, key, &at, &args).await?
        };
        print(&client, key, &found, &at, &args, &mut sink).await?;
        // What was asked for first is out before anything goes wrong with the next.
        sink.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks a key up as `args` want it.
pub(super) async fn look_up(
    client: &Client,
    namespace: &str,
    key: &str,
    at: &At,
    args: &GetArgs,
) -> Result<LookupAnswer> {
    let options = LookupOptions {
        at: at.clone(),
        follow: !args.treeobj,
        treeobj: args.treeobj,
        inline_max: args.treeobj.then_some(0),
    };
    client
        .namespace(namespace)
        .lookup(key, options)
        .await
        .about(key)
}

/// Prints what was found, or says why it is no value.
pub(super) async fn print(
    client: &Client,
    key: &str,
    found: &LookupAnswer,
    at: &At,
    args: &GetArgs,
    sink: &mut Sink,
) -> Result<()> {
    let entry = found
        .entry
        .as_ref()
        .ok_or_else(|| failure(key, ErrorCode::NotFound))?;
    if args.treeobj {
        label(key, args, sink)?;
        return Ok(sink.line(found.treeobj.as_deref().unwrap_or_default())?);
    }
    let value = match entry {
        Entry::Value(value) => value,
        Entry::Directory(_) => return Err(failure(key, ErrorCode::IsDirectory)),
        Entry::Link(_) => return Err(failure(key, ErrorCode::Invalid)),
    };
    label(key, args, sink)?;
    let place = Place::new(&found.namespace, &found.key, &found.snapshot, at);
    stream(client, &place, value, key, |piece| {
        Ok(print_piece(piece, args, sink)?)
    })
    .await?;
    if value.size > 0 && !args.raw {
        sink.text("\n")?;
    }
    Ok(())
}

/// Prints a value that is at hand.
pub(super) fn print_bytes(key: &str, value: &[u8], args: &GetArgs, sink: &mut Sink) -> Result<()> {
    label(key, args, sink)?;
    print_piece(value, args, sink)?;
    if !value.is_empty() && !args.raw {
        sink.text("\n")?;
    }
    Ok(())
}

fn print_piece(
    piece: &[u8],
    args: &GetArgs,
    sink: &mut Sink,
) -> Result<(), crate::output::OutputError> {
    if args.raw {
        sink.raw(piece)
    } else {
        sink.value(piece)
    }
}

fn label(key: &str, args: &GetArgs, sink: &mut Sink) -> Result<()> {
    if args.label {
        let label = format!("{}=", sink.clean(key));
        sink.text(&label)?;
    }
    Ok(())
}
