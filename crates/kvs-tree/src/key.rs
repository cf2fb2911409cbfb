//! Keys: dot-separated paths of names, stored in normalised form.
//!
//! Text is normalised on entry, so equal paths are equal [`Key`]s that can be compared, hashed and
//! stored as they are. Keys are ordered name by name: this is the order of a tree walk and differs
//! from the order of their texts.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, SmolStrBuilder};

use crate::error::{TreeError, TreeErrorKind};
use crate::limits::{KEY_BYTES, KEY_NAMES, NAME_BYTES};

/// The normalised path of an entry in a namespace; `.` is the root.
///
/// No name is empty or longer than `NAME_BYTES`, and there are at most `KEY_NAMES` of them. The
/// text of a key that a client requests has at most [`KEY_BYTES`]. Cloning does not allocate.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(SmolStr);

impl Key {
    /// The root of a namespace, written `.`.
    pub const ROOT: Key = Key(SmolStr::new_static("."));

    /// Parses a key in any spelling: runs of dots collapse, leading and trailing dots are dropped,
    /// and a text of dots only is the root.
    ///
    /// # Errors
    /// `Invalid` if the text is empty, `Limit` if it or a name in it is too long or has too many
    /// names (after normalisation).
    pub fn parse(text: &str) -> Result<Key, TreeError> {
        Key::parse_within(text, KEY_BYTES)
    }

    fn parse_within(text: &str, bytes: usize) -> Result<Key, TreeError> {
        if text.is_empty() {
            return Err(TreeError::new(
                TreeErrorKind::Invalid,
                "key must not be empty",
            ));
        }
        if is_normal(text, bytes) {
            return Ok(Key(SmolStr::new(text)));
        }
        let mut count = 0;
        let mut length = 0;
        for name in text.split('.').filter(|name| !name.is_empty()) {
            check_name(name)?;
            count += 1;
            length += name.len() + usize::from(count > 1);
        }
        check_size(count, length, bytes)?;
        if count == 0 {
            return Ok(Key::ROOT);
        }
        let mut builder = SmolStrBuilder::new();
        for (index, name) in text.split('.').filter(|name| !name.is_empty()).enumerate() {
            if index > 0 {
                builder.push('.');
            }
            builder.push_str(name);
        }
        Ok(Key(builder.finish()))
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `.`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "."
    }

    /// The names from the root down; empty for the root.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        let text = if self.is_root() { "" } else { self.as_str() };
        text.split('.').filter(|name| !name.is_empty())
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.names().next_back()
    }

    /// The key of the directory that contains this entry; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Key> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.rsplit_once('.') {
            Some((parent, _)) => Key(SmolStr::new(parent)),
            None => Key::ROOT,
        })
    }

    /// The first `count` names as a key; the whole key if it has fewer.
    #[must_use]
    pub fn prefix(&self, count: usize) -> Key {
        if count == 0 {
            return Key::ROOT;
        }
        match self.0.match_indices('.').nth(count - 1) {
            Some((0, _)) | None => self.clone(),
            Some((end, _)) => Key(SmolStr::new(self.0.get(..end).unwrap_or("."))),
        }
    }

    /// The names after the first `count`, as a key; the root if there are none.
    #[must_use]
    pub fn suffix(&self, count: usize) -> Key {
        if count == 0 {
            return self.clone();
        }
        match self.0.match_indices('.').nth(count - 1) {
            Some((0, _)) | None => Key::ROOT,
            Some((end, _)) => Key(SmolStr::new(self.0.get(end + 1..).unwrap_or("."))),
        }
    }

    /// This key followed by the names of `rest`.
    ///
    /// # Errors
    /// `Limit` if the result would be too long or have too many names.
    pub fn join(&self, rest: &Key) -> Result<Key, TreeError> {
        if rest.is_root() {
            return Ok(self.clone());
        }
        if self.is_root() {
            return Ok(rest.clone());
        }
        check_size(
            self.depth() + rest.depth(),
            self.0.len() + 1 + rest.0.len(),
            KEY_BYTES,
        )?;
        Ok(self.glue(&rest.0))
    }

    /// The key of the entry `name` in this directory.
    ///
    /// # Errors
    /// `Invalid` if `name` is not a valid name (empty, or with a dot), `Limit` if it is too long or
    /// the result has too many names. The result may exceed [`KEY_BYTES`]: copies can create
    /// entries below the longest key that a client can name, and walks must still report them.
    pub fn child(&self, name: &str) -> Result<Key, TreeError> {
        if name.is_empty() || name.contains('.') {
            let message = format!("invalid name '{}'", name.escape_debug());
            return Err(TreeError::new(TreeErrorKind::Invalid, message));
        }
        check_name(name)?;
        if self.is_root() {
            return Ok(Key(SmolStr::new(name)));
        }
        check_size(self.depth() + 1, 0, KEY_BYTES)?;
        Ok(self.glue(name))
    }

    /// The number of names; 0 for the root.
    #[must_use]
    pub fn depth(&self) -> usize {
        let dots = self.0.bytes().filter(|byte| *byte == b'.').count();
        if self.is_root() { 0 } else { dots + 1 }
    }

    /// Whether this key is `ancestor` or below it. Every key starts with the root.
    #[must_use]
    pub fn starts_with(&self, ancestor: &Key) -> bool {
        if ancestor.is_root() {
            return true;
        }
        match self.0.strip_prefix(ancestor.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('.'),
            None => false,
        }
    }

    /// Whether the key is strictly below `ancestor`.
    #[must_use]
    pub fn is_below(&self, ancestor: &Key) -> bool {
        self != ancestor && self.starts_with(ancestor)
    }

    fn glue(&self, rest: &str) -> Key {
        let mut builder = SmolStrBuilder::new();
        builder.push_str(&self.0);
        builder.push('.');
        builder.push_str(rest);
        Key(builder.finish())
    }
}

