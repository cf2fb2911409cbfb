//! `kvs log`: the retained versions with their time, their users and the keys that they touched.
//!
//! The daemon pages forwards. For output from the end (`-n`, `--reverse`), windows of at most one
//! page are read backwards, so memory holds one page however long the log is. The first version
//! after a time (`--since`) is found by binary search.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use clap::Args;
use kvs_client::{
    At, Bytes, ChangeKind, Entry, LogChange, LogOptions, LogVersion, LookedUp, Namespace, Scope,
    ScopeKind,
};
use smol_str::SmolStr;

use super::failure::{About as _, usage};
use super::options::{Daemon, NamespaceOption, version};
use super::report::logged;
use super::since::Since;
use crate::limits::LOG_VALUE_BYTES;
use crate::output::{ChangeReport, Halves, Sink, Told, VersionReport, escape_bytes};

/// Versions requested at once when the log is read backwards.
const WINDOW: u64 = 128;

/// Options of `kvs log`.
#[derive(Debug, Args)]
#[command(after_help = "\
A SCOPE is a key and all that is below it, or a pattern, as for `kvs watch`.

Examples:
  kvs log                          all versions that are retained, oldest first
  kvs log -n 10                    the newest ten
  kvs log --reverse | head         the newest first
  kvs log --since 15m config       what happened to config in the last quarter of an hour
  kvs log --from 40 --to 42        three versions
  kvs log --json 'lwj.*.state'     those that touched a state, one JSON object a line")]
pub(crate) struct LogArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// First version [default: the oldest that is retained]
    #[arg(long, value_name = "V", default_value_t = 0, hide_default_value = true, value_parser = version)]
    from: u64,
    /// Last version [default: the newest]
    #[arg(long, value_name = "V", value_parser = version)]
    to: Option<u64>,
    /// Only versions from that time on: how long ago (15m), a time (2026-11-20T17:03), or @SECONDS
    /// since 1970
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
    /// Only the newest N of the versions
    #[arg(short = 'n', long, value_name = "N")]
    number: Option<u64>,
    /// Newest first
    #[arg(long)]
    reverse: bool,
    /// With the value that each key has in that version, up to 1 MiB
    #[arg(long)]
    values: bool,
    /// Print one JSON object a line for each version
    #[arg(long)]
    json: bool,
    /// Only versions that touched one of these, and of those only the keys inside
    #[arg(value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// Runs `kvs log`.
