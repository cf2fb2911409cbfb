//! What a journal group holds: records, each with everything that replay needs, so that replay
//! evaluates no link, condition, right or clock. Stored as MessagePack arrays (RFC 0004).

use std::sync::Arc;

use kvs_tree::{Blobref, Effect, OperationResult};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::EngineError;
use crate::limits::RECORD_DEPTH;
use crate::pack::PackId;
use crate::request::{Pin, TransactionId};

/// One transaction inside a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionRecord {
    /// Who committed it.
    pub uid: u32,
    /// The client that sent it.
    #[serde(with = "client_bytes")]
    pub client: [u8; 16],
    /// Its number among that client's transactions.
    pub number: u64,
    /// All lower numbers of that client were answered.
    pub acknowledged: u64,
    /// The name that the client gave it.
    pub name: Option<SmolStr>,
    /// One result an operation; empty stands for "all done", of which there are `operations`.
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

    /// One result an operation.
    pub fn all_results(&self) -> Vec<OperationResult> {
        if self.results.is_empty() {
            return vec![OperationResult::Done; self.operations as usize];
        }
        self.results.clone()
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
    /// The root after it; replay must arrive at it.
    pub root: Blobref,
    /// Milliseconds since the epoch; never runs backwards in a store.
    pub time_ms: u64,
    /// The transactions that were merged into it, in order.
    pub transactions: Vec<TransactionRecord>,
}

impl VersionRecord {
    /// Every effect, in order.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.transactions.iter().flat_map(|t| &t.effects)
    }
}

/// One change of anything durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A namespace moved to a new version.
    #[serde(rename = "V")]
    Version(Arc<VersionRecord>),
    /// A namespace was made: empty, at version 0.
    #[serde(rename = "C")]
    Created {
        /// Its name.
        namespace: SmolStr,
        /// Who owns it.
        owner: u32,
        /// Its new incarnation.
        incarnation: u64,
    },
    /// A namespace was removed.
    #[serde(rename = "R")]
    Removed {
        /// Its name.
        namespace: SmolStr,
    },
    /// A namespace goes on under a new incarnation, with the version and root that it has.
    #[serde(rename = "I")]
    Reincarnated {
        /// Its name.
        namespace: SmolStr,
        /// Its new incarnation.
        incarnation: u64,
    },
    /// A snapshot was pinned, or a pin's lease renewed.
    #[serde(rename = "P")]
    Pinned(Pin),
    /// A pin was released, or its lease ran out.
    #[serde(rename = "U")]
    Unpinned {
        /// The pin.
        id: u64,
    },
    /// A pack was added outside a checkpoint, for values too large for a record.
    #[serde(rename = "K")]
    PackAdded {
        /// The pack; it is synced already.
        pack: PackId,
    },
}

/// Everything that one append makes durable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Milliseconds since the epoch; never runs backwards in a store.
    pub time_ms: u64,
    /// In the order in which they take effect.
    pub records: Vec<Record>,
}

impl Group {
    /// The bytes that go into the journal.
    pub fn encode(&self) -> Result<Vec<u8>, EngineError> {
        rmp_serde::to_vec(self)
            .map_err(|e| EngineError::corrupt(format!("a journal group does not encode: {e}")))
    }

    /// Reads a group back. `number` only names it in the error.
    pub fn decode(number: u64, payload: &[u8]) -> Result<Self, EngineError> {
        let mut decoder = rmp_serde::Deserializer::new(std::io::Cursor::new(payload));
        decoder.set_max_depth(RECORD_DEPTH);
        let group = Self::deserialize(&mut decoder).map_err(|e| {
            EngineError::corrupt(format!("journal group {number} does not decode: {e}"))
        })?;
        if decoder.position() != payload.len() as u64 {
            return Err(EngineError::corrupt(format!(
                "journal group {number} has trailing bytes"
            )));
        }
        Ok(group)
    }
}

mod client_bytes {
    //! A client id as 16 bytes of MessagePack `bin`, not as an array of numbers.

    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(id: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = [u8; 16];
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("16 bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                bytes
                    .try_into()
                    .map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        from.deserialize_bytes(Visitor)
    }
}

/// About what an effect takes in a record, in bytes.
pub(crate) fn effect_bytes(effect: &Effect) -> usize {
    let value = match effect {
        Effect::Put { value, .. } | Effect::Append { value, .. } => value.len(),
        Effect::Link { target, .. } => target.target.len(),
        Effect::Copy { from, .. } => from.as_str().len(),
        _ => 40,
    };
    effect.key().as_str().len() + value + 16
}
