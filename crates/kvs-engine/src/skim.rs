//! Reading the journal for one question only: does this group hold anything that concerns a watch?
//!
//! A watch that was away reads far more records than concern it. Here a group is walked over with
//! nothing built but the keys, borrowed from the payload; only a group that answers yes is decoded.

use kvs_tree::{Effect, Key, Scope};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dispatch::reaches_below;
use crate::error::EngineError;
use crate::limits::RECORD_DEPTH;
use crate::record::VersionRecord;

/// The scopes that a reader of records looks for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    scopes: Vec<(Scope, Key)>,
}

impl Filter {
    /// A filter for these scopes; none: everything.
    pub(crate) fn new<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Self {
        let scopes = scopes.map(|scope| (scope.clone(), scope.literal_prefix()));
        Self {
            scopes: scopes.collect(),
        }
    }

    /// Whether the record may concern the scopes: exact for keys, and for what lies below a key that
    /// was changed as a whole, possible.
    pub(crate) fn concerns(&self, record: &VersionRecord) -> bool {
        let one = |effect: &Effect| self.touches(effect.key().as_str(), reaches_below(effect));
        self.scopes.is_empty() || record.effects().any(one)
    }

    fn touches(&self, key: &str, below: bool) -> bool {
        self.scopes.iter().any(|(scope, prefix)| {
            let prefix = prefix.as_str();
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

/// Whether the key with this text is `ancestor` or lies below it.
fn within(key: &str, ancestor: &str) -> bool {
    if ancestor == "." {
        return true;
    }
    match key.strip_prefix(ancestor) {
        Some(rest) => rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

fn glob_touches(scope: &Scope, key: &str, below: bool) -> bool {
    Key::parse(key).map_or(true, |key| {
        scope.matches(&key) || (below && scope.may_match_below(&key))
    })
}

#[derive(Deserialize)]
struct SkimGroup<'a>(IgnoredAny, #[serde(borrow)] Vec<SkimRecord<'a>>);

#[derive(Deserialize)]
enum SkimRecord<'a> {
    #[serde(rename = "V", borrow)]
    Version(SkimVersion<'a>),
    #[serde(rename = "C")]
    Created(IgnoredAny),
    #[serde(rename = "R")]
    Removed(IgnoredAny),
    #[serde(rename = "I")]
    Reincarnated(IgnoredAny),
    #[serde(rename = "P")]
    Pinned(IgnoredAny),
    #[serde(rename = "F")]
    Forked(IgnoredAny),
    #[serde(rename = "S")]
    Shared(IgnoredAny),
    #[serde(rename = "W")]
    Withdrawn(IgnoredAny),
    #[serde(rename = "O")]
    Given(IgnoredAny),
    #[serde(rename = "U")]
    Unpinned(IgnoredAny),
    #[serde(rename = "K")]
    PackAdded(IgnoredAny),
}

/// Namespace, incarnation, version, root, time, transactions.
#[derive(Deserialize)]
struct SkimVersion<'a>(
    &'a str,
    IgnoredAny,
    u64,
    IgnoredAny,
    IgnoredAny,
    #[serde(borrow)] Vec<SkimTransaction<'a>>,
);

/// User, client, number, acknowledged, name, results, operations, effects.
#[derive(Deserialize)]
struct SkimTransaction<'a>(
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
    #[serde(borrow)] Vec<SkimEffect<'a>>,
);

#[derive(Deserialize)]
enum SkimEffect<'a> {
    #[serde(rename = "p")]
    Put(&'a str, IgnoredAny, bool),
    #[serde(rename = "s")]
    PutStored(&'a str, IgnoredAny, IgnoredAny, bool),
    #[serde(rename = "a")]
    Append(&'a str, IgnoredAny),
    #[serde(rename = "u")]
    Unlink(&'a str, bool),
    #[serde(rename = "m")]
    Mkdir(&'a str, bool),
    #[serde(rename = "l")]
    Link(&'a str, IgnoredAny, IgnoredAny),
    #[serde(rename = "c")]
    Copy(IgnoredAny, &'a str, IgnoredAny),
    #[serde(rename = "g")]
    Graft(&'a str, IgnoredAny, bool),
}

impl SkimEffect<'_> {
    fn parts(&self) -> (&str, bool) {
        match self {
            SkimEffect::Put(key, _, below)
            | SkimEffect::PutStored(key, _, _, below)
            | SkimEffect::Unlink(key, below)
            | SkimEffect::Mkdir(key, below)
            | SkimEffect::Graft(key, _, below) => (key, *below),
            SkimEffect::Append(key, _) => (key, false),
            SkimEffect::Link(key, ..) | SkimEffect::Copy(_, key, _) => (key, true),
        }
    }
}

/// What a group holds for a namespace and a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Skimmed {
    /// The newest version of the namespace in it.
    pub(crate) newest: Option<u64>,
    /// Whether one of `from` or later may concern the filter.
    pub(crate) concerns: bool,
}

/// Walks over a group. `number` only names it in the error.
pub(crate) fn skim(
    number: u64,
    payload: &[u8],
    namespace: &str,
    from: u64,
    filter: &Filter,
) -> Result<Skimmed, EngineError> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(payload);
    decoder.set_max_depth(RECORD_DEPTH);
    let SkimGroup(_, records) = SkimGroup::deserialize(&mut decoder).map_err(|e| {
        EngineError::corrupt(format!("journal group {number} does not decode: {e}"))
    })?;
    let mut found = Skimmed::default();
    for record in &records {
        let SkimRecord::Version(SkimVersion(name, _, version, _, _, transactions)) = record else {
            continue;
        };
        if *name != namespace {
            continue;
        }
        found.newest = Some(*version);
        if *version < from || found.concerns {
            continue;
        }
        let mut effects = transactions
            .iter()
            .flat_map(|t| &t.7)
            .map(SkimEffect::parts);
        found.concerns =
            filter.scopes.is_empty() || effects.any(|(key, below)| filter.touches(key, below));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use kvs_tree::{Blobref, HashAlgorithm, Stats, Symlink};

    use super::*;
    use crate::record::{Group, Record, TransactionRecord};

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn group(version: u64, effects: Vec<Effect>) -> Group {
        let transaction = TransactionRecord {
            uid: 1,
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
            transactions: vec![transaction],
        };
        Group {
            time_ms: 3,
            records: vec![
                Record::Unpinned { id: 3 },
                Record::Shared {
                    namespace: "x".into(),
                    uid: 1,
                },
                Record::Given {
                    namespace: "x".into(),
                    incarnation: 4,
                    owner: 2,
                    before: 1,
                },
                Record::Removed {
                    namespace: "x".into(),
                    incarnation: 4,
                    owner: 2,
                    readers: [1, 3].into(),
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
                // May say yes too often for patterns, never too rarely.
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
