//! `kvs get`: prints values in the order of the arguments, once or as they change.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Entry, ErrorCode, LookedUp, Namespace, ValueInfo};
use smol_str::SmolStr;

use super::failure::{About as _, failure};
use super::follow::{wait_for, watch};
use super::followed::Following;
use super::interrupt::end_on_interrupt;
use super::options::{Daemon, ReadOptions, TimeoutOption};
use super::show::Form;
use crate::output::Sink;

/// Options of `kvs get`.
#[derive(Debug, Args)]
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
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    timeout: TimeoutOption,
    /// Print a long value piece by piece, as always
    #[arg(short = 'S', long)]
    stream: bool,
    /// What to print
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

impl GetArgs {
    /// Whether the output is for a program, which may want long values.
    pub(crate) fn may_be_long(&self) -> bool {
        self.stream || self.form.raw
    }
}

/// Runs `kvs get`.
pub(crate) async fn run(daemon: &Daemon, args: GetArgs) -> Result<ExitCode> {
    let timeout = args.timeout;
    timeout.within("get", get(daemon, args)).await
}

async fn get(daemon: &Daemon, args: GetArgs) -> Result<ExitCode> {
    if args.following.watch || args.following.waitcreate {
        end_on_interrupt();
    }
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let mut sink = Sink::new();
    if args.following.watch {
        watch(
            &client,
            &namespace,
            &args.keys,
            args.form,
            args.following,
            &mut sink,
        )
        .await?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.keys.len() > 1 && !args.form.treeobj && !args.following.waitcreate {
        let namespace = client.namespace(&namespace);
        print_many(&namespace, &args.keys, at, args.form, &mut sink).await?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in &args.keys {
        let found = if args.following.waitcreate {
            wait_for(&client, &namespace, key, args.form).await?
        } else {
            args.form.look_up(&client, &namespace, key, &at).await?
        };
        args.form
            .print(&client, key, &found, &at, &mut sink)
            .await?;
        // Flush before the next key can fail.
        sink.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the values of many keys in one state. Ends with the first key that fails.
async fn print_many(
    namespace: &Namespace,
    keys: &[String],
    mut at: At,
    form: Form,
    sink: &mut Sink,
) -> Result<()> {
    let keys: Vec<SmolStr> = keys.iter().map(SmolStr::from).collect();
    let mut rest = keys.as_slice();
    while let Some(first) = rest.first() {
        let answer = namespace.lookup_many(rest, at.clone()).await.about(first)?;
        let snapshot = answer.snapshot.clone();
        if !answer.snapshot.is_empty() {
            at = At::Snapshot(answer.snapshot);
        }
        let count = answer.results.len();
        for (key, result) in rest.iter().zip(answer.results) {
            match result {
                LookedUp::Absent => return Err(failure(key, ErrorCode::NotFound)),
                LookedUp::Failed(error) => return Err(error).about(key),
                LookedUp::Found(Entry::Value(ValueInfo {
                    bytes: Some(bytes), ..
                })) => form.print_bytes(key, &bytes, &snapshot, sink)?,
                // A long value, or not a value.
                _ => {
                    let (client, name) = (namespace.client(), namespace.name());
                    let found = form.look_up(client, name, key, &at).await?;
                    form.print(client, key, &found, &at, sink).await?;
                }
            }
            // Flush before the next keys can fail.
            sink.flush()?;
        }
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(())
}
