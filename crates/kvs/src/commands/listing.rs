//! Lists a directory page by page, all pages from one state, under the key that was typed.
//!
//! A directory reached through a link is listed under the key of the link, although the daemon
//! names its entries by other keys.

use anyhow::Result;
use kvs_client::{
    At, Client, ClientError, Entry, ListEntry, ListOptions, Scope, ScopeKind, ValueInfo,
    ValueReader,
};

use super::key::{join, normal};
use super::value::Place;

/// A directory that is being listed.
#[derive(Debug)]
pub(crate) struct Listing {
    client: Client,
    shown: String,
    place: Place,
    options: ListOptions,
    page: std::vec::IntoIter<ListEntry>,
    more: bool,
}

/// One entry of a directory.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The key as shown: below the key that was typed.
    pub(crate) key: String,
    /// Where the entry is read.
    pub(crate) place: Place,
    pub(crate) entry: Entry,
}

impl Listed {
    /// Reads the first `end` bytes of the value.
    pub(crate) fn reader(&self, client: &Client, value: &ValueInfo, end: u64) -> ValueReader {
        match &value.bytes {
            Some(bytes) => ValueReader::of_bytes(client, bytes.clone()),
            None => self.place.reader(client, 0, end),
        }
    }
}

impl Listing {
    /// Reads the first page, which fixes the state.
    pub(crate) async fn open(
        client: &Client,
        namespace: &str,
        key: &str,
        mut options: ListOptions,
    ) -> Result<Self, ClientError> {
        options.bounded = true;
        let first = client
            .namespace(namespace)
            .list(key, options.clone())
            .await?;
        let place = Place::new(&first.namespace, &first.key, &first.snapshot, &options.at);
        options.at = place.at.clone();
        options.after = first.next.clone();
        Ok(Self {
            client: client.clone(),
            shown: normal(key),
            place,
            options,
            more: first.more,
            page: first.entries.into_iter(),
        })
    }

    /// Reads the first page of the entries that match a pattern, in any directory.
    pub(crate) async fn matching(
        client: &Client,
        namespace: &str,
        pattern: &str,
        options: ListOptions,
    ) -> Result<Self, ClientError> {
        let scope = Scope {
            kind: ScopeKind::Glob,
            text: pattern.into(),
        };
        let mut options = options;
        (options.recursive, options.scope) = (true, Some(scope));
        Self::open(client, namespace, ".", options).await
    }

    /// The state that is listed.
    pub(crate) fn at(&self) -> At {
        self.place.at.clone()
    }

    /// The next entry, in order; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Listed>, ClientError> {
        loop {
            if let Some(found) = self.page.next() {
                let place = Place {
                    key: found.key.to_string(),
                    ..self.place.clone()
                };
                let below = below(&found.key, &self.place.key);
                return Ok(Some(Listed {
                    key: join(&self.shown, below),
                    place,
                    entry: found.entry,
                }));
            }
            if !self.more {
                return Ok(None);
            }
            let namespace = self.client.namespace(self.place.namespace.as_str());
            let page = namespace
                .list(self.place.key.as_str(), self.options.clone())
                .await?;
            // A page that does not advance would repeat forever.
            self.more = page.more && page.next.is_some() && page.next != self.options.after;
            self.options.after = page.next;
            self.page = page.entries.into_iter();
        }
    }
}

/// Whether a text that is not an existing key may be a pattern.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Fixes the state that a command reads, so that all of its output is of one state.
pub(crate) async fn fixed(client: &Client, namespace: &str, at: At) -> Result<At, ClientError> {
    match at {
        At::Current | At::Version(_) => {
            let info = client.namespace(namespace).info(at.clone()).await?;
            Ok(if info.snapshot.is_empty() {
                at
            } else {
                At::Snapshot(info.snapshot)
            })
        }
        already => Ok(already),
    }
}

/// The part of a key below a directory that contains it.
fn below<'k>(key: &'k str, directory: &str) -> &'k str {
    let rest = key
        .strip_prefix(directory)
        .and_then(|rest| rest.strip_prefix('.'));
    if directory == "." {
        key
    } else {
        rest.unwrap_or(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_below_their_directory() {
        assert_eq!(below("a.b.c", "a"), "b.c");
        assert_eq!(below("a.b.c", "."), "a.b.c");
    }
}
