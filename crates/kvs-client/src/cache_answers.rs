//! What was answered for keys of the newest state of a namespace, as long as it holds.
//!
//! A commit changes the directories above its keys, up to the root, so that the way to every other
//! key changes, too; but what stands there does not. Each answer is kept together with the keys
//! that it rests on: the links on the way, and the key behind them. A move of the root drops the
//! answers that rest on a key which it touched, or on one above or below it.

use crate::cache::{Found, Way};
use crate::limits::{ANSWER_BYTES, CACHED_VALUE_SHARE};
use bytes::Bytes;
use kvs_proto::Position;
use kvs_tree::Key;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap};

/// About what an answer takes beside its keys and its value, in bytes.
const OVERHEAD_BYTES: usize = 256;

/// Answers in two generations: when the younger has its share of the bytes it becomes the older,
/// and what nobody has asked for since the last time goes.
#[derive(Debug, Default)]
pub(crate) struct AnswerCache {
    /// Of the state in which all of them hold.
    position: Option<Position>,
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    /// By the key as it was asked for.
    answers: HashMap<SmolStr, Answer>,
    /// Which answers rest on a key.
    resting: BTreeMap<Key, Vec<SmolStr>>,
    bytes: usize,
}

#[derive(Debug)]
struct Answer {
    found: Found,
    rests_on: Vec<Key>,
    bytes: usize,
}

impl AnswerCache {
    /// What is at a key of the state at a position.
    pub(crate) fn get(&mut self, at: Position, key: &str) -> Option<Found> {
        if self.position != Some(at) {
            return None;
        }
        if let Some(answer) = self.young.answers.get(key) {
            return Some(answer.found.clone());
        }
        let answer = self.old.remove(key)?;
        let found = answer.found.clone();
        self.add(key.into(), answer);
        Some(found)
    }

    /// Keeps an answer that was found in the state at a position, if that is still the newest.
    pub(crate) fn put(&mut self, at: Position, key: SmolStr, found: &Found, way: Way) {
        let found = match found {
            Found::Ask => return,
            // A short value is a part of its node, which it must not keep in memory.
            Found::Value(bytes) => Found::Value(Bytes::copy_from_slice(bytes)),
            Found::Absent | Found::Directory => found.clone(),
        };
        let value = match &found {
            Found::Value(bytes) => bytes.len(),
            _ => 0,
        };
        if self.position != Some(at) || value > ANSWER_BYTES / CACHED_VALUE_SHARE as usize {
            return;
        }
        let mut rests_on = way.links;
        rests_on.push(way.key);
        let keys: usize = rests_on.iter().map(|key| key.as_str().len()).sum();
        let bytes = OVERHEAD_BYTES + 2 * (key.len() + keys) + value;
        self.old.remove(&key);
        self.young.remove(&key);
        let answer = Answer {
            found,
            rests_on,
            bytes,
        };
        self.add(key, answer);
    }

    fn add(&mut self, key: SmolStr, answer: Answer) {
        self.young.add(key, answer);
        if self.young.bytes > ANSWER_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Goes on to the next version, which touched these keys.
    pub(crate) fn advance(&mut self, to: Position, touched: impl IntoIterator<Item = Key>) {
        for key in touched {
            self.young.touch(&key);
            self.old.touch(&key);
        }
        self.position = Some(to);
    }

    /// Forgets everything, and goes on from a state of which it is not known what it changed.
    pub(crate) fn restart(&mut self, at: Position) {
        *self = AnswerCache {
            position: Some(at),
            ..AnswerCache::default()
        };
    }
}

impl Generation {
    fn add(&mut self, key: SmolStr, answer: Answer) {
        for place in &answer.rests_on {
            let resting = self.resting.entry(place.clone()).or_default();
            resting.push(key.clone());
        }
        self.bytes += answer.bytes;
        self.answers.insert(key, answer);
    }

    fn remove(&mut self, key: &str) -> Option<Answer> {
        let answer = self.answers.remove(key)?;
        self.bytes -= answer.bytes;
        for place in &answer.rests_on {
            if let Some(resting) = self.resting.get_mut(place) {
                resting.retain(|other| other != key);
                if resting.is_empty() {
                    self.resting.remove(place);
                }
            }
        }
        Some(answer)
    }

    /// Drops the answers that rest on this key, or on one above or below it.
    fn touch(&mut self, key: &Key) {
        if self.answers.is_empty() {
            return;
        }
        let above = (0..key.depth()).filter_map(|count| self.resting.get(&key.prefix(count)));
        let below = self
            .resting
            .range(key..)
            .take_while(|(place, _)| place.starts_with(key))
            .map(|(_, resting)| resting);
        let touched: Vec<SmolStr> = above.chain(below).flatten().cloned().collect();
        for key in touched {
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn at(version: u64) -> Position {
        Position {
            incarnation: 1,
            version,
        }
    }

    fn way(links: &[&str], to: &str) -> Way {
        Way {
            key: key(to),
            links: links.iter().map(|link| key(link)).collect(),
        }
    }

    fn value() -> Found {
        Found::Value(Bytes::from_static(b"v"))
    }

    #[test]
    fn an_answer_holds_until_something_that_it_rests_on_is_touched() {
        for (touched, holds) in [
            ("a.b.c", false),
            ("a.b", false),
            (".", false),
            ("a.b.c.d", false),
            ("l", false),
            ("l.x", false),
            ("a.b.d", true),
            ("a.bb", true),
            ("m", true),
        ] {
            let mut memo = AnswerCache::default();
            memo.restart(at(1));
            memo.put(at(1), "l.c".into(), &value(), way(&["l"], "a.b.c"));
            memo.advance(at(2), [key(touched)]);
            assert_eq!(memo.get(at(2), "l.c").is_some(), holds, "{touched}");
            assert_eq!(memo.young.resting.len(), if holds { 2 } else { 0 });
            assert_eq!(memo.young.bytes == 0, !holds);
        }
    }

    #[test]
    fn answers_are_of_one_state_only() {
        let mut memo = AnswerCache::default();
        memo.put(at(1), "a".into(), &value(), way(&[], "a"));
        assert_eq!(memo.get(at(1), "a"), None);
        memo.restart(at(1));
        memo.put(at(0), "a".into(), &value(), way(&[], "a"));
        assert_eq!(memo.get(at(1), "a"), None);
        memo.put(at(1), "a".into(), &value(), way(&[], "a"));
        assert_eq!(memo.get(at(1), "a"), Some(value()));
        assert_eq!(memo.get(at(2), "a"), None);
        memo.restart(at(1));
        assert_eq!(memo.get(at(1), "a"), None);
    }

    #[test]
    fn what_is_not_asked_for_goes_and_the_rest_stays_within_its_bytes() {
        let mut memo = AnswerCache::default();
        memo.restart(at(1));
        memo.put(at(1), "kept".into(), &value(), way(&[], "kept"));
        memo.put(at(1), "gone".into(), &value(), way(&[], "gone"));
        for n in 0..100_000 {
            let name = format!("k{n}");
            memo.put(at(1), name.as_str().into(), &value(), way(&[], &name));
            assert_eq!(memo.get(at(1), "kept"), Some(value()));
            assert!(memo.young.bytes + memo.old.bytes <= ANSWER_BYTES + 1000);
        }
        assert_eq!(memo.get(at(1), "gone"), None);
        let long = Found::Value(vec![0; ANSWER_BYTES].into());
        memo.put(at(1), "long".into(), &long, way(&[], "long"));
        assert_eq!(memo.get(at(1), "long"), None);
    }
}
