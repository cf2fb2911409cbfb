//! The steps from a node of the index to its children.

use smol_str::SmolStr;

use super::super::glob::{GlobPattern, Part};
use super::super::name::Token;

/// How a node is reached from its parent.
#[derive(Clone, Debug)]
pub(super) enum Edge {
    Root,
    Name(SmolStr),
    AnyName,
    Deep,
    Char(char),
    AnyChar,
    Star,
    /// Always a [`Token::Class`].
    Class(Box<Token>),
    End,
}

/// A borrowed [`Edge`], for looking up a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step<'a> {
    /// One whole name.
    Name(&'a str),
    /// A lone `*`: any one name.
    AnyName,
    /// `**`: any number of names. Its node stays alive for the rest of the key.
    Deep,
    /// One character within a name.
    Char(char),
    /// `?`
    AnyChar,
    /// `*` within a name. Its node stays alive until the name ends.
    Star,
    /// `[...]`
    Class(&'a Token),
    /// The end of a name that was matched character by character.
    End,
}

/// The kinds of steps, as bits.
pub(super) mod kind {
    pub(in super::super) const NAME: u8 = 1;
    pub(in super::super) const ANY_NAME: u8 = 2;
    pub(in super::super) const DEEP: u8 = 4;
    pub(in super::super) const CHAR: u8 = 8;
    pub(in super::super) const ANY_CHAR: u8 = 16;
    pub(in super::super) const STAR: u8 = 32;
    pub(in super::super) const CLASS: u8 = 64;
    pub(in super::super) const END: u8 = 128;
    /// Steps that begin a match within a name.
    pub(in super::super) const IN_NAME: u8 = CHAR | ANY_CHAR | STAR | CLASS;
}

impl Edge {
    pub(super) fn step(&self) -> Option<Step<'_>> {
        Some(match self {
            Edge::Root => return None,
            Edge::Name(name) => Step::Name(name),
            Edge::AnyName => Step::AnyName,
            Edge::Deep => Step::Deep,
            Edge::Char(c) => Step::Char(*c),
            Edge::AnyChar => Step::AnyChar,
            Edge::Star => Step::Star,
            Edge::Class(token) => Step::Class(token),
            Edge::End => Step::End,
        })
    }
}

impl Step<'_> {
    pub(super) fn edge(self) -> Edge {
        match self {
            Step::Name(name) => Edge::Name(name.into()),
            Step::AnyName => Edge::AnyName,
            Step::Deep => Edge::Deep,
            Step::Char(c) => Edge::Char(c),
            Step::AnyChar => Edge::AnyChar,
            Step::Star => Edge::Star,
            Step::Class(token) => Edge::Class(Box::new(token.clone())),
            Step::End => Edge::End,
        }
    }

    pub(super) fn kind(self) -> u8 {
        match self {
            Step::Name(_) => kind::NAME,
            Step::AnyName => kind::ANY_NAME,
            Step::Deep => kind::DEEP,
            Step::Char(_) => kind::CHAR,
            Step::AnyChar => kind::ANY_CHAR,
            Step::Star => kind::STAR,
            Step::Class(_) => kind::CLASS,
            Step::End => kind::END,
        }
    }
}

fn token_step(token: &Token) -> Step<'_> {
    match token {
        Token::One(c) => Step::Char(*c),
        Token::Any => Step::AnyChar,
        Token::Star => Step::Star,
        Token::Class { .. } => Step::Class(token),
    }
}

/// The steps that make up a pattern.
pub(super) fn steps(pattern: &GlobPattern) -> impl Iterator<Item = Step<'_>> {
    pattern.parts().iter().flat_map(|part| {
        let (one, tokens): (_, &[Token]) = match part {
            Part::Deep => (Some(Step::Deep), &[]),
            Part::Literal(name) => (Some(Step::Name(name)), &[]),
            Part::Name(name) => match name.tokens() {
                [Token::Star] => (Some(Step::AnyName), &[]),
                tokens => (None, tokens),
            },
        };
        let end = one.is_none().then_some(Step::End);
        one.into_iter()
            .chain(tokens.iter().map(token_step))
            .chain(end)
    })
}
