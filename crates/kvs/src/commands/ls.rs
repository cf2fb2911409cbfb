//! `kvs ls`: names in columns, as ls(1) shows files: what is no directory first, then directory
//! after directory, all of one state.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Client, Entry, ErrorCode, ListOptions, LookupOptions};

use super::failure::{About as _, failure, say};
use super::key::{join, normal};
use super::listing::{Listing, fixed};
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
  kvs ls -1 lwj | wc -l  one a line")]
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
    /// Print one JSON object an entry: key, type, and size or target
    #[arg(long, conflicts_with_all = ["width", "one", "classify"])]
    json: bool,
    /// What to list; a trailing dot demands a directory
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
    let mut failed = false;
    let mut singles = Vec::new();
    let mut directories = Vec::new();
    for key in &args.keys {
        match find(&client, &namespace, &at, key, &args).await {
            Ok(Entry::Directory(_)) if !args.directory => directories.push(normal(key)),
            Ok(entry) => {
                let key = normal(key);
                singles.push(style.name(&key, &key, &entry)?);
            }
            Err(error) => {
                say(&format!("{error:#}"));
                failed = true;
            }
        }
    }
    singles.sort();
    directories.sort();
    let with_headers =
        !args.json && (args.recursive || directories.len() > 1 || !singles.is_empty());
    let mut sink = Sink::new();
    let mut first = args.json || singles.is_empty();
    style.print(&mut sink, &singles)?;
    // Directories still to be listed, the next one last.
    let mut pending: Vec<String> = directories.into_iter().rev().collect();
    while let Some(key) = pending.pop() {
        let (names, below) = match read(&client, &namespace, &at, &key, &style).await {
            Ok(read) => read,
            Err(error) => {
                say(&format!("{error:#}"));
                failed = true;
                continue;
            }
        };
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
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
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
        _ if demanded => Err(failure(key, ErrorCode::NotDirectory)),
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
) -> Result<(Vec<String>, Vec<String>)> {
    let options = ListOptions::new().at(at.clone()).inline_max(0);
    let mut listing = Listing::open(client, namespace, key, options)
        .await
        .about(key)?;
    let (mut names, mut below) = (Vec::new(), Vec::new());
    while let Some(listed) = listing.next().await.about(key)? {
        let name = listed.key.rsplit('.').next().unwrap_or_default();
        names.push(style.name(&listed.key, name, &listed.entry)?);
        if let Entry::Directory(_) = listed.entry {
            below.push(join(key, name));
        }
    }
    Ok((names, below))
}
