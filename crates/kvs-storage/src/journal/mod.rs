//! The journal: the ordered, durable record of everything, in groups that are appended atomically.
//!
//! What every answer means is in RFC 0009.

mod error;

mod api;

pub use api::{Append, Appended, Journal, JournalReader};
pub use error::{GroupNumber, JournalError};