/// Splits dot-separated names into the first and the rest, if any.
pub(crate) fn first_name(names: &str) -> (&str, Option<&str>) {
    let dot = names.bytes().position(|byte| byte == b'.');
    let parts = dot.and_then(|dot| Some((names.get(..dot)?, names.get(dot + 1..)?)));
    parts.map_or((names, None), |(first, rest)| (first, Some(rest)))
}

/// Whether `text` is already a normalised key within all limits, and not the root. Most are.
fn is_normal(text: &str, bytes: usize) -> bool {
    let (mut names, mut length) = (1, 0);
    for byte in text.bytes() {
        if byte != b'.' {
            length += 1;
        } else if length == 0 || length > NAME_BYTES {
            return false;
        } else {
            names += 1;
            length = 0;
        }
    }
    (1..=NAME_BYTES).contains(&length) && names <= KEY_NAMES && text.len() <= bytes
}

fn check_name(name: &str) -> Result<(), TreeError> {
    if name.len() > NAME_BYTES {
        let message = format!("a name of {} bytes; the limit is {NAME_BYTES}", name.len());
        return Err(TreeError::new(TreeErrorKind::Limit, message));
    }
    Ok(())
}

fn check_size(names: usize, bytes: usize, limit: usize) -> Result<(), TreeError> {
    if names > KEY_NAMES {
        let message = format!("a key of {names} names; the limit is {KEY_NAMES}");
        return Err(TreeError::new(TreeErrorKind::Limit, message));
    }
    if bytes > limit {
        let message = format!("a key of {bytes} bytes; the limit is {limit}");
        return Err(TreeError::new(TreeErrorKind::Limit, message));
    }
    Ok(())
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // By names. As no name is empty, this is byte order with the dot below all other bytes.
        let (one, two) = (self.0.as_bytes(), other.0.as_bytes());
        let same = one.iter().zip(two).take_while(|(a, b)| a == b).count();
        match (self.is_root(), other.is_root()) {
            (false, false) => {
                let rank = |text: &[u8]| text.get(same).map(|byte| (*byte != b'.', *byte));
                rank(one).cmp(&rank(two))
            }
            (own, others) => others.cmp(&own),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.as_str())
    }
}

