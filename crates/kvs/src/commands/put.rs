//! `kvs put`: puts values, appends or tree objects, all in one transaction.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use kvs_client::{ErrorCode, Transaction};
use kvs_proto::FRAME_BYTES;

use super::failure::{About as _, failure_as, usage};
use super::input::{self, Input};
use super::options::{CommitOutput, Daemon, NamespaceOption};
use crate::output::{Progress, reason};

/// Options of `kvs put`.
#[derive(Debug, Args)]
#[command(after_help = "\
A put replaces what is there: a value or link, and a directory with all that is in it. Values on
the way to KEY become directories. What was replaced can still be read from the version before, as
long as that is retained (kvs log, kvs get --at VERSION KEY), or from a pinned snapshot.

Examples:
  kvs put lwj.1.state=running            one value
  kvs put a=1 b=2 c=3                    three values, in one transaction
  kvs put -r image=- < logo.png          exact bytes from standard input
  kvs put -A log='one more line'         append
  kvs put -t copy=\"$(kvs get -t dir)\"    a tree object: a copy of a directory
  version=$(kvs put -s go=now)           the version that holds it, for `kvs wait`")]
pub(crate) struct PutArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    output: CommitOutput,
    /// A value of - is read from standard input
    #[arg(short, long)]
    raw: bool,
    /// Values are tree objects (JSON); - is read from standard input
    #[arg(short, long, conflicts_with_all = ["raw", "append"])]
    treeobj: bool,
    /// Give the transaction a version of its own
    #[arg(short, long)]
    no_merge: bool,
    /// Append to what is there
    #[arg(short = 'A', long)]
    append: bool,
    /// Return only when all that was committed is on disk
    #[arg(short = 'S', long)]
    sync: bool,
    /// What to put; the first = splits
    #[arg(required = true, value_name = "KEY=VALUE")]
    pairs: Vec<OsString>,
}

/// Runs `kvs put`.
pub(crate) async fn run(daemon: &Daemon, args: PutArgs) -> Result<ExitCode> {
    let pairs: Vec<(String, Vec<u8>)> = args.pairs.into_iter().map(split).collect::<Result<_>>()?;
    let namespace = args.namespace.name(daemon);
    let client = daemon.connect(&namespace).await?;
    let mut transaction = Transaction::new();
    transaction.no_merge = args.no_merge;
    for (key, value) in &pairs {
        let from_stdin = value == b"-" && (args.raw || args.treeobj);
        transaction = if from_stdin && args.raw && !args.append {
            match input::take(&client.namespace(namespace.as_str()), key).await? {
                Input::Short(value) => transaction.put(key, value),
                Input::Long(uploaded) => transaction.put_upload(key, uploaded),
            }
        } else {
            let value = if from_stdin {
                read_stdin(key)?
            } else {
                value.clone()
            };
            if args.treeobj {
                transaction.put_object(key, value)
            } else if args.append {
                transaction.append(key, value)
            } else {
                transaction.put(key, value)
            }
        };
    }
    let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    let progress = Progress::of_time("put");
    let committed = client
        .namespace(namespace)
        .commit(transaction)
        .await
        .about_one_of("put", &keys)?;
    if args.sync {
        client.sync().await.about("sync")?;
    }
    drop(progress);
    args.output.print_committed(&committed)?;
    Ok(ExitCode::SUCCESS)
}

/// Splits `KEY=VALUE` at the first `=`. A value is any bytes, a key is UTF-8.
fn split(pair: OsString) -> Result<(String, Vec<u8>)> {
    let at = pair.as_bytes().iter().position(|byte| *byte == b'=');
    let at = at.ok_or_else(|| usage("put: you must specify a value as key=value"))?;
    let mut key = pair.into_vec();
    let value = key.split_off(at).split_off(1);
    let key = String::from_utf8(key).map_err(|error| {
        let key = String::from_utf8_lossy(error.as_bytes()).into_owned();
        usage(format!(
            "put: {}: the key '{key}' is not UTF-8",
            ErrorCode::Invalid.text()
        ))
    })?;
    Ok((key, value))
}

/// Reads all of standard input, up to the size of a frame. A second call returns an empty value.
fn read_stdin(key: &str) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let most = FRAME_BYTES as u64 + 1;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut value)
        .map_err(|error| anyhow!("stdin: {}", reason(&error)))?;
    if value.len() as u64 == most {
        let most = FRAME_BYTES >> 20;
        let reason = format!("more than {most} MiB from standard input, with -A or -t");
        return Err(failure_as(key, ErrorCode::TooBig, &reason));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_splits() {
        assert_eq!(
            split("a.b=c=d".into()).unwrap(),
            ("a.b".into(), b"c=d".to_vec())
        );
        assert_eq!(split("a=".into()).unwrap(), ("a".into(), Vec::new()));
        assert_eq!(split("=v".into()).unwrap(), (String::new(), b"v".to_vec()));
    }

    #[test]
    fn without_one_it_is_said_what_to_type() {
        let error = split("a".into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "put: you must specify a value as key=value"
        );
    }

    #[test]
    fn values_may_be_any_bytes_but_keys_may_not() {
        let pair = OsString::from_vec(b"a=\xff".to_vec());
        assert_eq!(split(pair).unwrap(), ("a".into(), b"\xff".to_vec()));
        assert!(split(OsString::from_vec(b"\xff=a".to_vec())).is_err());
    }
}
