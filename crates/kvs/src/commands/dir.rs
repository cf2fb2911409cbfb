//! `kvs dir`: the keys and values of a directory, of one state.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{Client, Entry, ListOptions};

use super::failure::About as _;
use super::listing::{Listed, Listing};
use super::options::{Daemon, ReadOptions};
use super::show::long_json;
use super::value::link_text;
use crate::output::{DirectoryLine, EntryJson, Progress, Sink, known_columns};

/// Values longer than this are not sent whole when their lines will be cut; in bytes. A character
/// of a line takes at most four bytes, so lines need less.
const CUT_VALUE_BYTES: u64 = 4096;

/// Options of `kvs dir`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs dir                the top of the tree
  kvs dir -R lwj.17      all keys below lwj.17 with their values
  kvs dir -Rd            all keys that there are
  kvs dir -w 0 a         values at full length")]
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
    /// Print one JSON object an entry: key, type, and value or target
    #[arg(long, conflicts_with = "width")]
    json: bool,
    /// The directory
    #[arg(default_value = ".", hide_default_value = true)]
    key: String,
}

/// Prints a directory.
pub(crate) async fn run(daemon: &Daemon, args: DirArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let width = match args.width {
        // Values are whole.
        _ if args.json => 0,
        Some(width) => width,
        // What goes to a file or another command is whole.
        None => known_columns().unwrap_or(0),
    };
    let inline_max = match width {
        _ if args.directory => Some(0),
        0..=3 => None,
        _ => Some(CUT_VALUE_BYTES),
    };
    let mut options = ListOptions::new().at(at);
    (options.recursive, options.inline_max) = (args.recursive, inline_max);
    let key = args.key.as_str();
    let mut listing = Listing::open(&client, &namespace, key, options)
        .await
        .about(key)?;
    let mut sink = Sink::new();
    let progress = Progress::of_keys(key);
    while let Some(listed) = listing.next().await.about(key)? {
        progress.add(1);
        if let Entry::Directory(directory) = &listed.entry
            && args.recursive
            && directory.entries > 0
        {
            continue;
        }
        if args.json
            && args.directory
            && let Entry::Value(value) = &listed.entry
        {
            sink.line(&EntryJson::value_of_size(&listed.key, value.size).line()?)?;
            continue;
        }
        if args.json {
            print_json(&client, &listed, &mut sink).await?;
            continue;
        }
        let mut line = DirectoryLine::new(width, sink.is_terminal());
        let mut out = Vec::new();
        match &listed.entry {
            Entry::Directory(_) => line.text(&format!("{}.", listed.key), &mut out),
            _ if args.directory => line.text(&listed.key, &mut out),
            Entry::Link(link) => {
                let text = format!("{} -> {}", listed.key, link_text(link));
                line.text(&text, &mut out);
            }
            Entry::Value(value) => {
                line.text(&format!("{} = ", listed.key), &mut out);
                let end = DirectoryLine::most(width)
                    .unwrap_or(u64::MAX)
                    .min(value.size);
                let mut reader = listed.reader(&client, value, end);
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
        sink.raw(&out)?;
    }
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
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
