//! `kvs copy` and `kvs move`.
//!
//! Within a namespace, each is one atomic transaction of constant cost. Across namespaces they are
//! not atomic: a copy puts the source's tree object at the destination; a move then unlinks the
//! source, provided it has not changed since. A value too long for a tree object is uploaded in
//! pieces.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use kvs_client::{ErrorCode, LookupAnswer, LookupOptions, Namespace, Transaction, Uploaded};

use super::failure::{About as _, failure, failure_as};
use super::key::normal;
use super::options::Daemon;
use crate::output::Progress;

/// Options of `kvs copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs copy lwj.17 backup.17              a directory of any size, at once
  kvs copy -D archive lwj.17 lwj.17      into another namespace")]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    pair: Pair,
}

/// Options of `kvs move`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs move new current                   nobody sees both or neither
  kvs move -D archive lwj.17 lwj.17      into another namespace: a copy, then an unlink")]
pub(crate) struct MoveArgs {
    #[command(flatten)]
    pair: Pair,
}

/// From where to where.
#[derive(Debug, Args)]
struct Pair {
    /// Namespace of the source [default: as for other verbs, kvs -N NAME included]
    #[arg(short = 'S', long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    src_namespace: Option<String>,
    /// Namespace of the destination [default: as for the source]
    #[arg(short = 'D', long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    dst_namespace: Option<String>,
    /// Key to take; a link is taken as a link
    #[arg(value_name = "SRC")]
    source: String,
    /// Key to put it at; what is there is replaced
    #[arg(value_name = "DST")]
    destination: String,
}

/// Runs `kvs copy`.
pub(crate) async fn run(daemon: &Daemon, args: CopyArgs) -> Result<ExitCode> {
    transfer(daemon, &args.pair, false).await
}

/// Runs `kvs move`.
pub(crate) async fn run_move(daemon: &Daemon, args: MoveArgs) -> Result<ExitCode> {
    transfer(daemon, &args.pair, true).await
}

async fn transfer(daemon: &Daemon, pair: &Pair, and_unlink: bool) -> Result<ExitCode> {
    let verb = if and_unlink { "move" } else { "copy" };
    let from = daemon.namespace(pair.src_namespace.as_deref());
    let to = daemon.namespace(pair.dst_namespace.as_deref());
    let (source, destination) = (pair.source.as_str(), pair.destination.as_str());
    let client = daemon.connect(&to).await?;
    let _progress = Progress::of_time(verb);
    if normal(source) == "." {
        let reason = "the root cannot be copied or moved; name what is in it";
        return Err(failure_as(source, ErrorCode::Invalid, reason));
    }
    if from == to {
        let transaction = if and_unlink {
            Transaction::new().rename(source, destination)
        } else {
            Transaction::new().copy(source, destination)
        };
        match client.namespace(to).commit(transaction).await {
            // Only the source must exist.
            Err(error) if error.code == ErrorCode::NotFound => Err(error).about(source)?,
            answer => answer.about_one_of(verb, &[source, destination])?,
        };
        return Ok(ExitCode::SUCCESS);
    }
    let from = client.namespace(from);
    let options = LookupOptions::new().no_follow().treeobj().inline_max(0);
    let found = from.lookup(source, options).await.about(source)?;
    if found.entry.is_none() {
        return Err(failure(source, ErrorCode::NotFound));
    }
    let object = found
        .treeobj
        .clone()
        .ok_or_else(|| anyhow!("{source}: the daemon sent no tree object"))?;
    let to = client.namespace(to);
    let transaction = Transaction::new().put_object(destination, object);
    match to.commit(transaction).await {
        Err(error) if error.code == ErrorCode::TooBig => {
            let Some(uploaded) = send(&to, &found, pair).await? else {
                return Err(error).about(destination);
            };
            let transaction = Transaction::new().put_upload(destination, uploaded);
            to.commit(transaction).await.about(destination)?;
        }
        answer => {
            answer.about(destination)?;
        }
    }
    if and_unlink {
        let transaction = Transaction::new()
            .if_unchanged(source, found.position.version)
            .unlink(source);
        from.commit(transaction).await.about(source)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Uploads the value again, in pieces. `None` if the entry is not a value.
async fn send(to: &Namespace, found: &LookupAnswer, pair: &Pair) -> Result<Option<Uploaded>> {
    let Some(mut value) = to.client().found_reader(found) else {
        return Ok(None);
    };
    let mut upload = to.upload().await.about(&pair.destination)?;
    while let Some(piece) = value.next().await.about(&pair.source)? {
        upload.write(piece).await.about(&pair.destination)?;
    }
    Ok(Some(upload.finish().await.about(&pair.destination)?))
}
