//! Matches one name against one component of a glob.
//!
//! Glob libraries do not fit: they give `/` and braces a meaning, and names may contain these. The
//! cost is at most the product of both lengths, for any pattern.

use smol_str::SmolStr;

use crate::error::{TreeError, TreeErrorKind};

/// One element of a name pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    /// This character.
    One(char),
    /// Any single character.
    Any,
    /// Any number of characters.
    Star,
    /// One character inside the ranges or, if negated, outside.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A pattern for one name: `*`, `?`, `[a-z]`, `[!a-z]`; `\` escapes the next character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NamePattern(Vec<Token>);

impl NamePattern {
    pub(super) fn parse(text: &str) -> Result<NamePattern, TreeError> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => {
                    if tokens.last() == Some(&Token::Star) {
                        continue;
                    }
                    Token::Star
                }
                '?' => Token::Any,
                '[' => class(&mut chars).ok_or_else(|| bad(text, "'[' without a matching ']'"))?,
                '\\' => Token::One(chars.next().ok_or_else(|| bad(text, "'\\' at the end"))?),
                c => Token::One(c),
            });
        }
        Ok(NamePattern(tokens))
    }

    /// The only name that this matches, if it has no wildcards.
    pub(super) fn literal(&self) -> Option<SmolStr> {
        self.0
            .iter()
            .map(|token| match token {
                Token::One(c) => Some(*c),
                Token::Any | Token::Star | Token::Class { .. } => None,
            })
            .collect()
    }

    /// The number of stars; 0 for a lone `*`.
    pub(super) fn loops(&self) -> usize {
        match self.0.as_slice() {
            [Token::Star] => 0,
            tokens => tokens.iter().filter(|one| **one == Token::Star).count(),
        }
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.0
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let mut tokens = self.0.as_slice();
        let mut rest = name.chars();
        // Where to resume after a mismatch: after the last star, which then takes one more
        // character.
        let mut retry: Option<(&[Token], std::str::Chars<'_>)> = None;
        loop {
            if let Some((Token::Star, behind)) = tokens.split_first() {
                tokens = behind;
                retry = Some((behind, rest.clone()));
                continue;
            }
            let mut next = rest.clone();
            match (tokens.split_first(), next.next()) {
                (None, None) => return true,
                (Some((token, behind)), Some(c)) if token.takes(c) => {
                    tokens = behind;
                    rest = next;
                }
                _ => {
                    let Some((behind, mut from)) = retry.take() else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    tokens = behind;
                    rest = from.clone();
                    retry = Some((behind, from));
                }
            }
        }
    }
}

impl Token {
    /// Whether it matches this one character. A star, which matches many, does not.
    pub(super) fn takes(&self, c: char) -> bool {
        match self {
            Token::One(own) => *own == c,
            Token::Any => true,
            Token::Star => false,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// The class after a `[`. A `]` in first position is literal.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = chars.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class { negated, ranges }),
            '\\' => chars.next()?,
            c => c,
        };
        let mut ahead = chars.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                chars.next();
                match chars.next()? {
                    '\\' => chars.next()?,
                    c => c,
                }
            }
            _ => low,
        };
        ranges.push((low, high));
    }
}

fn bad(text: &str, why: &str) -> TreeError {
    let message = format!("pattern '{}': {why}", text.escape_debug());
    TreeError::new(TreeErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_match_within_a_name() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a*b*c", "axbxbxc", true),
            ("?", "ä", true),
            ("?", "", false),
            ("??", "a", false),
            ("[abc]x", "bx", true),
            ("[a-c]", "d", false),
            ("[!a-c]", "d", true),
            ("[^a-c]", "b", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[\\]a]", "a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
        ] {
            let parsed = NamePattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn unclosed_classes_and_escapes_are_refused() {
        for pattern in ["[", "[a", "[]", "a\\", "[a-", "[\\"] {
            assert!(NamePattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = NamePattern::parse(&"*a".repeat(100)).unwrap();
        assert!(!pattern.matches(&"b".repeat(255)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(254))));
    }

    /// Reference matcher: plain recursion.
    fn slow(tokens: &[Token], name: &[char]) -> bool {
        match (tokens, name) {
            ([], []) => true,
            ([Token::Star, rest @ ..], _) => {
                slow(rest, name) || (!name.is_empty() && slow(tokens, &name[1..]))
            }
            ([token, tokens @ ..], [c, name @ ..]) => token.takes(*c) && slow(tokens, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_means_what_it_says(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            let parsed = NamePattern::parse(&pattern).unwrap();
            let chars: Vec<char> = name.chars().collect();
            prop_assert_eq!(parsed.matches(&name), slow(&parsed.0, &chars));
        }
    }
}
