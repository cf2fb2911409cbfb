//! Scans the journal for one question: does a group contain anything that concerns a watch?
//!
//! A watch that catches up reads far more records than concern it. This scan builds nothing and
//! compares keys in place; only a group that matches is decoded.

use kvs_tree::{Effect, Key, Scope, ScopeSet};

use crate::dispatch::reaches_below;
use crate::error::EngineError;
use crate::state::VersionRecord;
use crate::tokens::Tokens;

/// Most scopes for which keys are compared in place.
const FEW: usize = 8;

/// The scopes that a reader of records looks for.
#[derive(Debug)]
pub(crate) enum Filter {
    /// Scopes with their literal prefix keys; if empty, everything matches.
    Few(Vec<(Scope, Key)>),
    Many(Box<ScopeSet>),
}

impl Filter {
    /// A filter for these scopes; if there are none, everything matches.
    pub(crate) fn new<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Self {
        let scopes: Vec<Scope> = scopes.cloned().collect();
        if scopes.len() > FEW {
            return Self::Many(Box::new(ScopeSet::new(scopes)));
        }
        let few = scopes.into_iter().map(|scope| {
            let prefix = scope.literal_prefix();
            (scope, prefix)
        });
        Self::Few(few.collect())
    }

    fn takes_all(&self) -> bool {
        matches!(self, Self::Few(scopes) if scopes.is_empty())
    }

    /// Whether the record may concern the scopes. Exact for a changed key itself; below a key that
    /// was changed as a whole, a possible match counts.
    pub(crate) fn concerns(&self, record: &VersionRecord) -> bool {
        let one = |effect: &Effect| {
            let (key, below) = (effect.key(), reaches_below(effect));
            match self {
                Self::Few(_) => self.touches(key.as_str().as_bytes(), below),
                Self::Many(scopes) => scopes.touches(key, below),
            }
        };
        self.takes_all() || record.effects().any(one)
    }

    /// Approximate cost of checking a record, in comparisons of a key with a scope.
    pub(crate) fn cost(&self, record: &VersionRecord) -> usize {
        let weight = match self {
            Self::Few(scopes) => scopes.len().max(1),
            Self::Many(scopes) => scopes.weight(),
        };
        let effects = record.transactions.iter().map(|one| one.effects.len());
        effects.sum::<usize>().saturating_mul(weight).max(1)
    }

    fn touches(&self, key: &[u8], below: bool) -> bool {
        let scopes = match self {
            Self::Few(scopes) => scopes,
            Self::Many(scopes) => {
                let key = std::str::from_utf8(key).ok().map(Key::parse);
                let key = key.and_then(Result::ok);
                return key.is_none_or(|key| scopes.touches(&key, below));
            }
        };
        scopes.iter().any(|(scope, prefix)| {
            let prefix = prefix.as_str().as_bytes();
            if below && within(prefix, key) {
                return true;
            }
            match scope {
                Scope::Key(_) => key == prefix,
                Scope::Directory(_) => within(key, prefix),
                Scope::Glob(_) => within(key, prefix) && glob_touches(scope, key, below),
            }
        })
    }
}

/// Whether `key` is `ancestor` or below it.
fn within(key: &[u8], ancestor: &[u8]) -> bool {
    if ancestor == b"." {
        return true;
    }
    match key.strip_prefix(ancestor) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"."),
        None => false,
    }
}

fn glob_touches(scope: &Scope, key: &[u8], below: bool) -> bool {
    let key = std::str::from_utf8(key).ok().map(Key::parse);
    key.and_then(Result::ok)
        .is_none_or(|key| scope.matches(&key) || (below && scope.may_match_below(&key)))
}

/// What a group contains for a namespace and a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skimmed {
    /// The newest version of the namespace in the group.
    pub(crate) newest: Option<u64>,
    /// Whether a version from `from` on may concern the filter.
    pub(crate) concerns: bool,
}

/// Scans a group. `number` is only for the error message.
pub(crate) fn skim(
    number: u64,
    payload: &[u8],
    namespace: &str,
    from: u64,
    filter: &Filter,
) -> Result<Skimmed, EngineError> {
    let mut tokens = Tokens::new(payload);
    group(&mut tokens, namespace.as_bytes(), from, filter)
        .filter(|_| tokens.is_done())
        .ok_or_else(|| EngineError::corrupt(format!("journal group {number} does not decode")))
}

/// A group: age, time, epoch, records.
fn group(tokens: &mut Tokens<'_>, namespace: &[u8], from: u64, filter: &Filter) -> Option<Skimmed> {
    let mut found = Skimmed::default();
    tokens.array_of(4)?;
    tokens.skip(3)?;
    for _ in 0..tokens.array()? {
        if tokens.variant()? != b"V" {
            tokens.skip(1)?;
            continue;
        }
        // A version: namespace, incarnation, version, root, time, stamp, transactions.
        tokens.array_of(7)?;
        let name = tokens.text()?;
        tokens.skip(1)?;
        let version = tokens.uint()?;
        let own = name == namespace;
        if own {
            found.newest = Some(version);
        }
        if !own || version < from || found.concerns {
            tokens.skip(4)?;
            continue;
        }
        tokens.skip(3)?;
        found.concerns |= filter.takes_all();
        for _ in 0..tokens.array()? {
            // A transaction: user, client, number, acknowledged, name, results, operations,
            // effects.
            tokens.array_of(8)?;
            tokens.skip(7)?;
            for _ in 0..tokens.array()? {
                let (key, below) = effect(tokens)?;
                found.concerns = found.concerns || filter.touches(key, below);
            }
        }
    }
    Some(found)
}

