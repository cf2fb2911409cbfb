//! `kvs ls`: names in columns, as ls(1) shows files: what is no directory first, then directory
//! after directory, all of one state.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Client, Entry, ErrorCode, ListOptions, LookupOptions};
use kvs_proto::PAGE_ENTRIES;
use serde_json::json;

use super::failure::{About as _, Failures, Kind, failure, failure_as, kind};
use super::key::{join, normal};
use super::listing::{Listing, fixed, is_pattern};
use super::options::{Daemon, ReadOptions};
use super::value::link_text;
use crate::output::{EntryJson, Sink, columns, terminal_columns};

/// Options of `kvs ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs ls                 names at the top of the tree
  kvs ls -F lwj          directories marked with . and links with @
  kvs ls -R lwj.17       all directories below lwj.17
  kvs ls -1 lwj | head   one a line
  kvs ls 'lwj.*'         what the pattern matches, as if each had been named
  kvs ls --count lwj     how many there are, at once however many

In a pattern * is one name, ** any number of names, ? and […] stand for a character; quote it for
the shell. A key that exists is never taken for one.")]
pub(crate) struct LsArgs {
    #[command(flatten)]
    read: ReadOptions,
    /// List the directories below as well
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Show directories themselves, not what is in them
    #[arg(short, long)]
    directory: bool,
    /// Mark directories with . and links with @
    #[arg(short = 'F', long)]
    classify: bool,
    /// Width of a line; 0 for one line [default: the terminal's, else $COLUMNS, else 80]
    #[arg(short, long, value_name = "COLS")]
    width: Option<usize>,
    /// One name a line
    #[arg(short = '1', long = "1", conflicts_with = "width")]
    one: bool,
    /// List at most N entries
    #[arg(long, value_name = "N", conflicts_with = "count")]
    limit: Option<u64>,
    /// Print how many entries there are instead of their names
    #[arg(long)]
    count: bool,
    /// Print one JSON object an entry: key, type, and size or target
    #[arg(long, conflicts_with_all = ["width", "one", "classify"])]
    json: bool,
    /// What to list, or a pattern; a trailing dot demands a directory
    #[arg(value_name = "KEY", default_value = ".", hide_default_value = true)]
    keys: Vec<String>,
}

/// What the options make of names.
struct Style {
    classify: bool,
    width: Option<usize>,
    json: bool,
}

impl Style {
    /// The name that is shown; with `--json` the line that tells of the entry.
    fn name(&self, key: &str, name: &str, entry: &Entry) -> Result<String> {
        if self.json {
            let text;
            let entry = match entry {
                Entry::Directory(_) => EntryJson::directory(key),
                Entry::Value(value) => EntryJson::value_of_size(key, value.size),
                Entry::Link(link) => {
                    text = link_text(link);
                    EntryJson::link(key, &text)
                }
            };
            return Ok(entry.line()?);
        }
        Ok(match entry {
            // The root is its own mark.
            Entry::Directory(_) if self.classify && name != "." => format!("{name}."),
            Entry::Link(_) if self.classify => format!("{name}@"),
            _ => name.to_owned(),
        })
    }

    fn print(&self, sink: &mut Sink, names: &[String]) -> Result<()> {
        if self.json {
            return Ok(names.iter().try_for_each(|line| sink.line(line))?);
        }
        let names: Vec<String> = names
            .iter()
            .map(|name| sink.clean(name).into_owned())
            .collect();
        Ok(sink.text(&columns(&names, self.width))?)
    }
}

/// Prints all keys; one that fails does not keep the others from being shown.
pub(crate) async fn run(daemon: &Daemon, args: LsArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let at = fixed(&client, &namespace, at).await.about("ls")?;
    let width = match args.width {
        _ if args.one => Some(1),
        Some(0) => None,
        Some(width) => Some(width),
        None => Some(terminal_columns()),
    };
    let style = Style {
        classify: args.classify,
        width,
        json: args.json,
    };
    let mut failures = Failures::default();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut count: u64 = 0;
    let mut singles = Vec::new();
    let mut directories = Vec::new();
    for key in &args.keys {
        let found = find_all(&client, &namespace, &at, key, &args).await;
        for found in found {
            match found {
                Ok((key, Entry::Directory(held))) if !args.directory => {
                    count += if args.recursive {
                        held.entries
                    } else {
                        held.names.unwrap_or(0)
                    };
                    directories.push(key);
                }
                Ok((key, entry)) => {
                    count += 1;
                    singles.push(style.name(&key, &key, &entry)?);
                }
                Err(error) => failures.say(&error),
            }
        }
    }
    let mut sink = Sink::new();
    if args.count {
        let line = match args.json {
            true => json!({ "count": count }).to_string(),
            false => count.to_string(),
        };
        sink.line(&line)?;
        sink.flush()?;
        return Ok(failures.exit_code());
    }
    singles.sort();
    singles.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    left -= singles.len() as u64;
    directories.sort();
    let with_headers =
        !args.json && (args.recursive || directories.len() > 1 || !singles.is_empty());
    let mut first = args.json || singles.is_empty();
    style.print(&mut sink, &singles)?;
    // Directories still to be listed, the next one last.
    let mut pending: Vec<String> = directories.into_iter().rev().collect();
    while let Some(key) = pending.pop().filter(|_| left > 0) {
        let (names, below) = match read(&client, &namespace, &at, &key, &style, left).await {
            Ok(read) => read,
            Err(error) => {
                failures.say(&error);
                continue;
            }
        };
        left -= names.len() as u64;
        if !first {
            sink.line("")?;
        }
        first = args.json;
        if with_headers {
            let header = format!("{}:", sink.clean(&key));
            sink.line(&header)?;
        }
        style.print(&mut sink, &names)?;
        if args.recursive {
            pending.extend(below.into_iter().rev());
        }
    }
    sink.flush()?;
    Ok(failures.exit_code())
}

