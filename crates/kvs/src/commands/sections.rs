//! Sections of `kvs ls`: the names of one directory, or of everything that is not one, in columns
//! as wide as the longest. Memory holds the names of a small section; a large one is read twice,
//! first for the longest name, then to print.

use anyhow::Result;
use kvs_client::{Entry, ListOptions};
use kvs_proto::PAGE_ENTRIES;

use super::failure::About as _;
use super::key::join;
use super::listing::Listing;
use super::matches::{Merged, State};
use super::value::link_text;
use crate::limits::{LS_BELOW_BYTES, LS_BELOW_PAGE, LS_HELD_BYTES};
use crate::output::{Columns, EntryJson, Sink};

/// How the options format names.
pub(super) struct Style {
    pub(super) classify: bool,
    pub(super) width: Option<usize>,
    pub(super) json: bool,
}

impl Style {
    /// The name as shown; with `--json` the line of the entry.
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
            // The root already ends in a dot.
            Entry::Directory(_) if self.classify && name != "." => format!("{name}."),
            Entry::Link(_) if self.classify => format!("{name}@"),
            _ => name.to_owned(),
        })
    }

    /// Whether each name is on its own line, so that column widths do not matter.
    pub(super) fn is_one_a_line(&self) -> bool {
        self.json || self.width == Some(1)
    }
}

/// A source of names.
pub(super) enum Names {
    /// The names in the directory with this key.
    Of(String, Box<Listing>),
    /// Entries that are not directories; with `-d`, all arguments.
    Singles(Box<Merged>, bool),
}

impl Names {
    /// Opens a directory and reads its first page.
    pub(super) async fn of(state: &State<'_>, key: &str, most: u64) -> Result<Self> {
        let options = ListOptions::new()
            .at(state.at.clone())
            .limit(most.min(PAGE_ENTRIES))
            .inline_max(0);
        let listing = Listing::open(state.client, state.namespace, key, options);
        Ok(Self::Of(
            key.to_owned(),
            Box::new(listing.await.about(key)?),
        ))
    }

    /// The next name as shown; for a directory, also its plain name.
    async fn next(&mut self, style: &Style) -> Result<Option<(String, Option<String>)>> {
        match self {
            Self::Of(key, listing) => {
                let Some(listed) = listing.next().await.about(key)? else {
                    return Ok(None);
                };
                let name = listed.key.rsplit('.').next().unwrap_or_default();
                let shown = style.name(&listed.key, name, &listed.entry)?;
                let is_directory = matches!(listed.entry, Entry::Directory(_));
                Ok(Some((shown, is_directory.then(|| name.to_owned()))))
            }
            Self::Singles(merged, directories) => {
                while let Some((key, entry)) = merged.next().await? {
                    if *directories || !matches!(entry, Entry::Directory(_)) {
                        return Ok(Some((style.name(&key, &key, &entry)?, None)));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// A section that is ready to be printed.
pub(super) struct Section {
    /// Buffered names; in a small section, all of them.
    held: Vec<(String, Option<String>)>,
    /// Characters of the longest name.
    longest: usize,
    /// Source of the names that are not buffered.
    rest: Option<Names>,
}

impl Section {
    /// Finds the column width. `again` opens the same names a second time.
    pub(super) async fn measure(
        mut names: Names,
        again: impl AsyncFnOnce() -> Result<Names>,
        (style, sink): (&Style, &Sink),
        most: u64,
    ) -> Result<Self> {
        let mut section = Self {
            held: Vec::new(),
            longest: 0,
            rest: None,
        };
        if style.is_one_a_line() {
            section.rest = Some(names);
            return Ok(section);
        }
        let (mut count, mut bytes) = (0, 0);
        while count < most
            && let Some(name) = names.next(style).await?
        {
            count += 1;
            let length = sink.clean(&name.0).chars().count();
            section.longest = section.longest.max(length);
            bytes += name.0.len();
            if bytes <= LS_HELD_BYTES {
                section.held.push(name);
            }
        }
        if bytes > LS_HELD_BYTES {
            section.held = Vec::new();
            section.rest = Some(again().await?);
        }
        Ok(section)
    }

    /// Prints at most `most` names. Returns how many it printed, and the directories among them.
    pub(super) async fn print(
        self,
        style: &Style,
        sink: &mut Sink,
        most: u64,
    ) -> Result<(u64, Below)> {
        let mut columns = Columns::new(self.longest, style.width);
        let (mut count, mut below, mut out) = (0, Below::default(), String::new());
        let mut held = self.held.into_iter();
        let mut rest = self.rest;
        while count < most {
            let next = match (held.next(), &mut rest) {
                (Some(name), _) => Some(name),
                (None, Some(rest)) => rest.next(style).await?,
                (None, None) => None,
            };
            let Some((shown, directory)) = next else {
                break;
            };
            count += 1;
            if style.json {
                sink.line(&shown)?;
            } else {
                columns.name(&sink.clean(&shown), &mut out);
                sink.text(&out)?;
                out.clear();
            }
            if let Some(name) = directory {
                below.add(name);
            }
        }
        if !style.json {
            columns.finish(&mut out);
            sink.text(&out)?;
        }
        Ok((count, below))
    }
}

/// The directories in a directory: their names if they are few, else only their number.
#[derive(Debug, Default)]
pub(super) struct Below {
    names: Vec<String>,
    bytes: usize,
    count: u64,
}

impl Below {
    fn add(&mut self, name: String) {
        self.count += 1;
        self.bytes += name.len();
        if self.bytes <= LS_BELOW_BYTES {
            self.names.push(name);
        } else {
            self.names = Vec::new();
        }
    }
}

/// The directories below one that are still to be listed.
pub(super) struct Level {
    key: String,
    names: std::vec::IntoIter<String>,
    listing: Option<Listing>,
    left: u64,
}

impl Level {
    /// Takes the directories found in `key`; if they are many, reads them again.
    pub(super) async fn new(state: &State<'_>, key: String, below: Below) -> Result<Self> {
        let mut listing = None;
        if below.bytes > LS_BELOW_BYTES {
            let options = ListOptions::new().at(state.at.clone());
            let options = options.limit(LS_BELOW_PAGE).inline_max(0);
            let open = Listing::open(state.client, state.namespace, &key, options);
            listing = Some(open.await.about(&key)?);
        }
        Ok(Self {
            key,
            names: below.names.into_iter(),
            listing,
            left: below.count,
        })
    }

    /// The key of the next directory.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Some(listing) = &mut self.listing else {
            return Ok(self.names.next().map(|name| join(&self.key, &name)));
        };
        while let Some(listed) = listing.next().await.about(&self.key)? {
            if let Entry::Directory(_) = listed.entry {
                return Ok(Some(listed.key));
            }
        }
        Ok(None)
    }
}