/// The key of an effect, and whether the effect may reach below it.
fn effect<'a>(tokens: &mut Tokens<'a>) -> Option<(&'a [u8], bool)> {
    // Number of fields, fields before the key, and whether the effect reaches below; `None` if the
    // last field says so.
    let (fields, before, below) = match tokens.variant()? {
        b"p" | b"g" => (3, 0, None),
        b"s" => (4, 0, None),
        b"u" | b"m" => (2, 0, None),
        b"a" => (2, 0, Some(false)),
        b"l" => (3, 0, Some(true)),
        b"c" => (3, 1, Some(true)),
        _ => return None,
    };
    tokens.array_of(fields)?;
    tokens.skip(before)?;
    let key = tokens.text()?;
    tokens.skip(fields - before - 2)?;
    let last = match below {
        Some(below) => tokens.skip(1).map(|()| below),
        None => tokens.bool(),
    };
    Some((key, last?))
}

#[cfg(test)]
mod tests {
    use crate::request::Principal;
    use std::sync::Arc;

    use bytes::Bytes;
    use kvs_tree::{Blobref, HashAlgorithm, Stats, Symlink};

    use super::*;
    use crate::state::{Group, Record, TransactionRecord};

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn group(version: u64, effects: Vec<Effect>) -> Group {
        let transaction = TransactionRecord {
            principal: Principal::Uid(1),
            client: [7; 16],
            number: 1,
            acknowledged: 0,
            name: Some("n".into()),
            results: vec![kvs_tree::OperationResult::Added(3)],
            operations: 1,
            effects,
        };
        let record = VersionRecord {
            namespace: "primary".into(),
            incarnation: 5,
            version,
            root: Blobref::of(HashAlgorithm::Blake3, b""),
            time_ms: 3,
            stamp: 4,
            transactions: vec![transaction],
        };
        Group {
            age_ms: 2,
            time_ms: 3,
            epoch: 1,
            records: vec![
                Record::Unpinned { id: 3, cause: None },
                Record::Shared {
                    namespace: "x".into(),
                    principal: Principal::Uid(1),
                },
                Record::Given {
                    namespace: "x".into(),
                    incarnation: 4,
                    owner: Principal::Uid(2),
                    before: Principal::Uid(1),
                },
                Record::Removed {
                    namespace: "x".into(),
                    incarnation: 4,
                    owner: Principal::Uid(2),
                    readers: [1, 3].map(Principal::Uid).into(),
                },
                Record::Version(Arc::new(record)),
            ],
        }
    }

    #[test]
    fn every_kind_of_effect_is_walked_over_as_the_decoder_sees_it() {
        let blobref = Blobref::of(HashAlgorithm::Blake3, b"v");
        let at = || key("a.b");
        let (value, target) = (
            Bytes::from_static(b"v"),
            Symlink {
                namespace: None,
                target: "t".into(),
            },
        );
        let effects = |subtree| {
            vec![
                Effect::Put {
                    key: at(),
                    value: value.clone(),
                    subtree,
                },
                Effect::PutStored {
                    key: at(),
                    len: 9,
                    blobref,
                    subtree,
                },
                Effect::Append {
                    key: at(),
                    value: value.clone(),
                },
                Effect::Unlink { key: at(), subtree },
                Effect::Mkdir { key: at(), subtree },
                Effect::Link {
                    key: at(),
                    target: target.clone(),
                    subtree,
                },
                Effect::Copy {
                    from: key("q"),
                    to: at(),
                    subtree,
                },
                Effect::Graft {
                    key: at(),
                    entry: kvs_tree::GraftEntry {
                        blobref,
                        stats: Stats {
                            entries: 1,
                            bytes: 1,
                            depth: 1,
                        },
                    },
                    subtree,
                },
            ]
        };
        let scopes = ["a.b", "a", "a.*", "b", "a.b.c", "a.b.*", "**.c", "q", "."];
        for effect in effects(false).into_iter().chain(effects(true)) {
            for scope in scopes.iter().map(|s| Scope::parse(s).unwrap()) {
                let filter = Filter::new([&scope].into_iter());
                let group = group(4, vec![effect.clone()]);
                let Some(Record::Version(record)) = group.records.last() else {
                    panic!()
                };
                let skimmed = skim(1, &group.encode().unwrap(), "primary", 1, &filter).unwrap();
                assert_eq!(skimmed.newest, Some(4));
                assert_eq!(
                    skimmed.concerns,
                    filter.concerns(record),
                    "{effect:?} {scope}"
                );
                let below = reaches_below(&effect) && scope.may_match_below(effect.key());
                let wanted = scope.matches(effect.key()) || below;
                // For patterns, false positives are allowed, false negatives are not.
                assert!(skimmed.concerns || !wanted, "{effect:?} {scope}");
                let exact = !matches!(scope, Scope::Glob(_));
                assert!(!exact || skimmed.concerns == wanted, "{effect:?} {scope}");
            }
        }
    }

    #[test]
    fn other_namespaces_and_older_versions_do_not_concern() {
        let payload = group(
            4,
            vec![Effect::Mkdir {
                key: key("a"),
                subtree: false,
            }],
        )
        .encode()
        .unwrap();
        let all = Filter::new([].into_iter());
        let other = skim(1, &payload, "other", 1, &all).unwrap();
        assert_eq!(other, Skimmed::default());
        assert!(skim(1, &payload, "primary", 4, &all).unwrap().concerns);
        assert!(!skim(1, &payload, "primary", 5, &all).unwrap().concerns);
    }
}
