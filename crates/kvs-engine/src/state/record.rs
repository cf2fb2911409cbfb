//! The contents of a journal group. Each record has everything that replay needs: replay evaluates
//! no links, conditions, rights or clocks. Stored as MessagePack arrays (RFC 0004).

use std::collections::BTreeSet;
use std::sync::Arc;

use kvs_tree::{Blobref, Effect, OperationResult, Stats};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::sixteen_bytes;
use super::terms::Terms;
use crate::epoch::Epoch;
use crate::error::EngineError;
use crate::pack::PackId;
use crate::past::GroupInfo;
use crate::request::{Pin, Principal, TransactionId};
use crate::whole_value;

/// One transaction of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionRecord {
    /// The user who committed it.
    pub principal: Principal,
    /// The client that sent it.
    #[serde(with = "sixteen_bytes")]
    pub client: [u8; 16],
    /// Its number among that client's transactions.
    pub number: u64,
    /// All lower numbers of that client were answered.
    pub acknowledged: u64,
    /// The name that the client gave it, if any.
    pub name: Option<SmolStr>,
    /// One result for each operation; empty if all `operations` results are `Done`.
    pub results: Vec<OperationResult>,
    /// How many operations it had.
    pub operations: u32,
    /// What it did, with links resolved.
    pub effects: Vec<Effect>,
}

impl TransactionRecord {
    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        TransactionId {
            client: self.client,
            number: self.number,
        }
    }
}

/// One version of one namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The namespace.
    pub namespace: SmolStr,
    /// Its incarnation.
    pub incarnation: u64,
    /// The version that this record makes.
    pub version: u64,
    /// The root after it; replay must arrive at the same.
    pub root: Blobref,
    /// The wall clock as read, in milliseconds since 1970. May run backwards.
    pub time_ms: u64,
    /// Orders versions; not a time. Greater than all earlier stamps, and at least the wall clock in
    /// milliseconds, shifted left by 16 bits.
    pub stamp: u64,
    /// The transactions that were merged into it, in order.
    pub transactions: Vec<TransactionRecord>,
}

impl VersionRecord {
    /// All effects, in order.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.transactions.iter().flat_map(|t| &t.effects)
    }
}

/// One durable change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A namespace moved to a new version.
    #[serde(rename = "V")]
    Version(Arc<VersionRecord>),
    /// A namespace was created: empty, at version 0.
    #[serde(rename = "C")]
    Created {
        /// Its name.
        namespace: SmolStr,
        /// Its owner.
        owner: Principal,
        /// Its new incarnation.
        incarnation: u64,
    },
    /// A namespace was removed. Names its owner and readers, for permission checks by later readers
    /// of the journal.
    #[serde(rename = "R")]
    Removed {
        /// Its name.
        namespace: SmolStr,
        /// Its incarnation.
        incarnation: u64,
        /// Its last owner.
        owner: Principal,
        /// The other users who could read it.
        readers: BTreeSet<Principal>,
    },
    /// A namespace continues under a new incarnation, with its version and root.
    #[serde(rename = "I")]
    Reincarnated {
        /// Its name.
        namespace: SmolStr,
        /// Its new incarnation.
        incarnation: u64,
        /// Why it was done without a request.
        cause: Cause,
    },
    /// A snapshot was pinned, or a pin's lease renewed.
    #[serde(rename = "P")]
    Pinned(Pin),
    /// A pin was released, or its lease expired.
    #[serde(rename = "U")]
    Unpinned {
        /// The pin.
        id: u64,
        /// Why, if it was done without a request.
        cause: Option<Cause>,
    },
    /// A pack was added outside a checkpoint, for values too large for a record.
    #[serde(rename = "K")]
    PackAdded {
        /// The pack; already synced.
        pack: PackId,
    },
    /// A namespace was created as a copy of a state, at version 0. Packs hold everything below its
    /// root.
    #[serde(rename = "F")]
    Forked {
        /// Its name.
        namespace: SmolStr,
        /// Its owner.
        owner: Principal,
        /// Its new incarnation.
        incarnation: u64,
        /// The root of version 0.
        root: Blobref,
        /// The totals of that root.
        stats: Stats,
    },
    /// A user was granted the right to read a namespace that it does not own.
    #[serde(rename = "S")]
    Shared {
        /// The namespace.
        namespace: SmolStr,
        /// The user.
        principal: Principal,
    },
    /// A user's right to read a namespace was revoked.
    #[serde(rename = "W")]
    Withdrawn {
        /// The namespace.
        namespace: SmolStr,
        /// The user.
        principal: Principal,
    },
    /// A namespace has a new owner.
    #[serde(rename = "O")]
    Given {
        /// The namespace.
        namespace: SmolStr,
        /// Its incarnation.
        incarnation: u64,
        /// The new owner.
        owner: Principal,
        /// The previous owner; keeps no rights.
        before: Principal,
    },
    /// An owner of the store writes its first group, which is this one.
    #[serde(rename = "E")]
    Epoch {
        /// Greater than the numbers of all earlier epochs.
        number: u64,
        /// Random: distinguishes it from an epoch of equal number on a copy of the store.
        #[serde(with = "sixteen_bytes")]
        id: [u8; 16],
    },
    /// A checkpoint of an earlier group is durable.
    #[serde(rename = "X")]
    Checkpointed {
        /// The group.
        group: u64,
        /// The root of the state after that group. Every copy of the store must arrive at the same.
        root: Blobref,
    },
    /// Groups may have been dropped.
    #[serde(rename = "T")]
    Trimmed {
        /// The last of them.
        to: u64,
    },
}

