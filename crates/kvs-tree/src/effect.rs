//! Effects: what a transaction did, with nothing left to decide.
//!
//! The journal records effects, not operations. Their keys are resolved, so replay follows no
//! links, evaluates no conditions and needs neither rights nor a clock. One-letter names keep the
//! MessagePack array form short; they are part of the stored format.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hash::Blobref;
use crate::key::Key;
use crate::node::{Stats, Symlink};

/// One change to a tree, at a key without links on its path.
///
/// If `subtree` is set, keys below this one changed as well, because a non-empty directory was
/// replaced, removed, or stored here as a whole; a diff reports which. Directories that a write
/// created on its path are separate effects before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A value was stored.
    #[serde(rename = "p")]
    Put {
        /// The written key.
        key: Key,
        /// The bytes of the value.
        value: Bytes,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
    /// A value that was already in the store was put here.
    #[serde(rename = "s")]
    PutStored {
        /// The written key.
        key: Key,
        /// Length of the value in bytes.
        len: u64,
        /// Its only blob, or the top node of its chunk tree.
        blobref: Blobref,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
    /// Bytes were appended to the value.
    #[serde(rename = "a")]
    Append {
        /// The written key.
        key: Key,
        /// The appended bytes.
        value: Bytes,
    },
    /// The entry was removed.
    #[serde(rename = "u")]
    Unlink {
        /// The removed key.
        key: Key,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
    /// An empty directory was created.
    #[serde(rename = "m")]
    Mkdir {
        /// The written key.
        key: Key,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
    /// A link was stored.
    #[serde(rename = "l")]
    Link {
        /// The written key.
        key: Key,
        /// The target of the link.
        target: Symlink,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
    /// The entry that the preceding effects left at `from` was copied to `to`.
    #[serde(rename = "c")]
    Copy {
        /// The copied key.
        from: Key,
        /// The written key.
        to: Key,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
    /// A directory that was already in the store was put here.
    #[serde(rename = "g")]
    Graft {
        /// The written key.
        key: Key,
        /// The directory.
        entry: GraftEntry,
        /// Whether keys below changed, see [`Effect`].
        subtree: bool,
    },
}

/// A stored directory, with the fields that its parent records. Its objects must be durable before
/// any record that names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraftEntry {
    /// The hash of its top node.
    pub blobref: Blobref,
    /// The totals of the directory.
    pub stats: Stats,
}

impl Effect {
    /// The key that was written.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Effect::Put { key, .. }
            | Effect::PutStored { key, .. }
            | Effect::Append { key, .. }
            | Effect::Unlink { key, .. }
            | Effect::Mkdir { key, .. }
            | Effect::Link { key, .. }
            | Effect::Graft { key, .. } => key,
            Effect::Copy { to, .. } => to,
        }
    }

    /// Whether keys below [`Effect::key`] changed as well.
    #[must_use]
    pub fn subtree(&self) -> bool {
        match self {
            Effect::Append { .. } => false,
            Effect::Put { subtree, .. }
            | Effect::PutStored { subtree, .. }
            | Effect::Unlink { subtree, .. }
            | Effect::Mkdir { subtree, .. }
            | Effect::Link { subtree, .. }
            | Effect::Copy { subtree, .. }
            | Effect::Graft { subtree, .. } => *subtree,
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::hash::HashAlgorithm;

    #[test]
    fn golden_stored_form() {
        let key = |text: &str| Key::parse(text).unwrap();
        let blobref = Blobref::of(HashAlgorithm::Sha1, b"");
        let digest = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let stats = Stats {
            entries: 3,
            bytes: 300,
            depth: 2,
        };
        let link = |namespace: Option<&str>| Symlink {
            namespace: namespace.map(Into::into),
            target: "t".into(),
        };
        for (effect, golden) in [
            (
                Effect::Put {
                    key: key("a.b"),
                    value: "v".into(),
                    subtree: true,
                },
                "81a17093a3612e62c40176c3".to_owned(),
            ),
            (
                Effect::PutStored {
                    key: key("a"),
                    len: 5000,
                    blobref,
                    subtree: false,
                },
                format!("81a17394a161cd1388c414{digest}c2"),
            ),
            (
                Effect::Append {
                    key: key("a"),
                    value: "v".into(),
                },
                "81a16192a161c40176".to_owned(),
            ),
            (
                Effect::Unlink {
                    key: key("a"),
                    subtree: false,
                },
                "81a17592a161c2".to_owned(),
            ),
            (
                Effect::Mkdir {
                    key: key("a"),
                    subtree: false,
                },
                "81a16d92a161c2".to_owned(),
            ),
            (
                Effect::Link {
                    key: key("a"),
                    target: link(None),
                    subtree: false,
                },
                "81a16c93a16192c0a174c2".to_owned(),
            ),
            (
                Effect::Link {
                    key: key("a"),
                    target: link(Some("n")),
                    subtree: false,
                },
                "81a16c93a16192a16ea174c2".to_owned(),
            ),
            (
                Effect::Copy {
                    from: key("a"),
                    to: key("b"),
                    subtree: true,
                },
                "81a16393a161a162c3".to_owned(),
            ),
            (
                Effect::Graft {
                    key: key("a"),
                    entry: GraftEntry { blobref, stats },
                    subtree: true,
                },
                format!("81a16793a16192c414{digest}9303cd012c02c3"),
            ),
        ] {
            let stored = rmp_serde::to_vec(&effect).unwrap();
            assert_eq!(HEXLOWER.encode(&stored), golden, "{effect:?}");
            assert_eq!(rmp_serde::from_slice::<Effect>(&stored).unwrap(), effect);
        }
    }
}
