//! Blobrefs: the names of objects, made of the hash algorithm and the hash of their bytes. Also the
//! parameters that a store fixes at creation, since they determine every name in it.

use crate::error::{TreeError, TreeErrorKind};
use data_encoding::HEXLOWER;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};
use std::fmt;
use std::str::FromStr;

/// The hash function that names a store's objects; fixed when the store is created.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum HashAlgorithm {
    /// BLAKE3, 32 bytes: the default.
    Blake3,
    /// SHA-1, 20 bytes: for comparison with Flux; not collision-resistant.
    Sha1,
}

impl HashAlgorithm {
    /// Length of a digest in bytes.
    pub fn digest_len(self) -> usize {
        match self {
            HashAlgorithm::Blake3 => 32,
            HashAlgorithm::Sha1 => 20,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HashAlgorithm::Blake3 => "blake3",
            HashAlgorithm::Sha1 => "sha1",
        })
    }
}

impl FromStr for HashAlgorithm {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Self, TreeError> {
        match text {
            "blake3" => Ok(HashAlgorithm::Blake3),
            "sha1" => Ok(HashAlgorithm::Sha1),
            _ => Err(TreeError::new(
                TreeErrorKind::Invalid,
                format!("invalid hash algorithm {text:?}: use blake3 or sha1"),
            )),
        }
    }
}

/// The name of an object: algorithm and digest of its bytes. 33 bytes, `Copy`.
///
/// Its text form is `blake3-<64 hex>` or `sha1-<40 hex>`, in lower case only. Compact serde formats
/// hold the digest alone, whose length determines the algorithm.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blobref(Digested);

#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Digested {
    Blake3([u8; 32]),
    Sha1([u8; 20]),
}

impl Blobref {
    /// The name of `bytes`. Costs one hash of them.
    pub fn of(algorithm: HashAlgorithm, bytes: &[u8]) -> Self {
        Blobref(match algorithm {
            HashAlgorithm::Blake3 => Digested::Blake3(*blake3::hash(bytes).as_bytes()),
            HashAlgorithm::Sha1 => Digested::Sha1(Sha1::digest(bytes).into()),
        })
    }

    /// A blobref from its digest; `None` if the digest's length does not match the algorithm.
    pub fn from_digest(algorithm: HashAlgorithm, digest: &[u8]) -> Option<Self> {
        Some(Blobref(match algorithm {
            HashAlgorithm::Blake3 => Digested::Blake3(digest.try_into().ok()?),
            HashAlgorithm::Sha1 => Digested::Sha1(digest.try_into().ok()?),
        }))
    }

    /// The digest alone: 32 or 20 bytes.
    pub fn digest(&self) -> &[u8] {
        match &self.0 {
            Digested::Blake3(digest) => digest,
            Digested::Sha1(digest) => digest,
        }
    }

    /// The algorithm of the digest.
    pub fn algorithm(&self) -> HashAlgorithm {
        match self.0 {
            Digested::Blake3(_) => HashAlgorithm::Blake3,
            Digested::Sha1(_) => HashAlgorithm::Sha1,
        }
    }

    /// A blobref from its digest, whose length tells the algorithm; `None` if that is of none.
    pub fn from_bytes(digest: &[u8]) -> Option<Self> {
        Self::from_digest(HashAlgorithm::Blake3, digest)
            .or_else(|| Self::from_digest(HashAlgorithm::Sha1, digest))
    }
}

impl fmt::Display for Blobref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}",
            self.algorithm(),
            HEXLOWER.encode_display(self.digest())
        )
    }
}

impl fmt::Debug for Blobref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Blobref {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Self, TreeError> {
        let parsed = text.split_once('-').and_then(|(algorithm, hex)| {
            let digest = HEXLOWER.decode(hex.as_bytes()).ok()?;
            Blobref::from_digest(algorithm.parse().ok()?, &digest)
        });
        parsed.ok_or_else(|| {
            TreeError::new(
                TreeErrorKind::Invalid,
                format!("invalid blobref {text:?}: expected blake3-HEX or sha1-HEX"),
            )
        })
    }
}

impl Serialize for Blobref {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.digest())
        }
    }
}

impl<'de> Deserialize<'de> for Blobref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(BlobrefVisitor)
        } else {
            deserializer.deserialize_bytes(BlobrefVisitor)
        }
    }
}

struct BlobrefVisitor;

impl Visitor<'_> for BlobrefVisitor {
    type Value = Blobref;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a blobref as text, or a digest of 32 or 20 bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Blobref, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, digest: &[u8]) -> Result<Blobref, E> {
        Blobref::from_bytes(digest).ok_or_else(|| E::invalid_length(digest.len(), &self))
    }
}

/// The parameters of a store, fixed at creation and copied to its replicas and backups. Given
/// these, content determines names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreParams {
    /// The algorithm that names every object of the store.
    pub algorithm: HashAlgorithm,
    /// The key of the hash that splits large directories. Random and not disclosed to clients, so
    /// that nobody can choose names that unbalance a directory.
    pub split_key: [u8; 32],
}

/// The hash in progress of bytes that grow at their end. Cheap to clone (2 KiB).
#[derive(Clone)]
pub(crate) enum GrowingHash {
    Blake3(Box<blake3::Hasher>),
    Sha1(Sha1),
}

impl GrowingHash {
    pub(crate) fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Blake3 => GrowingHash::Blake3(Box::default()),
            HashAlgorithm::Sha1 => GrowingHash::Sha1(Sha1::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            GrowingHash::Blake3(hasher) => {
                hasher.update(bytes);
            }
            GrowingHash::Sha1(hasher) => hasher.update(bytes),
        }
    }

    /// The name of all bytes added so far.
    pub(crate) fn blobref(&self) -> Blobref {
        Blobref(match self {
            GrowingHash::Blake3(hasher) => Digested::Blake3(*hasher.finalize().as_bytes()),
            GrowingHash::Sha1(hasher) => Digested::Sha1(hasher.clone().finalize().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobrefs_are_known_hashes() {
        let blake = Blobref::of(HashAlgorithm::Blake3, b"abc").to_string();
        assert_eq!(
            blake,
            "blake3-6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        let sha = Blobref::of(HashAlgorithm::Sha1, b"abc").to_string();
        assert_eq!(sha, "sha1-a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn text_form_round_trips_and_refuses_anything_else() {
        for algorithm in [HashAlgorithm::Blake3, HashAlgorithm::Sha1] {
            let blobref = Blobref::of(algorithm, b"x");
            assert_eq!(blobref.to_string().parse::<Blobref>().unwrap(), blobref);
            assert_eq!(blobref.digest().len(), algorithm.digest_len());
            let json = serde_json::to_string(&blobref).unwrap();
            assert_eq!(serde_json::from_str::<Blobref>(&json).unwrap(), blobref);
            assert!(
                blobref
                    .to_string()
                    .to_uppercase()
                    .parse::<Blobref>()
                    .is_err()
            );
        }
        for text in [
            "",
            "blake3",
            "blake3-",
            "sha1-00",
            "md5-00",
            "sha1-zz9993e364706816aba3e25717850c26c9cd0d89d",
        ] {
            assert!(text.parse::<Blobref>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_growing_hash_equals_the_hash_of_all_bytes() {
        for algorithm in [HashAlgorithm::Blake3, HashAlgorithm::Sha1] {
            let mut growing = GrowingHash::new(algorithm);
            growing.update(b"abc");
            growing.update(b"def");
            assert_eq!(growing.blobref(), Blobref::of(algorithm, b"abcdef"));
        }
    }
}