pub(crate) async fn run(daemon: &Daemon, args: LogArgs) -> Result<ExitCode> {
    if args.to.is_some_and(|to| to < args.from) {
        let text = "log: --to is before --from; --reverse prints the newest first";
        return Err(usage(text));
    }
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let scopes = args.scopes.iter().map(|text| Scope {
        kind: ScopeKind::Auto,
        text: text.into(),
    });
    let reading = Reading {
        namespace: client.namespace(name.as_str()),
        scopes: scopes.collect(),
        values: args.values,
        json: args.json,
    };
    let Some(range) = reading.range(&args).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut sink = Sink::new();
    let most = args.number.unwrap_or(u64::MAX);
    if args.reverse {
        reading.backwards(range, most, &mut sink).await?;
    } else {
        let from = match args.number {
            Some(_) => reading.newest(range, most).await?,
            None => Some(range.from),
        };
        if let Some(from) = from {
            let range = Range { from, ..range };
            reading.forwards(range, &mut sink).await?;
        }
    }
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The log of one namespace and the output format.
struct Reading {
    namespace: Namespace,
    scopes: Vec<Scope>,
    values: bool,
    json: bool,
}

/// Versions `from` to `to`, both included.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

impl Reading {
    /// The retained versions that the options select; `None` if there are none.
    async fn range(&self, args: &LogArgs) -> Result<Option<Range>> {
        let mut asked = LogOptions::new().from_version(args.from);
        (asked.to, asked.limit) = (args.to, 1);
        let page = self.namespace.log(asked).await.about("log")?;
        // Versions that are committed meanwhile are not included.
        let to = args.to.map_or(page.newest, |to| to.min(page.newest));
        let mut from = args.from.max(page.oldest);
        if let Some(since) = &args.since {
            from = self.first_since(since.time(), Range { from, to }).await?;
        }
        Ok((from <= to).then_some(Range { from, to }))
    }

    /// The first version at or after a time. If the clock was set back in between, one of the
    /// versions at which it passed that time.
    async fn first_since(&self, since: SystemTime, range: Range) -> Result<u64> {
        let (mut low, mut high) = (range.from, range.to.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let info = self
                .namespace
                .info(At::Version(middle))
                .await
                .about("log")?;
            if info.time < since {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    async fn page(&self, range: Range) -> Result<(Vec<LogVersion>, Option<u64>)> {
        let mut asked = LogOptions::new().from_version(range.from);
        (asked.to, asked.scopes) = (Some(range.to), self.scopes.clone());
        let page = self.namespace.log(asked).await.about("log")?;
        let next = page.next.filter(|next| *next <= range.to);
        Ok((page.versions, next))
    }

    /// Prints the versions of a range.
    async fn forwards(&self, mut range: Range, sink: &mut Sink) -> Result<()> {
        loop {
            let (versions, next) = self.page(range).await?;
            for version in &versions {
                self.print(version, sink).await?;
            }
            sink.flush()?;
            match next {
                Some(next) => range.from = next,
                None => return Ok(()),
            }
        }
    }

    /// Prints the newest `most` versions of a range, newest first.
    async fn backwards(&self, range: Range, mut most: u64, sink: &mut Sink) -> Result<()> {
        let mut windows = Windows::new(range);
        while let Some(window) = windows.next().filter(|_| most > 0) {
            let Some(versions) = self.window(window, &mut windows).await? else {
                continue;
            };
            for version in versions
                .iter()
                .rev()
                .take(usize::try_from(most).unwrap_or(usize::MAX))
            {
                self.print(version, sink).await?;
                most -= 1;
            }
            sink.flush()?;
        }
        Ok(())
    }

    /// The first of the newest `most` versions of a range; `None` if it is empty.
    async fn newest(&self, range: Range, most: u64) -> Result<Option<u64>> {
        let (mut windows, mut left, mut first) = (Windows::new(range), most, None);
        while let Some(window) = windows.next().filter(|_| left > 0) {
            let Some(versions) = self.window(window, &mut windows).await? else {
                continue;
            };
            for version in versions
                .iter()
                .rev()
                .take(usize::try_from(left).unwrap_or(usize::MAX))
            {
                first = Some(version.position.version);
                left -= 1;
            }
        }
        Ok(first)
    }

    /// The versions of a window. `None` if they exceed a page; then the next window is smaller.
    async fn window(
        &self,
        window: Range,
        windows: &mut Windows,
    ) -> Result<Option<Vec<LogVersion>>> {
        let (mut versions, mut next) = self.page(window).await?;
        if next.is_some() && window.from < window.to {
            windows.smaller(window);
            return Ok(None);
        }
        // A window of one version is read in full, however many pages it has.
        while let Some(from) = next {
            let (more, then) = self.page(Range { from, ..window }).await?;
            versions.extend(more);
            next = then;
        }
        Ok(Some(versions))
    }

    async fn print(&self, version: &LogVersion, sink: &mut Sink) -> Result<()> {
        let report = logged(self.namespace.name(), version);
        let mut values = match self.values {
            true => self.values(&report, &version.changes).await?,
            false => Vec::new(),
        };
        values.resize(version.changes.len(), None);
        let changes = version.changes.iter().map(|change| ChangeReport {
            key: &change.key,
            kind: change.kind.name(),
            previous: None,
            offset: None,
        });
        let changes = changes.zip(values);
        if self.json {
            return print_json(&report, changes, version.more, sink);
        }
        sink.text(&report.log_line())?;
        if !self.values {
            for (change, _) in changes {
                sink.text(&change.word())?;
            }
            sink.text(if version.more { " ...\n" } else { "\n" })?;
            return Ok(());
        }
        for (change, value) in changes {
            let Halves { before, after } = change.line(report.version, false, value.is_some());
            let value = escape_bytes(&value.unwrap_or_default());
            sink.text(&format!("\n  {before}{value}{after}"))?;
        }
        Ok(sink.text(if version.more { "\n  ...\n" } else { "\n" })?)
    }

    /// The value of each changed key in that version, if it has one that is not too long.
    async fn values(
        &self,
        report: &VersionReport,
        changes: &[LogChange],
    ) -> Result<Vec<Option<Bytes>>> {
        let at = At::Snapshot(report.snapshot().into());
        let keys: Vec<SmolStr> = changes.iter().map(|change| change.key.clone()).collect();
        let mut values = Vec::new();
        while let Some(rest) = keys.get(values.len()..).filter(|rest| !rest.is_empty()) {
            let answer = self.namespace.lookup_many(rest, at.clone()).await;
            let answer = answer.about("log")?;
            if answer.results.is_empty() {
                break;
            }
            for result in answer.results {
                let change = changes.get(values.len());
                let value = match (change, result) {
                    (Some(change), LookedUp::Found(Entry::Value(value)))
                        if value.size <= LOG_VALUE_BYTES
                            && matches!(change.kind, ChangeKind::Put | ChangeKind::Append) =>
                    {
                        match value.bytes {
                            Some(bytes) => Some(bytes),
                            None => {
                                let all = (change.key.clone(), at.clone());
                                self.namespace
                                    .get_at(all.0, all.1)
                                    .await
                                    .about(&change.key)?
                            }
                        }
                    }
                    _ => None,
                };
                values.push(value);
            }
        }
        Ok(values)
    }
}

/// Prints a version as one JSON object.
fn print_json<'c>(
    report: &VersionReport,
    changes: impl Iterator<Item = (ChangeReport<'c>, Option<Bytes>)>,
    more: bool,
    sink: &mut Sink,
) -> Result<()> {
    let Halves { before, after } = report.json()?;
    sink.text(&before)?;
    sink.text("[")?;
    for (index, (change, value)) in changes.enumerate() {
        sink.text(if index == 0 { "" } else { "," })?;
        let (told, text) = match value.as_deref().map(|bytes| (str::from_utf8(bytes), bytes)) {
            None => (Told::Nothing, String::new()),
            Some((Ok(text), _)) => (Told::Text, serde_json::to_string(text)?),
            Some((Err(_), bytes)) => {
                let encoded = data_encoding::BASE64.encode(bytes);
                (Told::Bytes, serde_json::to_string(&encoded)?)
            }
        };
        let Halves { before, after } = change.json(told)?;
        sink.text(&format!("{before}{text}{after}"))?;
    }
    sink.text(if more { "],\"more\":true" } else { "]" })?;
    Ok(sink.line(&after)?)
}

/// Windows of a range, from its end to its beginning.
struct Windows {
    from: u64,
    /// The last version of the next window; `None` when there is none.
    end: Option<u64>,
    width: u64,
}

impl Windows {
    fn new(range: Range) -> Self {
        Self {
            from: range.from,
            end: Some(range.to),
            width: WINDOW,
        }
    }

    fn next(&mut self) -> Option<Range> {
        let to = self.end.filter(|end| *end >= self.from)?;
        let from = to.saturating_sub(self.width - 1).max(self.from);
        self.end = from.checked_sub(1);
        Some(Range { from, to })
    }

    /// Halves the width: the same end is returned again with a smaller window.
    fn smaller(&mut self, window: Range) {
        self.width = ((window.to - window.from).div_ceil(2)).max(1);
        self.end = Some(window.to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_range_once_from_its_end() {
        let mut windows = Windows::new(Range { from: 3, to: 1500 });
        let mut covered = Vec::new();
        let mut smaller = 0;
        while let Some(window) = windows.next() {
            if smaller < 9 && window.from < window.to {
                windows.smaller(window);
                smaller += 1;
                continue;
            }
            covered.extend((window.from..=window.to).rev());
        }
        let all: Vec<u64> = (3..=1500).rev().collect();
        assert_eq!(covered, all);
    }

    #[test]
    fn a_range_of_one_version_is_one_window() {
        let mut windows = Windows::new(Range { from: 0, to: 0 });
        assert!(windows.next().is_some_and(|window| window.to == 0));
        assert!(windows.next().is_none());
    }
}
