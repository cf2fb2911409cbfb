//! `kvs txn`: commits a transaction written as text.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use kvs_client::{ClientError, Committed, Condition, ErrorCode, OperationResult, Transaction};
use kvs_tree::Key;
use serde_json::json;

use super::failure::{explain, failure_as, refused as because};
use super::options::{CommitOutput, Daemon, NamespaceOption};
use crate::limits::TRANSACTION_TEXT_BYTES;
use crate::output::{Sink, reason};
use crate::txn::{Numbered, Step, parse};

/// Options of `kvs txn`.
#[derive(Debug, Args)]
#[command(after_help = "\
One operation or condition a line:
  put KEY=VALUE      append KEY=VALUE    add KEY=NUMBER     put-object KEY=JSON
  unlink KEY         mkdir KEY           link TARGET KEY    (target or NAMESPACE::target)
  copy SRC DST       move SRC DST
  if-absent KEY      if-present KEY      if-equals KEY=VALUE      if-unchanged KEY VERSION
Words are quoted as in a shell: '…', \"…\", \\; \\n \\t \\r \\0 \\xHH are bytes. # begins a comment line.
A line may also be a JSON object, and the whole text an array of them:
  {\"op\":\"put\",\"key\":\"a.b\",\"value\":\"1\"}    members: key, value or value_base64, target, namespace,
                                          from, to, delta, since, object

Examples:
  printf 'if-absent lock\\nput lock=me\\n' | kvs txn     take a lock, or fail
  kvs txn --json deploy.txn                            what each operation gave
  kvs txn <<< 'add jobs.running=1'                     count")]
pub(crate) struct TxnArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    output: CommitOutput,
    /// Give the transaction a version of its own
    #[arg(short, long)]
    no_merge: bool,
    /// A name for the log and for watchers
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The transaction; standard input without FILE or with -
    file: Option<PathBuf>,
}

/// Runs `kvs txn`.
pub(crate) async fn run(daemon: &Daemon, args: TxnArgs) -> Result<ExitCode> {
    let text = read(&args)?;
    let steps = parse(&text)?;
    let mut transaction = Transaction::new();
    transaction.no_merge = args.no_merge;
    transaction.name = args.name.as_deref().map(Into::into);
    for numbered in &steps {
        transaction = match &numbered.step {
            Step::Do(operation) => transaction.operation(operation.clone()),
            Step::If(condition) => transaction.condition(condition.clone()),
        };
    }
    let namespace = args.namespace.name(daemon);
    let client = daemon.connect(&namespace).await?;
    let committed = client
        .namespace(namespace.as_str())
        .commit(transaction)
        .await
        .map_err(|error| refused(&error, &steps))?;
    if args.output.json {
        let mut sink = Sink::new();
        sink.line(&report(&namespace, &committed, &steps))?;
        sink.flush()?;
    } else {
        args.output.print_committed(&committed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the text of the transaction.
fn read(args: &TxnArgs) -> Result<String> {
    let file = args.file.as_deref().filter(|file| file.as_os_str() != "-");
    let context = file.map_or_else(|| "stdin".to_owned(), |file| file.display().to_string());
    let mut bytes = Vec::new();
    let most = TRANSACTION_TEXT_BYTES + 1;
    let done = match file {
        Some(file) => {
            std::fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes))
        }
        None => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
    };
    done.map_err(|error| anyhow!("{context}: {}", reason(&error)))?;
    if bytes.len() as u64 == most {
        let most = TRANSACTION_TEXT_BYTES >> 20;
        let reason = format!("the text is longer than {most} MiB");
        return Err(failure_as(&context, ErrorCode::TooBig, &reason));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let read = error.as_bytes().get(..valid).unwrap_or_default();
        let line = read.iter().filter(|byte| **byte == b'\n').count() + 1;
        let reason = format!("line {line} is not UTF-8; other bytes are written \\xHH");
        failure_as(&context, ErrorCode::Invalid, &reason)
    })
}

/// The error of a transaction, with the line that it is about. The daemon's message names the
/// operation or condition: it begins with `operation INDEX: ` or `condition INDEX: `.
fn refused(error: &ClientError, steps: &[Numbered]) -> anyhow::Error {
    let is_operation = error.message.starts_with("operation ");
    let index = error
        .message
        .strip_prefix("operation ")
        .or_else(|| error.message.strip_prefix("condition "))
        .and_then(|rest| rest.split_once(": "))
        .and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)));
    let Some((index, rest)) = index else {
        // An invalid key is refused earlier, without an index.
        let is_none = |numbered: &&Numbered| {
            let keys = numbered.step.keys();
            keys.iter().any(|key| Key::parse(key).is_err())
        };
        let culprit = steps.iter().find(is_none);
        let culprit = culprit.filter(|_| is_of_the_key(error.code));
        return match culprit.or_else(|| of_the_past(error, steps)) {
            Some(numbered) => because(error, format!("line {}: {}", numbered.line, explain(error))),
            None => because(error, format!("txn: {}", explain(error))),
        };
    };
    let line = steps
        .iter()
        .filter(|numbered| matches!(numbered.step, Step::Do(_)) == is_operation)
        .nth(index)
        .map_or(0, |numbered| numbered.line);
    let named = ClientError::new(error.code, rest);
    because(error, format!("line {line}: {}", explain(&named)))
}

/// Whether an error may be about the syntax of a key.
fn is_of_the_key(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Invalid | ErrorCode::Limit)
}

/// The condition on a version that does not exist; the daemon's message names only the version.
fn of_the_past<'s>(error: &ClientError, steps: &'s [Numbered]) -> Option<&'s Numbered> {
    let of_a_version = matches!(error.code, ErrorCode::StaleSnapshot | ErrorCode::Compacted);
    let is_named = |since: u64| {
        let mut words = error.message.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| word == since.to_string())
    };
    steps.iter().filter(|_| of_a_version).find(|numbered| {
        matches!(&numbered.step, Step::If(Condition::Unchanged { since, .. }) if is_named(*since))
    })
}

/// The reply as JSON.
fn report(namespace: &str, committed: &Committed, steps: &[Numbered]) -> String {
    let operations = steps.iter().filter_map(|numbered| match &numbered.step {
        Step::Do(operation) => Some((numbered.line, operation)),
        Step::If(_) => None,
    });
    let results = operations
        .zip(&committed.results)
        .map(|((line, _), result)| match result {
            OperationResult::Added(sum) => json!({ "line": line, "sum": sum }),
            _ => json!({ "line": line }),
        });
    let results: Vec<_> = results.collect();
    let (version, root) = (committed.position.version, committed.root());
    json!({
        "namespace": namespace,
        "version": version,
        "root": root.as_str(),
        "snapshot": format!("{namespace}@{version}:{root}"),
        "results": results,
    })
    .to_string()
}
