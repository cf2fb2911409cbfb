//! The fields that decide a caller's rights, read before a request is decoded. Like the check of
//! limits, this steps over the head and copies nothing.

use crate::bounds::Walk;
use crate::error::ProtocolError;
use crate::position::RepeatFrom;
use serde::Deserialize;

/// The fields of a commit without its conditions and operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitHead<'a> {
    /// As in [`Commit`](crate::Commit).
    pub namespace: &'a str,
    /// As in [`Commit`](crate::Commit).
    pub number: u64,
    /// As in [`Commit`](crate::Commit).
    pub acknowledged: u64,
    /// As in [`Commit`](crate::Commit).
    pub root: bool,
    /// As in [`Commit`](crate::Commit).
    pub repeat: Option<RepeatFrom>,
}

impl<'a> CommitHead<'a> {
    /// Reads the fields, in any order.
    ///
    /// # Errors
    /// If the body exceeds a limit, or a field is missing or malformed.
    pub fn read(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let (mut namespace, mut number) = (None, None);
        let (mut acknowledged, mut repeat, mut root) = (Some(0), Some(None), false);
        Walk::new("commit", body).fields(|name, mut field| match name {
            "namespace" => namespace = field.request_text(),
            "number" => number = field.number(),
            "acknowledged" => acknowledged = field.number(),
            "root" => root = field.byte() == Some(0xc3),
            "repeat" => repeat = position(field.0),
            _ => {}
        })?;
        Ok(CommitHead {
            namespace: namespace.ok_or_else(|| malformed("namespace"))?,
            number: number.ok_or_else(|| malformed("number"))?,
            acknowledged: acknowledged.ok_or_else(|| malformed("acknowledged"))?,
            root,
            repeat: repeat.ok_or_else(|| malformed("repeat"))?,
        })
    }
}

fn position(field: &[u8]) -> Option<Option<RepeatFrom>> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(field);
    Option::<RepeatFrom>::deserialize(&mut decoder).ok()
}

fn malformed(field: &str) -> ProtocolError {
    ProtocolError::Body {
        what: "commit",
        reason: format!("{field} is missing or malformed"),
    }
}

/// The namespace of a request, if it names one.
///
/// # Errors
/// If the body exceeds a limit or is not a map.
pub fn namespace_of<'a>(
    what: &'static str,
    body: &'a [u8],
) -> Result<Option<&'a str>, ProtocolError> {
    let mut namespace = None;
    Walk::new(what, body).fields(|name, mut field| {
        if name == "namespace" {
            namespace = field.request_text();
        }
    })?;
    Ok(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::body;
    use crate::{Commit, FRAME_BYTES, Position, write_request};
    use bytes::BytesMut;

    #[test]
    fn the_head_of_a_commit_is_read_whatever_is_wrong_with_the_rest() {
        let whole = Commit {
            acknowledged: 4,
            repeat: Some(Position {
                incarnation: 7,
                version: 300,
            }),
            ..Commit::new("jobs", 5, Vec::new())
        };
        let mut frame = BytesMut::new();
        write_request(&mut frame, FRAME_BYTES, 1, &whole.clone().into()).unwrap();
        let head = CommitHead {
            namespace: "jobs",
            number: 5,
            acknowledged: 4,
            root: false,
            repeat: whole.repeat,
        };
        assert_eq!(CommitHead::read(&body(frame)), Ok(head));
        let last = b"\x83\xaaoperations\xc0\xa6number\x05\xa9namespace\xa4jobs";
        let head = CommitHead {
            acknowledged: 0,
            repeat: None,
            ..head
        };
        assert_eq!(CommitHead::read(last), Ok(head));
        assert_eq!(namespace_of("commit", last), Ok(Some("jobs")));
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (body, field) in [
            (b"\x81\xa6number\x05".as_slice(), "namespace"),
            (b"\x81\xa9namespace\xa1n", "number"),
            (b"\x82\xa9namespace\x01\xa6number\x05", "namespace"),
            (
                b"\x83\xa9namespace\xa1n\xa6number\x05\xa6repeat\x01",
                "repeat",
            ),
        ] {
            let error = CommitHead::read(body).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        assert!(CommitHead::read(b"\x91").is_err());
        assert_eq!(namespace_of("lookup", b"\x80"), Ok(None));
    }
}
