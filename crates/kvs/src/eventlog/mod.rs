//! Eventlogs (RFC 18 of the Flux project): a value that is a sequence of JSON objects, one a line,
//! to which events are only ever appended.
//!
//! Pure: `entry` reads and writes entries, `decode` finds them in bytes that come in pieces,
//! `format` makes lines for people. JSON that was stored is printed as it was, but for white space,
//! so nothing is lost on the way through: no member order, no digit of a number.

mod entry;

mod decode;
mod format;

pub(crate) use decode::Decoder;
pub(crate) use entry::{Entry, Malformed, encode};
pub(crate) use format::Formatter;