/// The entries that an argument stands for: that of a key, or those that a pattern matches.
async fn find_all(
    client: &Client,
    namespace: &str,
    at: &At,
    key: &str,
    args: &LsArgs,
) -> Vec<Result<(String, Entry)>> {
    match find(client, namespace, at, key, args).await {
        Err(error) if is_pattern(key) && kind(&error) == Kind::NotThere => {}
        found => return vec![found.map(|entry| (normal(key), entry))],
    }
    match expand(client, namespace, at, key, args).await {
        Ok(found) if found.is_empty() => {
            vec![Err(failure_as(key, ErrorCode::NotFound, "no key matches"))]
        }
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// The entries that a pattern matches, at most as many as may be listed.
async fn expand(
    client: &Client,
    namespace: &str,
    at: &At,
    pattern: &str,
    args: &LsArgs,
) -> Result<Vec<(String, Entry)>> {
    let options = ListOptions::new().at(at.clone()).inline_max(0);
    let listing = Listing::matching(client, namespace, pattern, options);
    let mut listing = listing.await.about(pattern)?;
    let mut found = Vec::new();
    let most = args.limit.unwrap_or(u64::MAX);
    while let Some(listed) = listing.next().await.about(pattern)? {
        let mut entry = listed.entry;
        if let (Entry::Directory(_), true) = (&entry, args.count && !args.directory) {
            // A list does not tell how many names a directory has.
            entry = find(client, namespace, at, &listed.key, args).await?;
        }
        found.push((listed.key, entry));
        if found.len() as u64 >= most {
            break;
        }
    }
    Ok(found)
}

/// What a key of the command line stands for. A link is one of the things to be listed unless it
/// leads to a directory and that is what is wanted.
async fn find(
    client: &Client,
    namespace: &str,
    at: &At,
    key: &str,
    args: &LsArgs,
) -> Result<Entry> {
    let namespace = client.namespace(namespace);
    let demanded = key.ends_with('.');
    let lookup = async |follow| {
        let mut options = LookupOptions::new().at(at.clone()).inline_max(0);
        options.follow = follow;
        let found = namespace.lookup(key, options).await.about(key)?;
        anyhow::Ok(found.entry)
    };
    let missing = || failure(key, ErrorCode::NotFound);
    let entry = lookup(false).await?.ok_or_else(missing)?;
    let entry = match entry {
        Entry::Link(_) if demanded => lookup(true).await?.ok_or_else(missing)?,
        Entry::Link(link) if !args.classify && !args.directory => {
            // A link to nowhere is still a link.
            match lookup(true).await {
                Ok(Some(directory @ Entry::Directory(_))) => directory,
                _ => Entry::Link(link),
            }
        }
        other => other,
    };
    match entry {
        Entry::Directory(_) => Ok(entry),
        _ if demanded => {
            let reason = "it is not a directory, which the dot at the end demands";
            Err(failure_as(key, ErrorCode::NotDirectory, reason))
        }
        _ => Ok(entry),
    }
}

/// The names of a directory, and the keys of the directories in it.
async fn read(
    client: &Client,
    namespace: &str,
    at: &At,
    key: &str,
    style: &Style,
    most: u64,
) -> Result<(Vec<String>, Vec<String>)> {
    let options = ListOptions::new()
        .at(at.clone())
        .limit(most.min(PAGE_ENTRIES))
        .inline_max(0);
    let mut listing = Listing::open(client, namespace, key, options)
        .await
        .about(key)?;
    let (mut names, mut below) = (Vec::new(), Vec::new());
    while (names.len() as u64) < most
        && let Some(listed) = listing.next().await.about(key)?
    {
        let name = listed.key.rsplit('.').next().unwrap_or_default();
        names.push(style.name(&listed.key, name, &listed.entry)?);
        if let Entry::Directory(_) = listed.entry {
            below.push(join(key, name));
        }
    }
    Ok((names, below))
}
