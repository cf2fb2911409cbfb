//! `kvs mkdir`: makes empty directories where there are none.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::Transaction;

use super::failure::About as _;
use super::options::{CommitOutput, Daemon, NamespaceOption};

/// Options of `kvs mkdir`.
#[derive(Debug, Args)]
#[command(after_help = "\
A directory that exists is left as it is, with all that is in it. A value or link is replaced; what
it was can still be read from the version before: kvs get --at VERSION KEY.

Examples:
  kvs mkdir a.b           a directory; empty unless it was there already
  kvs mkdir a.b c.d       two, in one transaction")]
pub(crate) struct MkdirArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    output: CommitOutput,
    /// The directories; those on the way are made as well
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Makes all directories in one transaction.
pub(crate) async fn run(daemon: &Daemon, args: MkdirArgs) -> Result<ExitCode> {
    let namespace = args.namespace.name(daemon);
    let client = daemon.connect(&namespace).await?;
    let transaction = args
        .keys
        .iter()
        .fold(Transaction::new(), |all, key| all.mkdir(key.as_str()));
    let keys: Vec<&str> = args.keys.iter().map(String::as_str).collect();
    let committed = client
        .namespace(namespace)
        .commit(transaction)
        .await
        .about_one_of("mkdir", &keys)?;
    args.output.print_committed(&committed)?;
    Ok(ExitCode::SUCCESS)
}
