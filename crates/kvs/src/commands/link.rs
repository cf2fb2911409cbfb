//! `kvs link` and `kvs readlink`: symbolic links, also into another namespace.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{Entry, ErrorCode, LookupOptions, Transaction};

use super::failure::{About as _, failure, failure_as};
use super::options::{CommitOutput, Daemon, NamespaceOption, ReadOptions};
use super::value::link_text;
use crate::output::{EntryJson, Sink};

/// Options of `kvs link`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs link lwj.17 current             current leads to lwj.17
  kvs link -T archive lwj.1 first     first leads to lwj.1 of the namespace archive")]
pub(crate) struct LinkArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    output: CommitOutput,
    /// Namespace that the target is in, if not the link's own
    #[arg(short = 'T', long, value_name = "NAME")]
    target_namespace: Option<String>,
    /// Key that the link leads to; it need not exist
    target: String,
    /// Key of the link; what is there is replaced
    #[arg(value_name = "NAME")]
    link: String,
}

/// Options of `kvs readlink`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs readlink current        prints lwj.17, or archive::lwj.17")]
pub(crate) struct ReadlinkArgs {
    #[command(flatten)]
    read: ReadOptions,
    /// Print the namespace alone; nothing for a link without one
    #[arg(short = 'o', long, conflicts_with = "key_only")]
    namespace_only: bool,
    /// Print the key alone
    #[arg(short, long)]
    key_only: bool,
    /// Print one JSON object a link: key, target, and its namespace
    #[arg(long, conflicts_with_all = ["namespace_only", "key_only"])]
    json: bool,
    /// The links
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Runs `kvs link`.
pub(crate) async fn run(daemon: &Daemon, args: LinkArgs) -> Result<ExitCode> {
    let namespace = args.namespace.name(daemon);
    let client = daemon.connect(&namespace).await?;
    let (link, target) = (args.link.as_str(), args.target.as_str());
    let transaction = match args.target_namespace {
        Some(into) => Transaction::new().link_into(link, into, target),
        None => Transaction::new().link(link, target),
    };
    let committed = client
        .namespace(namespace)
        .commit(transaction)
        .await
        .about_one_of("link", &[link, target])?;
    args.output.print_committed(&committed)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the targets of links, in the order of the arguments.
pub(crate) async fn run_readlink(daemon: &Daemon, args: ReadlinkArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let namespace = client.namespace(namespace);
    let mut sink = Sink::new();
    for key in &args.keys {
        let options = LookupOptions::new()
            .at(at.clone())
            .no_follow()
            .inline_max(0);
        let found = namespace.lookup(key.as_str(), options).await.about(key)?;
        let link = match found.entry {
            Some(Entry::Link(link)) => link,
            Some(_) => {
                let reason = "it is not a symbolic link";
                return Err(failure_as(key, ErrorCode::Invalid, reason));
            }
            None => return Err(failure(key, ErrorCode::NotFound)),
        };
        if args.json {
            sink.line(&EntryJson::link(key, &link_text(&link)).line()?)?;
            sink.flush()?;
            continue;
        }
        let line = if args.namespace_only {
            link.namespace.as_deref().map(str::to_owned)
        } else if args.key_only {
            Some(link.target.to_string())
        } else {
            Some(link_text(&link))
        };
        if let Some(line) = line {
            let line = sink.clean(&line).into_owned();
            sink.line(&line)?;
        }
        sink.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}
