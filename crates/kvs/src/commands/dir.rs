//! `kvs dir`: keys and values of a directory, all of one state.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{Client, Entry, ListOptions, LookupOptions};
use kvs_proto::PAGE_ENTRIES;
use serde_json::json;

use super::failure::{About as _, Kind, kind};
use super::listing::{Listed, Listing, fixed, is_pattern};
use super::matches::State;
use super::options::{Daemon, ReadOptions};
use super::show::long_json;
use super::value::link_text;
use crate::output::{DirectoryLine, EntryJson, Progress, Sink, known_columns};

/// Values longer than this, in bytes, are not sent inline if their lines will be cut. Enough for a
/// line: a character has at most four bytes.
const CUT_VALUE_BYTES: u64 = 4096;

/// Options of `kvs dir`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs dir                the top of the tree
  kvs dir -R lwj.17      all keys below lwj.17 with their values
  kvs dir -Rd            all keys that there are
  kvs dir -w 0 a         values at full length
  kvs dir 'lwj.*.state'  what the pattern matches, of directories what is in them
  kvs dir -R --count a   how many lines it would be

In a pattern * is one name, ** any number of names, ? and […] stand for a character; quote it for
the shell. A key that exists is never taken for one.")]
pub(crate) struct DirArgs {
    #[command(flatten)]
    read: ReadOptions,
    /// Show what is in the directories below
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Show keys only
    #[arg(short, long)]
    directory: bool,
    /// Cut lines to that width; 0 for none [default: the terminal's, else $COLUMNS, else 0]
    #[arg(short, long, value_name = "COLS")]
    width: Option<usize>,
    /// Print at most N entries
    #[arg(long, value_name = "N", conflicts_with = "count")]
    limit: Option<u64>,
    /// Print how many entries there are instead of them
    #[arg(long)]
    count: bool,
    /// Print one JSON object an entry: key, type, and value or target
    #[arg(long, conflicts_with = "width")]
    json: bool,
    /// The directory, or a pattern
    #[arg(default_value = ".", hide_default_value = true)]
    key: String,
}

/// Prints a directory, or the matches of a pattern.
pub(crate) async fn run(daemon: &Daemon, args: DirArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let width = match args.width {
        // JSON has whole values.
        _ if args.json => 0,
        Some(width) => width,
        // Output to a file or a pipe is not cut.
        None => known_columns().unwrap_or(0),
    };
    let inline_max = match width {
        _ if args.directory || args.count => Some(0),
        0..=3 => None,
        _ => Some(CUT_VALUE_BYTES),
    };
    let key = args.key.as_str();
    let state = State {
        client: &client,
        namespace: &namespace,
        at,
        inline_max,
    };
    let mut dir = Dir {
        state,
        args: &args,
        width,
        sink: Sink::new(),
        progress: Progress::of_keys(key),
        left: args.limit.unwrap_or(u64::MAX),
        count: 0,
    };
    match dir.directory(key).await {
        Err(error) if is_pattern(key) && kind(&error) == Kind::NotThere && dir.count == 0 => {
            dir.pattern(key).await?;
        }
        done => done?,
    }
    if args.count {
        let line = match args.json {
            true => json!({ "count": dir.count }).to_string(),
            false => dir.count.to_string(),
        };
        dir.sink.line(&line)?;
    }
    dir.sink.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The state of one run.
struct Dir<'c> {
    state: State<'c>,
    args: &'c DirArgs,
    width: usize,
    sink: Sink,
    progress: Progress,
    /// Entries that may still be printed.
    left: u64,
    /// Entries printed or counted so far.
    count: u64,
}