/// Why something changed without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The lease of a pin expired.
    #[serde(rename = "L")]
    LeaseEnded,
    /// The previous daemon did not stop cleanly, in a durability mode that may then lose
    /// acknowledged versions.
    #[serde(rename = "W")]
    MayHaveLost,
    /// The namespace of a pin was removed.
    #[serde(rename = "N")]
    NamespaceRemoved,
    /// Damage of the store lost versions, and its operator accepted that.
    #[serde(rename = "D")]
    LossAccepted,
}

/// What a record says about its namespace, for a state that may not know the namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subject<'a> {
    pub(crate) namespace: &'a SmolStr,
    /// The incarnation, if the record has it.
    pub(crate) incarnation: Option<u64>,
    /// The version that it makes, if any.
    pub(crate) version: Option<u64>,
    /// Whether the namespace begins with it.
    pub(crate) begins: bool,
    /// The terms before it, if the record has them.
    pub(crate) terms: Option<Terms>,
}

impl Record {
    /// The record that an epoch writes its first group.
    pub(crate) fn epoch(epoch: Epoch) -> Self {
        Self::Epoch {
            number: epoch.number,
            id: epoch.id.to_be_bytes(),
        }
    }

    /// The namespace that it is about, if any.
    pub(crate) fn subject(&self) -> Option<Subject<'_>> {
        let about = |namespace| Subject {
            namespace,
            incarnation: None,
            version: None,
            begins: false,
            terms: None,
        };
        Some(match self {
            Self::Version(record) => Subject {
                incarnation: Some(record.incarnation),
                version: Some(record.version),
                ..about(&record.namespace)
            },
            Self::Created {
                namespace,
                incarnation,
                ..
            }
            | Self::Forked {
                namespace,
                incarnation,
                ..
            } => Subject {
                incarnation: Some(*incarnation),
                begins: true,
                ..about(namespace)
            },
            Self::Removed {
                namespace,
                incarnation,
                owner,
                readers,
            } => Subject {
                incarnation: Some(*incarnation),
                terms: Some(Terms {
                    readers: readers.clone(),
                    ..Terms::new(*owner, *incarnation)
                }),
                ..about(namespace)
            },
            Self::Given {
                namespace,
                incarnation,
                before,
                ..
            } => Subject {
                incarnation: Some(*incarnation),
                terms: Some(Terms::new(*before, *incarnation)),
                ..about(namespace)
            },
            Self::Reincarnated { namespace, .. }
            | Self::Shared { namespace, .. }
            | Self::Withdrawn { namespace, .. } => about(namespace),
            Self::Pinned(_)
            | Self::Unpinned { .. }
            | Self::PackAdded { .. }
            | Self::Epoch { .. }
            | Self::Checkpointed { .. }
            | Self::Trimmed { .. } => return None,
        })
    }
}

/// Everything that one append makes durable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The store's age when the group was begun, in milliseconds: uptime summed over all starts.
    /// Never falls, and applies to the whole group.
    pub age_ms: u64,
    /// The wall clock then, in milliseconds since 1970. May run backwards.
    pub time_ms: u64,
    /// The number of the epoch that made it.
    pub epoch: u64,
    /// In the order in which they take effect.
    pub records: Vec<Record>,
}

impl Group {
    /// What its records have in common. `group` is its number.
    pub(crate) fn info(&self, group: u64) -> GroupInfo {
        GroupInfo {
            group,
            epoch: self.epoch,
            time_ms: self.time_ms,
            age_ms: self.age_ms,
        }
    }

    /// Encodes the group for the journal.
    pub fn encode(&self) -> Result<Vec<u8>, EngineError> {
        rmp_serde::to_vec(self)
            .map_err(|e| EngineError::corrupt(format!("a journal group does not encode: {e}")))
    }

    /// The versions of one namespace in it, in order.
    pub(crate) fn versions_of(self, namespace: &str) -> impl Iterator<Item = Arc<VersionRecord>> {
        self.records
            .into_iter()
            .filter_map(move |record| match record {
                Record::Version(record) if record.namespace == namespace => Some(record),
                _ => None,
            })
    }

    /// The packs that it adds.
    pub(crate) fn packs(&self) -> impl Iterator<Item = PackId> {
        self.records.iter().filter_map(|record| match record {
            Record::PackAdded { pack } => Some(*pack),
            _ => None,
        })
    }

    /// Decodes a group. `number` is only used in the error.
    pub fn decode(number: u64, payload: &[u8]) -> Result<Self, EngineError> {
        whole_value::decode(payload).map_err(|reason| {
            EngineError::corrupt(format!("journal group {number} does not decode: {reason}"))
        })
    }
}

