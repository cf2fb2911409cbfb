//! `kvs log`: the versions that are retained, who made them, when, and which keys they touched.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{LogChange, LogOptions, Scope, ScopeKind};

use super::failure::About as _;
use super::options::{Daemon, NamespaceOption};
use super::report::logged;
use crate::output::{ChangeReport, Halves, Sink, Told, VersionReport};

/// Options of `kvs log`.
#[derive(Debug, Args)]
#[command(after_help = "\
A SCOPE is a key and all that is below it, or a pattern, as for `kvs watch`.

Examples:
  kvs log                          all versions that are retained, oldest first
  kvs log --from 40 --to 42        three of them
  kvs log --json 'lwj.*.state'     those that touched a state, one JSON object a line")]
pub(crate) struct LogArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// First version [default: the oldest that is retained]
    #[arg(long, value_name = "V", default_value_t = 0, hide_default_value = true)]
    from: u64,
    /// Last version [default: the newest]
    #[arg(long, value_name = "V")]
    to: Option<u64>,
    /// Print one JSON object a line for each version
    #[arg(long)]
    json: bool,
    /// Only versions that touched one of these, and of those only the keys inside
    #[arg(value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// Prints the log.
pub(crate) async fn run(daemon: &Daemon, args: LogArgs) -> Result<ExitCode> {
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let namespace = client.namespace(name.as_str());
    let scopes = args.scopes.iter().map(|text| Scope {
        kind: ScopeKind::Auto,
        text: text.into(),
    });
    let mut options = LogOptions::new().from_version(args.from);
    (options.to, options.scopes) = (args.to, scopes.collect());
    let mut sink = Sink::new();
    loop {
        let page = namespace.log(options.clone()).await.about("log")?;
        if options.to.is_none() {
            // Versions that are made meanwhile are not part of the answer.
            options.to = Some(page.newest);
        }
        for version in &page.versions {
            print(
                &logged(&name, version),
                &version.changes,
                args.json,
                &mut sink,
            )?;
        }
        sink.flush()?;
        match page.next {
            Some(next) => options.from = next,
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn print(
    report: &VersionReport,
    changes: &[LogChange],
    as_json: bool,
    sink: &mut Sink,
) -> Result<()> {
    let changes = changes.iter().map(|change| ChangeReport {
        key: &change.key,
        kind: change.kind.name(),
        previous: None,
        offset: None,
    });
    if !as_json {
        sink.text(&report.log_line())?;
        for change in changes {
            sink.text(&change.word())?;
        }
        return Ok(sink.text("\n")?);
    }
    let Halves { before, after } = report.json()?;
    sink.text(&before)?;
    sink.text("[")?;
    for (at, change) in changes.enumerate() {
        sink.text(if at == 0 { "" } else { "," })?;
        sink.text(&change.json(Told::Nothing)?.before)?;
    }
    sink.text("]")?;
    Ok(sink.line(&after)?)
}
