//! Patterns over whole keys.
//!
//! Matching tracks all possible positions in the pattern at once, as a bit set, name by name. So no
//! pattern costs more than names times components.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::name::NamePattern;
use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::limits::{KEY_BYTES, KEY_NAMES, PATTERN_LOOPS};

/// A pattern that matches whole keys.
///
/// A component `*` matches exactly one name, `**` any number of names, including none. Within a
/// name, `*` matches any number of characters, `?` one, `[a-z]` one of a class, `[!a-z]` one
/// outside of it; `\` escapes the next character. Dots collapse as in a key. A pattern has at most
/// `KEY_NAMES` components and [`KEY_BYTES`], and at most `PATTERN_LOOPS` of `**` and of `*`
/// within a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GlobPattern {
    text: SmolStr,
    parts: Vec<Part>,
    /// The names before the first wildcard.
    prefix: Key,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Literal(SmolStr),
    Name(NamePattern),
    /// `**`
    Deep,
}

impl Part {
    /// The number of wildcards at which matching has to try every length.
    fn loops(&self) -> usize {
        match self {
            Part::Deep => 1,
            Part::Literal(_) => 0,
            Part::Name(name) => name.loops(),
        }
    }
}

/// Bit `i` is set if the first `i` components can have been matched.
type Positions = u128;
const _: () = assert!(KEY_NAMES < 128, "one bit for each position in a pattern");

impl GlobPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// `Invalid` if the text is empty, has an unclosed `[`, or a component ends in `\`; `Limit` if
    /// the pattern is too long or has too many wildcards of any length.
    pub fn parse(text: &str) -> Result<GlobPattern, TreeError> {
        if text.is_empty() {
            return Err(TreeError::new(
                TreeErrorKind::Invalid,
                "pattern must not be empty",
            ));
        }
        let components: Vec<&str> = text.split('.').filter(|part| !part.is_empty()).collect();
        let normal = if components.is_empty() {
            ".".to_owned()
        } else {
            components.join(".")
        };
        if components.len() > KEY_NAMES || normal.len() > KEY_BYTES {
            let message = format!(
                "a pattern of {} names in {} bytes; the limits are {KEY_NAMES} and {KEY_BYTES}",
                components.len(),
                normal.len()
            );
            return Err(TreeError::new(TreeErrorKind::Limit, message));
        }
        let mut parts = Vec::with_capacity(components.len());
        for component in components {
            if component == "**" {
                if parts.last() != Some(&Part::Deep) {
                    parts.push(Part::Deep);
                }
                continue;
            }
            let pattern = NamePattern::parse(component)?;
            parts.push(match pattern.literal() {
                Some(name) => Part::Literal(name),
                None => Part::Name(pattern),
            });
        }
        let loops: usize = parts.iter().map(Part::loops).sum();
        if loops > PATTERN_LOOPS {
            let message = format!(
                "pattern '{}': {loops} times '**' or '*' within a name; the limit is {PATTERN_LOOPS} ('*' alone as a name does not count)",
                normal.escape_debug()
            );
            return Err(TreeError::new(TreeErrorKind::Limit, message));
        }
        Ok(GlobPattern {
            text: normal.into(),
            prefix: literal_prefix(&parts),
            parts,
        })
    }

    /// The text, with dots collapsed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches the whole key.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        self.positions(key) & self.end() != 0
    }

    /// Whether the pattern may match a key below this one.
    #[must_use]
    pub fn may_match_below(&self, key: &Key) -> bool {
        self.positions(key) & !self.end() != 0
    }

    /// The names before the first wildcard.
    #[must_use]
    pub fn literal_prefix(&self) -> Key {
        self.prefix.clone()
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn end(&self) -> Positions {
        1 << self.parts.len()
    }

    /// The positions reachable by the names of `key`.
    fn positions(&self, key: &Key) -> Positions {
        let deep = self.deep();
        // `**` may match no name. Two of them are never adjacent.
        let skip = |positions: Positions| positions | ((positions & deep) << 1);
        let mut positions = skip(1);
        for name in key.names() {
            let mut next = positions & deep;
            let mut rest = positions & !deep;
            while rest != 0 {
                let index = rest.trailing_zeros();
                rest &= rest - 1;
                let fits = match self.parts.get(index as usize) {
                    Some(Part::Literal(own)) => own == name,
                    Some(Part::Name(pattern)) => pattern.matches(name),
                    Some(Part::Deep) | None => false,
                };
                next |= Positions::from(fits) << (index + 1);
            }
            positions = skip(next);
            if positions == 0 {
                break;
            }
        }
        positions
    }

    /// The positions before a `**`.
    fn deep(&self) -> Positions {
        let parts = self.parts.iter().enumerate();
        let deep = parts.filter(|(_, part)| **part == Part::Deep);
        deep.fold(0, |all, (index, _)| all | 1 << index)
    }
}

