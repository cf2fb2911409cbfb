//! The entries that arguments of `ls` and `dir` select: a key itself, or all matches of a pattern.
//! Memory holds the arguments and one page for each pattern, whatever the number of matches.

use std::cmp::Ordering;

use anyhow::Result;
use kvs_client::{At, Client, Entry, ErrorCode, ListOptions};

use super::failure::{About as _, failure_as};
use super::listing::{Listed, Listing};

/// The state in which patterns are matched.
#[derive(Debug, Clone)]
pub(super) struct State<'c> {
    pub(super) client: &'c Client,
    pub(super) namespace: &'c str,
    /// One fixed state, however often it is read.
    pub(super) at: At,
    /// Largest value that is listed inline; `None` for the daemon's default.
    pub(super) inline_max: Option<u64>,
}

impl State<'_> {
    /// All matches of a pattern. It is an error if there are none.
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

/// The matches of one pattern, in key order.
#[derive(Debug)]
pub(super) struct Matches {
    pattern: String,
    listing: Listing,
    first: Option<Listed>,
}

impl Matches {
    /// The next match.
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

/// The matches of several arguments, merged in key order.
#[derive(Debug)]
pub(super) struct Merged {
    /// Entries of single keys in reverse order.
    singles: Vec<(String, Entry)>,
    patterns: Vec<Matches>,
}

impl Merged {
    /// Merges the entries of single keys with the matches of patterns.
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

    /// The next entry.
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

/// Key order: name by name.
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