/// Approximate size of an effect in a record, in bytes.
pub(crate) fn effect_bytes(effect: &Effect) -> usize {
    let value = match effect {
        Effect::Put { value, .. } | Effect::Append { value, .. } => value.len(),
        Effect::Link { target, .. } => target.target.len(),
        Effect::Copy { from, .. } => from.as_str().len(),
        _ => 40,
    };
    effect.key().as_str().len() + value + 16
}

#[cfg(test)]
mod tests {
    use kvs_tree::{HashAlgorithm, Key};

    use super::*;

    fn sample() -> Group {
        let version = VersionRecord {
            namespace: "primary".into(),
            incarnation: 9,
            version: 1,
            root: Blobref::of(HashAlgorithm::Sha1, b""),
            time_ms: 1000,
            stamp: 1000 << 16,
            transactions: vec![TransactionRecord {
                principal: Principal::Uid(0),
                client: [7; 16],
                number: 2,
                acknowledged: 1,
                name: None,
                results: Vec::new(),
                operations: 1,
                effects: vec![Effect::Unlink {
                    key: Key::parse("a.b").unwrap(),
                    subtree: false,
                }],
            }],
        };
        let removed = Record::Removed {
            namespace: "job".into(),
            incarnation: 9,
            owner: Principal::Uid(7),
            readers: BTreeSet::from([Principal::Uid(1000)]),
        };
        Group {
            age_ms: 70,
            time_ms: 1000,
            epoch: 3,
            records: vec![Record::Version(Arc::new(version)), removed],
        }
    }

    #[test]
    fn the_stored_form_is_what_rfc_0004_says() {
        let bytes = sample().encode().unwrap();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "9446cd03e8039281a15697a77072696d6172790901c414da39a3ee5e6b4b0d3255bfef95601890afd80709cd03e8ce03e80000919800c410070707070707070707070707070707070201c090019181a17592a3612e62c281a15294a36a6f62090791cd03e8"
        );
        assert_eq!(Group::decode(1, &bytes).unwrap(), sample());
    }

    #[test]
    fn other_records_have_their_stored_form() {
        let namespace = SmolStr::new("job");
        let forked = Record::Forked {
            namespace: namespace.clone(),
            owner: Principal::Uid(7),
            incarnation: 9,
            root: Blobref::of(HashAlgorithm::Sha1, b""),
            stats: Stats {
                entries: 3,
                bytes: 300,
                depth: 2,
            },
        };
        let (shared, withdrawn, given) = (namespace.clone(), namespace.clone(), namespace);
        for (record, golden) in [
            (
                forked,
                "81a14695a36a6f620709c414da39a3ee5e6b4b0d3255bfef95601890afd807099303cd012c02",
            ),
            (
                Record::Shared {
                    namespace: shared,
                    principal: Principal::Uid(1000),
                },
                "81a15392a36a6f62cd03e8",
            ),
            (
                Record::Withdrawn {
                    namespace: withdrawn,
                    principal: Principal::Uid(1000),
                },
                "81a15792a36a6f62cd03e8",
            ),
            (
                Record::Given {
                    namespace: given,
                    incarnation: 9,
                    owner: Principal::Uid(1000),
                    before: Principal::Uid(7),
                },
                "81a14f94a36a6f6209cd03e807",
            ),
            (
                Record::Reincarnated {
                    namespace: "job".into(),
                    incarnation: 9,
                    cause: Cause::MayHaveLost,
                },
                "81a14993a36a6f6209a157",
            ),
            (Record::Unpinned { id: 3, cause: None }, "81a1559203c0"),
            (
                Record::Unpinned {
                    id: 3,
                    cause: Some(Cause::LeaseEnded),
                },
                "81a1559203a14c",
            ),
            (
                Record::Epoch {
                    number: 2,
                    id: [7; 16],
                },
                "81a1459202c41007070707070707070707070707070707",
            ),
            (
                Record::Checkpointed {
                    group: 5,
                    root: Blobref::of(HashAlgorithm::Sha1, b""),
                },
                "81a1589205c414da39a3ee5e6b4b0d3255bfef95601890afd80709",
            ),
            (Record::Trimmed { to: 4 }, "81a1549104"),
        ] {
            let bytes = rmp_serde::to_vec(&record).unwrap();
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, golden, "{record:?}");
            assert_eq!(rmp_serde::from_slice::<Record>(&bytes).unwrap(), record);
        }
    }

    #[test]
    fn a_principal_is_stored_as_its_uid_and_a_name_is_refused() {
        let bytes = rmp_serde::to_vec(&Principal::Uid(1000)).unwrap();
        assert_eq!(bytes, [0xcd, 0x03, 0xe8]);
        let name = rmp_serde::to_vec("somebody").unwrap();
        assert!(rmp_serde::from_slice::<Principal>(&name).is_err());
    }

    #[test]
    fn cut_or_extended_groups_are_refused() {
        let bytes = sample().encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Group::decode(1, &bytes[..end]).is_err(), "cut at {end}");
        }
        let longer = [&bytes[..], &[0xc0]].concat();
        assert!(Group::decode(1, &longer).is_err());
    }
}