impl Dir<'_> {
    /// Prints the entries of a directory.
    async fn directory(&mut self, key: &str) -> Result<()> {
        let State {
            client, namespace, ..
        } = self.state;
        let mut options = ListOptions::new().at(self.state.at.clone());
        (options.recursive, options.inline_max) = (self.args.recursive, self.state.inline_max);
        options.limit = self.left.min(PAGE_ENTRIES);
        let mut listing = Listing::open(client, namespace, key, options)
            .await
            .about(key)?;
        if self.args.count && !self.args.recursive {
            let options = LookupOptions::new().at(listing.at()).inline_max(0);
            let found = client.namespace(namespace).lookup(key, options).await;
            if let Some(Entry::Directory(directory)) = found.about(key)?.entry
                && let Some(names) = directory.names
            {
                self.count += names;
                return Ok(());
            }
        }
        while self.left > 0
            && let Some(listed) = listing.next().await.about(key)?
        {
            self.progress.add(1);
            if let Entry::Directory(directory) = &listed.entry
                && self.args.recursive
                && directory.entries > 0
            {
                continue;
            }
            self.entry(&listed).await?;
        }
        Ok(())
    }

    /// Prints the matches of a pattern: the entries of a matching directory, and any other match
    /// itself. An entry that was printed with its directory is not printed again.
    async fn pattern(&mut self, pattern: &str) -> Result<()> {
        self.state.at = fixed(
            self.state.client,
            self.state.namespace,
            self.state.at.clone(),
        )
        .await
        .about("dir")?;
        let mut matches = self.state.matches(pattern).await?;
        // Printed directories above the current key.
        let mut printed: Vec<String> = Vec::new();
        while self.left > 0
            && let Some(listed) = matches.next().await?
        {
            let key = listed.key.as_str();
            while printed.last().is_some_and(|above| !is_below(key, above)) {
                printed.pop();
            }
            let parent = key.rsplit_once('.').map_or(".", |(parent, _)| parent);
            let again = match printed.last() {
                Some(above) => self.args.recursive || above == parent,
                None => false,
            };
            match &listed.entry {
                Entry::Directory(_) if again && self.args.recursive => {}
                Entry::Directory(_) => {
                    self.directory(key).await?;
                    printed.push(key.to_owned());
                }
                _ if again => {}
                _ => self.entry(&listed).await?,
            }
        }
        Ok(())
    }

    /// Prints an entry, or counts it.
    async fn entry(&mut self, listed: &Listed) -> Result<()> {
        self.left -= 1;
        self.count += 1;
        if self.args.count {
            return Ok(());
        }
        let (client, sink) = (self.state.client, &mut self.sink);
        if self.args.json
            && self.args.directory
            && let Entry::Value(value) = &listed.entry
        {
            let entry = EntryJson::value_of_size(&listed.key, value.size);
            return Ok(sink.line(&entry.line()?)?);
        }
        if self.args.json {
            return print_json(client, listed, sink).await;
        }
        let mut line = DirectoryLine::new(self.width, sink.is_terminal());
        let mut out = Vec::new();
        match &listed.entry {
            Entry::Directory(_) => line.text(&format!("{}.", listed.key), &mut out),
            _ if self.args.directory => line.text(&listed.key, &mut out),
            Entry::Link(link) => {
                let text = format!("{} -> {}", listed.key, link_text(link));
                line.text(&text, &mut out);
            }
            Entry::Value(value) => {
                line.text(&format!("{} = ", listed.key), &mut out);
                let end = DirectoryLine::most(self.width)
                    .unwrap_or(u64::MAX)
                    .min(value.size);
                let mut reader = listed.reader(client, value, end);
                while let Some(piece) = reader.next().await.about(&listed.key)? {
                    let more = line.value(&piece, &mut out);
                    sink.raw(&out)?;
                    out.clear();
                    if !more {
                        break;
                    }
                }
                if end < value.size {
                    line.goes_on();
                }
            }
        }
        line.finish(&mut out);
        Ok(sink.raw(&out)?)
    }
}

/// Whether a key is below a directory.
fn is_below(key: &str, directory: &str) -> bool {
    let rest = key.strip_prefix(directory);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

async fn print_json(client: &Client, listed: &Listed, sink: &mut Sink) -> Result<()> {
    let key = listed.key.as_str();
    let value = match &listed.entry {
        Entry::Directory(_) => return Ok(sink.line(&EntryJson::directory(key).line()?)?),
        Entry::Link(link) => {
            return Ok(sink.line(&EntryJson::link(key, &link_text(link)).line()?)?);
        }
        Entry::Value(value) => value,
    };
    match &value.bytes {
        Some(bytes) => Ok(sink.line(&EntryJson::value(key, bytes).line()?)?),
        None => {
            let reader = listed.reader(client, value, value.size);
            long_json(key, reader, "", sink).await
        }
    }
}
