//! Eventlogs (RFC 18 of the Flux project): a value of JSON objects, one per line, to which events
//! are only appended.
//!
//! Pure: `entry` encodes and decodes entries, `decode` finds them in bytes that arrive in pieces,
//! `format` formats lines for people. Stored JSON is printed unchanged except for white space: the
//! order of members and the digits of numbers are preserved.

mod entry;

mod decode;
mod format;

pub(crate) use decode::Decoder;
pub(crate) use entry::{Entry, Malformed, encode};
pub(crate) use format::Formatter;