impl FromStr for Key {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Key, TreeError> {
        Key::parse(text)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
                // Keys from a walk may be longer than those that clients may request.
                let bytes = KEY_NAMES * (NAME_BYTES + 1);
                Key::parse_within(text, bytes).map_err(|error| E::custom(error.message))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn spellings_are_normalised_as_in_flux() {
        for (spelling, normal) in [
            ("a", "a"),
            ("a.b.c", "a.b.c"),
            (".", "."),
            ("..", "."),
            (".....", "."),
            (".a", "a"),
            ("...a", "a"),
            ("a.", "a"),
            ("a...", "a"),
            ("a..b", "a.b"),
            ("..a....b.c..", "a.b.c"),
            ("a/b", "a/b"),
            (" a ", " a "),
            ("ä.ö", "ä.ö"),
        ] {
            assert_eq!(key(spelling).as_str(), normal, "{spelling}");
        }
        assert_eq!(Key::parse("").unwrap_err().kind, TreeErrorKind::Invalid);
    }

    #[test]
    fn limits_hold_after_normalisation() {
        let name = "n".repeat(NAME_BYTES);
        assert!(Key::parse(&name).is_ok());
        assert_eq!(
            Key::parse(&format!("{name}n")).unwrap_err().kind,
            TreeErrorKind::Limit
        );
        let names = vec!["n"; KEY_NAMES].join("...");
        assert_eq!(key(&names).depth(), KEY_NAMES);
        assert_eq!(
            Key::parse(&format!("{names}.n")).unwrap_err().kind,
            TreeErrorKind::Limit
        );
        let long = vec!["n".repeat(NAME_BYTES); KEY_BYTES / NAME_BYTES + 1].join(".");
        assert_eq!(Key::parse(&long).unwrap_err().kind, TreeErrorKind::Limit);
        assert_eq!(
            key(&names).child("n").unwrap_err().kind,
            TreeErrorKind::Limit
        );
        assert_eq!(
            key(&names).join(&key("n")).unwrap_err().kind,
            TreeErrorKind::Limit
        );
    }

    #[test]
    fn parts_fit_together() {
        let abc = key("a.b.c");
        assert_eq!(abc.prefix(0), Key::ROOT);
        assert_eq!(abc.prefix(2), key("a.b"));
        assert_eq!(abc.prefix(9), abc);
        assert_eq!(abc.suffix(0), abc);
        assert_eq!(abc.suffix(1), key("b.c"));
        assert_eq!(abc.suffix(3), Key::ROOT);
        assert_eq!(Key::ROOT.prefix(1), Key::ROOT);
        assert_eq!(Key::ROOT.suffix(1), Key::ROOT);
        assert_eq!(abc.parent(), Some(key("a.b")));
        assert_eq!(key("a").parent(), Some(Key::ROOT));
        assert_eq!(Key::ROOT.parent(), None);
        assert_eq!(abc.last(), Some("c"));
        assert_eq!(Key::ROOT.last(), None);
        assert_eq!(Key::ROOT.names().count(), 0);
        assert!(abc.starts_with(&key("a.b")) && abc.starts_with(&Key::ROOT));
        assert!(!key("ab").starts_with(&key("a")) && !key("a").starts_with(&abc));
        assert!(abc.is_below(&key("a")) && !abc.is_below(&abc));
        assert!(key("a").child("b.c").is_err() && key("a").child("").is_err());
    }

    #[test]
    fn order_is_that_of_a_walk() {
        let mut keys = ["a-b", "a.b", "a", ".", "b", "a.b.c"].map(key);
        keys.sort();
        assert_eq!(keys, [".", "a", "a.b", "a.b.c", "a-b", "b"].map(key));
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_names(one in "[ab!ä.]{1,6}", two in "[ab!ä.]{1,6}") {
            let (one, two) = (key(&one), key(&two));
            prop_assert_eq!(one.cmp(&two), one.names().cmp(two.names()));
        }

        #[test]
        fn parsing_is_idempotent(text in "[a-c.]{1,12}") {
            let once = key(&text);
            prop_assert_eq!(key(once.as_str()), once.clone());
            let names: Vec<&str> = once.names().collect();
            prop_assert_eq!(names, text.split('.').filter(|n| !n.is_empty()).collect::<Vec<_>>());
        }

        #[test]
        fn prefix_and_suffix_join_to_the_key(text in "[a-c.]{1,12}", count in 0usize..8) {
            let whole = key(&text);
            prop_assert_eq!(whole.prefix(count).join(&whole.suffix(count)).unwrap(), whole);
        }
    }
}
