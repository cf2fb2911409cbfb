//! The entry at a key, as answers carry it. A complete value is encoded as its bytes alone,
//! anything else as an array that begins with the kind.

use crate::payload;
use bytes::Bytes;
use kvs_tree::Blobref;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};
use std::fmt;

/// Kinds of entries that are encoded as arrays.
const LONG_VALUE: u64 = 1;
const DIRECTORY: u64 = 2;
const LINK: u64 = 3;

/// The entry at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A value.
    Value(ValueInfo),
    /// A directory.
    Directory(DirectoryInfo),
    /// A symbolic link that was not followed.
    Link(Link),
}

/// A value, or how to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValueInfo {
    /// Length in bytes.
    pub size: u64,
    /// The complete value. Absent if it is longer than the request or a frame allows; then `read`
    /// returns it by ranges.
    pub bytes: Option<Bytes>,
    /// The blobref of a value that is not in `bytes`. Equal blobrefs mean equal values.
    pub blobref: Option<SmolStr>,
}

impl ValueInfo {
    /// A value with its bytes.
    pub fn whole(bytes: Bytes) -> Self {
        ValueInfo {
            size: bytes.len() as u64,
            bytes: Some(bytes),
            blobref: None,
        }
    }

    /// A value of `size` bytes whose bytes are not included.
    pub fn of_size(size: u64, blobref: Option<SmolStr>) -> Self {
        ValueInfo {
            size,
            bytes: None,
            blobref,
        }
    }
}

/// Counts of a directory; none requires a walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DirectoryInfo {
    /// Entries below it, at any depth.
    #[serde(default)]
    pub entries: u64,
    /// Bytes of all values below it.
    #[serde(default)]
    pub bytes: u64,
    /// Levels of directories below it: 0 if there are none.
    #[serde(default)]
    pub depth: u64,
    /// Its direct entries. Absent in lists, where an empty directory is recognized by
    /// `entries == 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u64>,
}

impl DirectoryInfo {
    /// The counts that require no read; without `names`.
    pub fn new(entries: u64, bytes: u64, depth: u64) -> Self {
        DirectoryInfo {
            entries,
            bytes,
            depth,
            names: None,
        }
    }
}

/// The target of a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The key it refers to.
    pub target: SmolStr,
    /// The namespace it refers to; absent if its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<SmolStr>,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Entry::Value(ValueInfo {
                bytes: Some(bytes), ..
            }) => serializer.serialize_bytes(bytes),
            Entry::Value(value) => {
                let blobref = value.blobref.as_deref().map(str::parse::<Blobref>);
                let blobref = blobref.transpose().map_err(serde::ser::Error::custom)?;
                (LONG_VALUE, value.size, blobref).serialize(serializer)
            }
            Entry::Directory(directory) => {
                let DirectoryInfo {
                    entries,
                    bytes,
                    depth,
                    names,
                } = directory;
                (DIRECTORY, entries, bytes, depth, names).serialize(serializer)
            }
            Entry::Link(link) => (LINK, &link.target, &link.namespace).serialize(serializer),
        }
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry: bytes, or an array that begins with a kind")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Entry, E> {
        Ok(Entry::Value(ValueInfo::whole(payload::take(bytes))))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Entry, E> {
        Ok(Entry::Value(ValueInfo::whole(bytes.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Entry, A::Error> {
        let kind: u64 = field(&mut fields, "the kind of an entry")?;
        Ok(match kind {
            LONG_VALUE => {
                let size = field(&mut fields, "the size of a value")?;
                let blobref: Option<Blobref> = field(&mut fields, "the blobref of a value")?;
                let blobref = blobref.map(|blobref| blobref.to_smolstr());
                rest(&mut fields)?;
                Entry::Value(ValueInfo::of_size(size, blobref))
            }
            DIRECTORY => {
                let directory = DirectoryInfo {
                    entries: field(&mut fields, "the entries of a directory")?,
                    bytes: field(&mut fields, "the bytes of a directory")?,
                    depth: field(&mut fields, "the depth of a directory")?,
                    names: field(&mut fields, "the names of a directory")?,
                };
                rest(&mut fields)?;
                Entry::Directory(directory)
            }
            LINK => {
                let link = Link {
                    target: field(&mut fields, "the target of a link")?,
                    namespace: field(&mut fields, "the namespace of a link")?,
                };
                rest(&mut fields)?;
                Entry::Link(link)
            }
            other => {
                return Err(A::Error::custom(format_args!(
                    "{other} is no kind of entry"
                )));
            }
        })
    }
}

/// The next field of an array.
pub(crate) fn field<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    fields: &mut A,
    name: &'static str,
) -> Result<T, A::Error> {
    let field = fields.next_element()?;
    field.ok_or_else(|| A::Error::custom(format_args!("{name} is missing")))
}

/// Skips fields that this version does not know.
pub(crate) fn rest<'de, A: SeqAccess<'de>>(fields: &mut A) -> Result<(), A::Error> {
    while fields.next_element::<serde::de::IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_any(Entries)
    }
}
