//! Effects: what a transaction did, with nothing left to decide.
//!
//! The journal records effects, not operations: their keys are resolved, so that replaying them
//! follows no link, judges no condition and asks nobody's rights or clock. One-letter names keep
//! the MessagePack array form short; they are part of the stored format.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hash::Blobref;
use crate::key::Key;
use crate::node::{Stats, Symlink};

/// One change to a tree, at a key on whose way there is no link.
///
/// `subtree` tells that keys below this one changed as well, because a non-empty directory was
/// replaced, removed, or put here as a whole; which ones, a diff tells. Directories that a write
/// made on its way are effects of their own before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A value was put here.
    #[serde(rename = "p")]
    Put {
        /// Where.
        key: Key,
        /// All its bytes.
        value: Bytes,
        /// See above.
        subtree: bool,
    },
    /// A value that is stored already was put here.
    #[serde(rename = "s")]
    PutStored {
        /// Where.
        key: Key,
        /// Its length in bytes.
        len: u64,
        /// Its blob, or the root of its tree of chunks.
        blobref: Blobref,
        /// See above.
        subtree: bool,
    },
    /// Bytes were added to the end of the value here.
    #[serde(rename = "a")]
    Append {
        /// Where.
        key: Key,
        /// The added bytes.
        value: Bytes,
    },
    /// What stood here was removed.
    #[serde(rename = "u")]
    Unlink {
        /// Where.
        key: Key,
        /// See above.
        subtree: bool,
    },
    /// An empty directory was put here.
    #[serde(rename = "m")]
    Mkdir {
        /// Where.
        key: Key,
        /// See above.
        subtree: bool,
    },
    /// A link was put here.
    #[serde(rename = "l")]
    Link {
        /// Where.
        key: Key,
        /// Where it leads to.
        target: Symlink,
        /// See above.
        subtree: bool,
    },
    /// What the effects before this one left at `from` was put at `to` as well.
    #[serde(rename = "c")]
    Copy {
        /// What was copied.
        from: Key,
        /// Where to.
        to: Key,
        /// See above.
        subtree: bool,
    },
    /// A directory that is stored already was put here.
    #[serde(rename = "g")]
    Graft {
        /// Where.
        key: Key,
        /// What.
        entry: GraftEntry,
        /// See above.
        subtree: bool,
    },
}

/// A stored directory, with what its parent must know of it. Its objects must be durable before a
/// record that names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraftEntry {
    /// The hash of its root node.
    pub blobref: Blobref,
    /// Its totals.
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
