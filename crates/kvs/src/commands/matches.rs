//! What the arguments of `ls` and `dir` stand for: a key for what is there, a pattern for all that
//! it matches. Memory holds the arguments and a page of each pattern, however much those match.

use std::cmp::Ordering;

use anyhow::Result;
use kvs_client::{At, Client, Entry, ErrorCode, ListOptions};

use super::failure::{About as _, failure_as};
use super::listing::{Listed, Listing};

/// A state in which patterns are looked for.
#[derive(Debug, Clone)]
pub(super) struct State<'c> {
    pub(super) client: &'c Client,
    pub(super) namespace: &'c str,
    /// One state, also if it is read again.
    pub(super) at: At,
    /// Values up to this size come with their entries; `None`: as the daemon likes.
    pub(super) inline_max: Option<u64>,
}

impl State<'_> {
    /// All that a pattern matches, at least one entry.
    pub(super) async fn matches(&self, pattern: &str) -> Result<Matches> {
        let mut options = ListOptions::new().at(self.at.clone());
        options.inline_max = self.inline_max;
        let listing = Listing::matching(self.client, self.namespace, pattern, options);
        let mut matches = Matches {
            pattern: pattern.to_owned(),
            listing: listing.await.about(pattern)?,
            first: None,
        };
        matches.first = matches.advance().await?;
        match matches.first {
            Some(_) => Ok(matches),
            None => Err(failure_as(pattern, ErrorCode::NotFound, "no key matches")),
        }
    }
}

/// All that one pattern matches, in the order of keys.
#[derive(Debug)]
pub(super) struct Matches {
    pattern: String,
    listing: Listing,
    first: Option<Listed>,
}

impl Matches {
    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<Listed>> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.advance().await,
        }
    }

    async fn advance(&mut self) -> Result<Option<Listed>> {
        self.listing.next().await.about(&self.pattern)
    }
}

/// All that several arguments stand for, in the order of keys.
#[derive(Debug)]
pub(super) struct Merged {
    /// What single keys stand for, the next one last.
    singles: Vec<(String, Entry)>,
    patterns: Vec<Matches>,
}

impl Merged {
    /// Merges what keys stand for with what patterns match.
    pub(super) async fn new(
        state: &State<'_>,
        mut singles: Vec<(String, Entry)>,
        patterns: &[String],
    ) -> Result<Self> {
        singles.sort_by(|(one, _), (other, _)| by_names(other, one));
        let mut merged = Self {
            singles,
            patterns: Vec::new(),
        };
        for pattern in patterns {
            merged.patterns.push(state.matches(pattern).await?);
        }
        Ok(merged)
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<(String, Entry)>> {
        let mut least: Option<&mut Matches> = None;
        for pattern in &mut self.patterns {
            let Some(first) = &pattern.first else {
                continue;
            };
            let least_key = least.as_ref().and_then(|least| least.first.as_ref());
            if least_key.is_none_or(|least| by_names(&first.key, &least.key).is_lt()) {
                least = Some(pattern);
            }
        }
        let single = self.singles.last().map(|(key, _)| key);
        if let Some(pattern) = least
            && let Some(first) = &pattern.first
            && single.is_none_or(|single| by_names(&first.key, single).is_lt())
        {
            let next = pattern.advance().await?;
            let found = std::mem::replace(&mut pattern.first, next);
            return Ok(found.map(|found| (found.key, found.entry)));
        }
        Ok(self.singles.pop())
    }
}

/// The order of keys: name by name.
pub(super) fn by_names(one: &str, other: &str) -> Ordering {
    one.split('.').cmp(other.split('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_names() {
        assert!(by_names("a.b", "a-b").is_lt());
        assert!(by_names("a", "a.b").is_lt());
        assert!(by_names(".", "a").is_lt());
    }
}
