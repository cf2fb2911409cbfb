//! A group before it is written: its versions have no roots yet. Hashing the changes of a version
//! takes longer than making them, so the writer of the group does it while the next group is
//! filled.

use std::sync::Arc;

use kvs_tree::{Directory, StoreParams};
use smol_str::SmolStr;

use crate::error::EngineError;
use crate::past::GroupInfo;
use crate::state::{Group, Record, TransactionRecord, VersionRecord};

/// What all records of a group have in common, fixed when the group is begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// The store's age.
    pub(crate) age_ms: u64,
    /// The number of the epoch that writes it.
    pub(crate) epoch: u64,
    /// The wall clock.
    pub(crate) time_ms: u64,
}

impl Begun {
    /// The same, for the group with this number.
    pub(crate) fn info(self, group: u64) -> GroupInfo {
        GroupInfo {
            group,
            epoch: self.epoch,
            time_ms: self.time_ms,
            age_ms: self.age_ms,
        }
    }
}

/// A record of a group that is not written yet.
pub(crate) enum Draft {
    Version(VersionDraft),
    Other(Record),
}

/// A version without its root.
pub(crate) struct VersionDraft {
    pub(crate) namespace: SmolStr,
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
    pub(crate) time_ms: u64,
    pub(crate) stamp: u64,
    pub(crate) transactions: Vec<TransactionRecord>,
    pub(crate) directory: Directory,
}

/// A group that is ready to be written.
pub(crate) struct Sealed {
    /// In the order of the drafts.
    pub(crate) records: Vec<Record>,
    pub(crate) payload: Vec<u8>,
}

/// Computes the roots of all versions and encodes the payload for the journal: the records `first`,
/// then the drafts. Cost: hashing of the changed nodes, encoding of the effects.
///
/// # Errors
/// If the group cannot be encoded; nothing of it is written then.
pub(crate) fn seal(
    first: Vec<Record>,
    drafts: Vec<Draft>,
    begun: Begun,
    params: &StoreParams,
) -> Result<Sealed, EngineError> {
    let count = first.len();
    let mut records = first;
    records.extend(drafts.into_iter().map(|draft| draft.seal(params)));
    let mut group = Group {
        age_ms: begun.age_ms,
        time_ms: begun.time_ms,
        epoch: begun.epoch,
        records,
    };
    let payload = group.encode()?;
    group.records.drain(..count);
    Ok(Sealed {
        records: group.records,
        payload,
    })
}

impl Draft {
    fn seal(self, params: &StoreParams) -> Record {
        match self {
            Self::Version(version) => Record::Version(Arc::new(VersionRecord {
                root: version.directory.seal(params),
                namespace: version.namespace,
                incarnation: version.incarnation,
                version: version.version,
                time_ms: version.time_ms,
                stamp: version.stamp,
                transactions: version.transactions,
            })),
            Self::Other(record) => record,
        }
    }
}
