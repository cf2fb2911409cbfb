//! The journal: the ordered, durable record of every change, in groups that are appended
//! atomically.
//!
//! RFC 0009 specifies the meaning of every result.

mod error;

mod api;

pub use api::{Append, Appended, Journal, JournalReader};
pub use error::{GroupNumber, JournalError};
