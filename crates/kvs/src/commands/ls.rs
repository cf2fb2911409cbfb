//! `kvs ls`: names in columns, as ls(1) lists files: first what is not a directory, then each
//! directory; all of one state.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kvs_client::{Entry, ErrorCode, LookupOptions};
use serde_json::json;

use super::failure::{About as _, Failures, Kind, failure, failure_as, kind};
use super::key::normal;
use super::listing::{fixed, is_pattern};
use super::matches::{Merged, State};
use super::options::{Daemon, ReadOptions};
use super::sections::{Below, Level, Names, Section, Style};
use crate::output::{OutputError, Sink, terminal_columns};

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

/// Lists all keys. A key that fails does not stop the others.
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
    let state = State {
        client: &client,
        namespace: &namespace,
        at,
        inline_max: Some(0),
    };
    let mut ls = Ls {
        state,
        style,
        sink: Sink::new(),
        left: args.limit.unwrap_or(u64::MAX),
        singles: Vec::new(),
        patterns: Vec::new(),
        failures: Failures::default(),
        args,
    };
    ls.gather().await;
    match ls.args.count {
        true => ls.count().await?,
        false => ls.list().await?,
    }
    ls.sink.flush()?;
    Ok(ls.failures.exit_code())
}

/// The state of one run.
struct Ls<'c> {
    state: State<'c>,
    style: Style,
    sink: Sink,
    args: LsArgs,
    /// Entries that may still be printed.
    left: u64,
    /// Keys given as arguments, with their entries.
    singles: Vec<(String, Entry)>,
    /// Arguments that are patterns with at least one match.
    patterns: Vec<String>,
    failures: Failures,
}

impl Ls<'_> {
    /// Sorts the arguments into keys and patterns.
    async fn gather(&mut self) {
        for key in &self.args.keys {
            match find(&self.state, key, &self.args).await {
                Err(error) if is_pattern(key) && kind(&error) == Kind::NotThere => {
                    match self.state.matches(key).await {
                        Ok(_) => self.patterns.push(key.clone()),
                        Err(error) => self.failures.say(&error),
                    }
                }
                Ok(entry) => self.singles.push((normal(key), entry)),
                Err(error) => self.failures.say(&error),
            }
        }
    }

    /// All entries that the arguments select, from the beginning.
    async fn found(&self) -> Result<Merged> {
        Merged::new(&self.state, self.singles.clone(), &self.patterns).await
    }

    async fn count(&mut self) -> Result<()> {
        let mut found = self.found().await?;
        let mut count: u64 = 0;
        while let Some((key, mut entry)) = found.next().await? {
            if let Entry::Directory(held) = entry
                && held.names.is_none()
                && !self.args.directory
            {
                // An entry in a list does not have the number of names.
                entry = find(&self.state, &key, &self.args).await?;
            }
            count += match entry {
                Entry::Directory(held) if !self.args.directory => match self.args.recursive {
                    true => held.entries,
                    false => held.names.unwrap_or(0),
                },
                _ => 1,
            };
        }
        let line = match self.args.json {
            true => json!({ "count": count }).to_string(),
            false => count.to_string(),
        };
        Ok(self.sink.line(&line)?)
    }

    /// Whether directories have headers: not if there is only one and nothing else.
    async fn has_headers(&self) -> Result<bool> {
        if self.args.json || self.args.recursive {
            return Ok(!self.args.json);
        }
        let (mut found, mut directories) = (self.found().await?, 0);
        while let Some((_, entry)) = found.next().await? {
            match entry {
                Entry::Directory(_) if directories == 0 => directories = 1,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn list(&mut self) -> Result<()> {
        let header = self.has_headers().await?;
        let again = async || {
            let found = Box::new(self.found().await?);
            Ok(Names::Singles(found, self.args.directory))
        };
        let names = again().await?;
        let form = (&self.style, &self.sink);
        let section = Section::measure(names, again, form, self.left).await?;
        let printed = section.print(&self.style, &mut self.sink, self.left);
        let (count, _) = printed.await?;
        self.left -= count;
        if self.args.directory {
            return Ok(());
        }
        let mut first = count == 0 || self.args.json;
        let mut found = self.found().await?;
        while self.left > 0
            && let Some((key, entry)) = found.next().await?
        {
            if !matches!(entry, Entry::Directory(_)) {
                continue;
            }
            let mut levels = Vec::new();
            let mut next = Some(key);
            while let Some(key) = next.take().filter(|_| self.left > 0) {
                match self.section(&key, header, &mut first).await {
                    Ok(below) if self.args.recursive => {
                        levels.push(Level::new(&self.state, key, below).await?);
                    }
                    Ok(_) => {}
                    Err(error) if error.is::<OutputError>() => return Err(error),
                    Err(error) => self.failures.say(&error),
                }
                while let Some(level) = levels.last_mut() {
                    next = level.next().await?;
                    if next.is_some() {
                        break;
                    }
                    levels.pop();
                }
            }
        }
        Ok(())
    }

    /// Prints a directory. Returns the directories in it.
    async fn section(&mut self, key: &str, header: bool, first: &mut bool) -> Result<Below> {
        let again = async || Names::of(&self.state, key, self.left).await;
        let names = again().await?;
        let form = (&self.style, &self.sink);
        let section = Section::measure(names, again, form, self.left).await?;
        if !*first {
            self.sink.line("")?;
        }
        *first = self.args.json;
        if header {
            let header = format!("{}:", self.sink.clean(key));
            self.sink.line(&header)?;
        }
        let (count, below) = section
            .print(&self.style, &mut self.sink, self.left)
            .await?;
        self.left -= count;
        Ok(below)
    }
}

/// The entry that an argument selects. A link is followed only if it leads to a directory and the
/// options ask for its contents.
async fn find(state: &State<'_>, key: &str, args: &LsArgs) -> Result<Entry> {
    let namespace = state.client.namespace(state.namespace);
    let demanded = key.ends_with('.');
    let lookup = async |follow| {
        let mut options = LookupOptions::new().at(state.at.clone()).inline_max(0);
        options.follow = follow;
        let found = namespace.lookup(key, options).await.about(key)?;
        anyhow::Ok(found.entry)
    };
    let missing = || failure(key, ErrorCode::NotFound);
    let entry = lookup(false).await?.ok_or_else(missing)?;
    let entry = match entry {
        Entry::Link(_) if demanded => lookup(true).await?.ok_or_else(missing)?,
        Entry::Link(link) if !args.classify && !args.directory => {
            // A dangling link is still a link.
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
