//! Limits of requests, checked before anything is decoded or allocated. The check steps over the
//! heads of the MessagePack items and refuses an array, string or body that exceeds its limit at
//! its head.
//!
//! Every array of a request needs a row in `ARRAYS`.

use crate::code::ErrorCode;
use crate::error::ProtocolError;
use crate::limits::{
    BODY_DEPTH, BODY_ITEMS, HELLO_ITEMS, LOOKUP_KEYS, SCOPES, TEXT_BYTES, TRANSACTION_NAME_BYTES,
    TRANSACTION_OPERATIONS,
};
use crate::pack::{Head, Rest};

/// The arrays of all requests: request, field, maximum elements.
const ARRAYS: &[(&str, &str, usize)] = &[
    ("hello", "versions", HELLO_ITEMS),
    ("hello", "namespaces", HELLO_ITEMS),
    ("commit", "conditions", TRANSACTION_OPERATIONS),
    ("commit", "operations", TRANSACTION_OPERATIONS),
    ("watch", "scopes", SCOPES),
    ("log", "scopes", SCOPES),
    ("lookup_many", "keys", LOOKUP_KEYS),
];

/// Fields that contain values: bytes up to the length of a frame.
const VALUES: [&str; 3] = ["value", "object", "bytes"];

/// A body of at most this many bytes exceeds no limit: the smallest limit is that of transaction
/// names.
const ALWAYS_WITHIN: usize = TRANSACTION_NAME_BYTES;

/// Checks that the body of a request is within all limits.
pub(crate) fn check(what: &'static str, body: &[u8]) -> Result<(), ProtocolError> {
    if body.len() <= ALWAYS_WITHIN {
        return Ok(());
    }
    Walk::new(what, body).fields(|_, _| ())
}

/// Checks that an array to be sent is within its limit.
#[inline]
pub(crate) fn check_count(
    what: &'static str,
    field: &'static str,
    count: usize,
) -> Result<(), ProtocolError> {
    // Every array may have one element, and most have no more; this saves the lookup.
    if count <= 1 {
        return Ok(());
    }
    check_many(what, field, count)
}

fn check_many(what: &'static str, field: &'static str, count: usize) -> Result<(), ProtocolError> {
    match most_elements(what, field) {
        Some(limit) if count > limit => Err(ProtocolError::OverLimit {
            what,
            field: field.to_owned(),
            count,
            unit: "elements",
            limit,
            code: ErrorCode::Limit,
        }),
        _ => Ok(()),
    }
}

fn most_elements(what: &str, field: &str) -> Option<usize> {
    let row = ARRAYS.iter().find(|row| (row.0, row.1) == (what, field));
    row.map(|row| row.2)
}

/// A walk over the items of a body.
pub(crate) struct Walk<'a> {
    what: &'static str,
    rest: Rest<'a>,
    /// Elements of arrays and maps whose heads were read; bounds how many are visited.
    items: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(what: &'static str, body: &'a [u8]) -> Self {
        Walk {
            what,
            rest: Rest(body),
            items: 0,
        }
    }

    /// Steps over a request, a map with string keys. Calls `see` with each key and the input from
    /// its content on. Ignores what follows the map.
    pub(crate) fn fields(
        &mut self,
        mut see: impl FnMut(&'a str, Rest<'a>),
    ) -> Result<(), ProtocolError> {
        let Head::Map(fields) = self.head()? else {
            return Err(self.malformed("it is not a map"));
        };
        self.add(fields.saturating_mul(2))?;
        for _ in 0..fields {
            let Head::Text(length) = self.head()? else {
                return Err(self.malformed("the name of a field is not text"));
            };
            let field = self.text("", length, TEXT_BYTES, ErrorCode::Limit)?;
            see(field, self.rest);
            match self.head()? {
                Head::Array(count) => {
                    let limit = most_elements(self.what, field).unwrap_or(BODY_ITEMS);
                    if count > limit {
                        return Err(self.over(field, count, "elements", limit, ErrorCode::Limit));
                    }
                    self.content(field, Head::Array(count), 0)?;
                }
                Head::Text(length) if (self.what, field) == ("commit", "name") => {
                    self.text(field, length, TRANSACTION_NAME_BYTES, ErrorCode::TooBig)?;
                }
                head => self.content(field, head, 0)?,
            }
        }
        Ok(())
    }

    /// Steps over the content after a head; `field` is the nearest enclosing field.
    fn content(&mut self, field: &str, head: Head, depth: usize) -> Result<(), ProtocolError> {
        if depth > BODY_DEPTH {
            return Err(self.malformed("it is nested too deep"));
        }
        match head {
            Head::Scalar(length) => self.skip(length).map(drop),
            Head::Text(length) => self
                .text(field, length, TEXT_BYTES, ErrorCode::Limit)
                .map(drop),
            Head::Binary(length) if length > TEXT_BYTES && !VALUES.contains(&field) => {
                Err(self.over(field, length, "bytes", TEXT_BYTES, ErrorCode::Limit))
            }
            Head::Binary(length) => self.skip(length).map(drop),
            Head::Array(count) => {
                self.add(count)?;
                for _ in 0..count {
                    let head = self.head()?;
                    self.content(field, head, depth + 1)?;
                }
                Ok(())
            }
            Head::Map(count) => {
                self.add(count.saturating_mul(2))?;
                for _ in 0..count {
                    let field = match self.head()? {
                        Head::Text(length) => {
                            self.text(field, length, TEXT_BYTES, ErrorCode::Limit)?
                        }
                        other => {
                            self.content("", other, depth + 1)?;
                            ""
                        }
                    };
                    let head = self.head()?;
                    self.content(field, head, depth + 1)?;
                }
                Ok(())
            }
        }
    }

    fn head(&mut self) -> Result<Head, ProtocolError> {
        let head = self.rest.head();
        head.ok_or_else(|| self.malformed("it ends too early, or is not MessagePack"))
    }

    fn skip(&mut self, length: usize) -> Result<&'a [u8], ProtocolError> {
        let bytes = self.rest.take(length);
        bytes.ok_or_else(|| self.malformed("it ends too early"))
    }

    /// Steps over a string that is the content or the name of a field.
    fn text(
        &mut self,
        field: &str,
        length: usize,
        limit: usize,
        code: ErrorCode,
    ) -> Result<&'a str, ProtocolError> {
        if length > limit {
            return Err(self.over(field, length, "bytes", limit, code));
        }
        // Invalid UTF-8 is refused by the decoder.
        Ok(std::str::from_utf8(self.skip(length)?).unwrap_or_default())
    }

    /// Counts elements that are about to be visited.
    fn add(&mut self, count: usize) -> Result<(), ProtocolError> {
        let items = self.items.saturating_add(count);
        if items > BODY_ITEMS {
            return Err(self.over("body", items, "elements", BODY_ITEMS, ErrorCode::Limit));
        }
        self.items = items;
        Ok(())
    }

    fn malformed(&self, reason: &str) -> ProtocolError {
        ProtocolError::Body {
            what: self.what,
            reason: reason.to_owned(),
        }
    }

    fn over(
        &self,
        field: &str,
        count: usize,
        unit: &'static str,
        limit: usize,
        code: ErrorCode,
    ) -> ProtocolError {
        let field = if field.is_empty() { "a field" } else { field };
        ProtocolError::OverLimit {
            what: self.what,
            field: field.chars().take(TRANSACTION_NAME_BYTES).collect(),
            count,
            unit,
            limit,
            code,
        }
    }
}

#[cfg(test)]
mod tests;
