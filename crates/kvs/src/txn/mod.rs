//! The text format of transactions, for `kvs txn`: one operation or condition per line, in words or
//! in JSON, or one JSON array of them. Pure; the daemon validates keys.

mod step;

mod json;
mod words;

mod parse;

pub(crate) use parse::parse;
pub(crate) use step::{Numbered, Step};
