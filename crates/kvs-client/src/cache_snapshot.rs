//! One state of a namespace, as its snapshot reference names it.

use kvs_tree::{Blobref, Directory, Stats};
use smol_str::SmolStr;

/// A state that can be read.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotState {
    /// The namespace.
    pub(crate) namespace: SmolStr,
    /// The reference.
    pub(crate) snapshot: SmolStr,
    /// Names every object by its hash.
    pub(crate) root: Blobref,
    /// The root as the tree takes it.
    pub(crate) directory: Directory,
}

impl SnapshotState {
    /// The state of a snapshot reference, `NAMESPACE@VERSION:BLOBREF`; `None` if it is malformed,
    /// which the daemon tells better.
    pub(crate) fn parse(snapshot: &SmolStr) -> Option<SnapshotState> {
        let (namespace, place) = snapshot.split_once('@')?;
        let (_, root) = place.split_once(':')?;
        Some(SnapshotState::new(
            namespace.into(),
            snapshot.clone(),
            root.parse().ok()?,
        ))
    }

    /// The state of one version, by the text of its root.
    pub(crate) fn of(namespace: &str, version: u64, root: &str) -> Option<SnapshotState> {
        let snapshot = smol_str::format_smolstr!("{namespace}@{version}:{root}");
        Some(SnapshotState::new(
            namespace.into(),
            snapshot,
            root.parse().ok()?,
        ))
    }

    fn new(namespace: SmolStr, snapshot: SmolStr, root: Blobref) -> SnapshotState {
        SnapshotState {
            namespace,
            snapshot,
            root,
            // Its totals are not known, and not needed to look something up in it.
            directory: Directory::stored(root, Stats::EMPTY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reference_is_taken_apart_and_put_together() {
        let root = format!("blake3-{}", "ab".repeat(32));
        let text: SmolStr = format!("jobs@42:{root}").into();
        let state = SnapshotState::parse(&text).unwrap();
        assert_eq!(state.namespace, "jobs");
        assert_eq!(state.root.to_string(), root);
        assert_eq!(SnapshotState::of("jobs", 42, &root).unwrap().snapshot, text);
        for text in ["", "jobs", "jobs@42", "jobs@42:", "jobs@42:blake3-ab"] {
            assert!(SnapshotState::parse(&text.into()).is_none(), "{text}");
        }
    }
}
