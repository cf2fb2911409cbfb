//! Byte fields (`bin`) that are taken out of a frame without copying.
//!
//! serde cannot pass the input buffer to a field's decoder. So the body being decoded is kept in a
//! thread-local for the duration of one (synchronous) decode, and a field that lies inside it
//! becomes a slice of it. Fields shorter than `COPY_BELOW_BYTES` are copied. Use with
//! `#[serde(with = "crate::payload")]`.

use crate::limits::COPY_BELOW_BYTES;
use bytes::Bytes;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;
use std::cell::RefCell;
use std::fmt;

thread_local! {
    static SOURCE: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// Runs a decode of `source` whose byte fields may share its memory.
pub(crate) fn sharing<T>(source: &Bytes, decode: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            SOURCE.with(|slot| drop(slot.take()));
        }
    }
    SOURCE.with(|slot| slot.replace(source.clone()));
    let _restore = Restore;
    decode()
}

/// A field of the body that is being decoded: copied if short, else shared.
pub(crate) fn take(field: &[u8]) -> Bytes {
    if field.len() < COPY_BELOW_BYTES {
        return Bytes::copy_from_slice(field);
    }
    SOURCE.with(|slot| {
        let source = slot.borrow();
        let start = (field.as_ptr() as usize).checked_sub(source.as_ptr() as usize);
        match start {
            Some(start) if start.saturating_add(field.len()) <= source.len() => {
                source.slice(start..start + field.len())
            }
            _ => Bytes::copy_from_slice(field),
        }
    })
}

/// A field of `source` found without serde: copied if short, else shared.
pub(crate) fn of(source: &Bytes, field: &[u8]) -> Bytes {
    if field.len() < COPY_BELOW_BYTES {
        return Bytes::copy_from_slice(field);
    }
    source.slice_ref(field)
}

struct Payload;

impl Visitor<'_> for Payload {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes (bin)")
    }

    fn visit_bytes<E: Error>(self, field: &[u8]) -> Result<Bytes, E> {
        Ok(take(field))
    }

    fn visit_byte_buf<E: Error>(self, field: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes::from(field))
    }
}

pub(crate) fn serialize<S: Serializer>(value: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(value)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_bytes(Payload)
}

/// For fields that may be absent; use with `#[serde(default)]`.
pub(crate) mod option {
    use super::{Bytes, Deserializer, Error, Payload, Serializer, Visitor, fmt};

    struct Optional;

    impl<'de> Visitor<'de> for Optional {
        type Value = Option<Bytes>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes (bin) or nil")
        }

        fn visit_none<E: Error>(self) -> Result<Option<Bytes>, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Option<Bytes>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Option<Bytes>, D::Error> {
            d.deserialize_bytes(Payload).map(Some)
        }
    }

    pub(crate) fn serialize<S: Serializer>(value: &Option<Bytes>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => s.serialize_bytes(bytes),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Bytes>, D::Error> {
        d.deserialize_option(Optional)
    }
}

/// For arrays of byte fields.
pub(crate) mod list {
    use super::{Bytes, Deserializer, Serializer, Visitor, fmt};
    use serde::de::SeqAccess;
    use serde::ser::SerializeSeq;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Item(#[serde(with = "super")] Bytes);

    struct Items;

    impl<'de> Visitor<'de> for Items {
        type Value = Vec<Bytes>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of bytes (bin)")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Bytes>, A::Error> {
            // Do not reserve the announced length: it may be a lie.
            let mut all = Vec::new();
            while let Some(Item(bytes)) = items.next_element()? {
                all.push(bytes);
            }
            Ok(all)
        }
    }

    pub(crate) fn serialize<S: Serializer>(items: &[Bytes], s: S) -> Result<S::Ok, S::Error> {
        let mut out = s.serialize_seq(Some(items.len()))?;
        for bytes in items {
            out.serialize_element(&Item(bytes.clone()))?;
        }
        out.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Bytes>, D::Error> {
        d.deserialize_seq(Items)
    }
}