fn literal_prefix(parts: &[Part]) -> Key {
    let mut prefix = Key::ROOT;
    for part in parts {
        let Part::Literal(name) = part else { break };
        match prefix.child(name) {
            Ok(longer) => prefix = longer,
            // No key is that long, so any prefix is correct.
            Err(_) => break,
        }
    }
    prefix
}

impl fmt::Display for GlobPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for GlobPattern {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<GlobPattern, TreeError> {
        GlobPattern::parse(text)
    }
}

impl Serialize for GlobPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for GlobPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GlobPattern, D::Error> {
        let text = SmolStr::deserialize(deserializer)?;
        GlobPattern::parse(&text).map_err(|error| serde::de::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn glob(text: &str) -> GlobPattern {
        GlobPattern::parse(text).unwrap()
    }

    #[test]
    fn one_star_is_one_name_and_two_are_any_number() {
        for (pattern, name, matches, below) in [
            ("lwj.*.state", "lwj.17.state", true, false),
            ("lwj.*.state", "lwj.17", false, true),
            ("lwj.*.state", "lwj.17.stat", false, false),
            ("lwj.*.state", "lwj.1.2.state", false, false),
            ("lwj.*.state", ".", false, true),
            ("lwj.*.state", "x", false, false),
            ("**", ".", true, true),
            ("**", "a.b.c", true, true),
            ("a.**", "a", true, true),
            ("a.**", "b", false, false),
            ("a.**.z", "a.z", true, true),
            ("a.**.z", "a.b.c.z", true, true),
            ("a.**.z", "a.b.c", false, true),
            ("**.**.x", "x", true, true),
            ("j?.[ab]*", "j1.bcd", true, false),
            ("j?.[ab]*", "j1", false, true),
            ("j?.[ab]*", "j12", false, false),
            ("*", ".", false, true),
        ] {
            assert_eq!(
                glob(pattern).matches(&key(name)),
                matches,
                "{pattern} {name}"
            );
            assert_eq!(
                glob(pattern).may_match_below(&key(name)),
                below,
                "{pattern} below {name}"
            );
        }
    }

    #[test]
    fn prefix_ends_at_the_first_wildcard() {
        assert_eq!(glob("a.b.*.c").literal_prefix(), key("a.b"));
        assert_eq!(glob("a.b*.c").literal_prefix(), key("a"));
        assert_eq!(glob("**.c").literal_prefix(), Key::ROOT);
        assert_eq!(glob("a\\*.?").literal_prefix(), key("a*"));
    }

    #[test]
    fn long_patterns_are_refused() {
        assert!(GlobPattern::parse(&vec!["*"; KEY_NAMES].join(".")).is_ok());
        assert!(GlobPattern::parse(&vec!["*"; KEY_NAMES + 1].join(".")).is_err());
    }

    #[test]
    fn patterns_with_too_many_wildcards_that_stand_for_any_length_are_refused() {
        for (one, joint) in [("**.a", "."), ("*a", "."), ("*a", "")] {
            let of = |count| vec![one; count].join(joint);
            assert!(GlobPattern::parse(&of(PATTERN_LOOPS)).is_ok(), "{one}");
            let error = GlobPattern::parse(&of(PATTERN_LOOPS + 1)).unwrap_err();
            assert_eq!(error.kind, TreeErrorKind::Limit);
            assert!(
                error.message.contains("the limit is 16"),
                "{}",
                error.message
            );
        }
    }

    fn slow(parts: &[Part], names: &[&str]) -> bool {
        match (parts, names) {
            ([], []) => true,
            ([Part::Deep, rest @ ..], _) => {
                slow(rest, names) || (!names.is_empty() && slow(parts, &names[1..]))
            }
            ([Part::Literal(own), parts @ ..], [name, names @ ..]) => {
                own == name && slow(parts, names)
            }
            ([Part::Name(own), parts @ ..], [name, names @ ..]) => {
                own.matches(name) && slow(parts, names)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_means_what_it_says(
            parts in prop::collection::vec(prop_oneof!["a", "b", "\\*", "\\*\\*"], 1..5),
            names in prop::collection::vec("[ab]", 0..5),
        ) {
            let text = parts.join(".").replace('\\', "");
            let pattern = glob(&text);
            let refs: Vec<&str> = names.iter().map(String::as_str).collect();
            let whole = if names.is_empty() { Key::ROOT } else { key(&names.join(".")) };
            prop_assert_eq!(pattern.matches(&whole), slow(&pattern.parts, &refs));
            if pattern.matches(&whole) {
                for count in 0..names.len() {
                    prop_assert!(pattern.may_match_below(&whole.prefix(count)));
                }
                prop_assert!(whole.starts_with(&pattern.literal_prefix()));
            }
        }
    }
}
