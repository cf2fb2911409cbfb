//! `kvs unlink`: checks every key, then removes them all in one transaction.
//!
//! Without `-R`, a directory is removed only if it is still empty when the transaction is applied:
//! this is a condition of the transaction, and if it fails, the checks are repeated.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Entry, ErrorCode, LookupOptions, Namespace, Transaction};

use super::failure::{About as _, Kind, explain, failed, refused};
use super::options::{CommitOutput, Daemon, NamespaceOption};
use crate::output::Progress;

/// Attempts before concurrent changes make a removal fail.
const ATTEMPTS: usize = 16;

/// Options of `kvs unlink`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs unlink a.b             a value, a link or an empty directory
  kvs unlink -R lwj.17       a directory with all that is in it
  kvs unlink -Rf tmp         the same, and no complaint if there is none")]
pub(crate) struct UnlinkArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    output: CommitOutput,
    /// Remove directories with all that is in them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Forgive what is missing
    #[arg(short, long)]
    force: bool,
    /// What to remove; a link is removed, not what it leads to
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Removes all keys or none.
pub(crate) async fn run(daemon: &Daemon, args: UnlinkArgs) -> Result<ExitCode> {
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let namespace = client.namespace(name);
    let keys: Vec<&str> = args.keys.iter().map(String::as_str).collect();
    let progress = Progress::of_time("unlink");
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut transaction = Transaction::new();
        for key in &args.keys {
            if let Some(checked) = check(&namespace, key, &args).await? {
                transaction = transaction.unlink(key.as_str());
                if let Some(since) = checked.empty_since {
                    transaction = transaction.if_unchanged(key.as_str(), since);
                }
            }
        }
        if transaction.operations.is_empty() {
            // No key exists, and `--force` allows this: report the current root.
            let info = namespace.info(At::Current).await.about("unlink")?;
            args.output
                .print(&info.namespace, info.position.version, &info.root)?;
            return Ok(ExitCode::SUCCESS);
        }
        match namespace.commit(transaction).await {
            Err(error) if error.code == ErrorCode::ConditionFailed && attempts < ATTEMPTS => {}
            answer => {
                drop(progress);
                args.output
                    .print_committed(&answer.about_one_of("unlink", &keys)?)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// A key that may be removed.
struct Checked {
    /// The version in which it was an empty directory, if it must be one.
    empty_since: Option<u64>,
}

/// Checks that a key may be removed. `None` if it does not exist and `--force` allows this.
async fn check(namespace: &Namespace, key: &str, args: &UnlinkArgs) -> Result<Option<Checked>> {
    let options = LookupOptions::new().no_follow().inline_max(0);
    let found = namespace.lookup(key, options).await;
    let cannot = |reason: &str| format!("cannot unlink '{key}': {reason}");
    let found = found.map_err(|error| refused(&error, cannot(&explain(&error))))?;
    match found.entry {
        None if args.force => Ok(None),
        None => Err(failed(Kind::NotThere, cannot(ErrorCode::NotFound.text()))),
        Some(Entry::Directory(directory)) if !args.recursive => {
            if directory.entries > 0 {
                let text = cannot(ErrorCode::NotEmpty.text());
                let advice = "-R removes it with all that is in it";
                return Err(failed(Kind::Other, format!("{text}; {advice}")));
            }
            Ok(Some(Checked {
                empty_since: Some(found.position.version),
            }))
        }
        Some(_) => Ok(Some(Checked { empty_since: None })),
    }
}
