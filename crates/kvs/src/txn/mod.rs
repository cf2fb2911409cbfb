//! The text of a transaction, for `kvs txn`: one operation or condition a line, in words or in
//! JSON, or one JSON array of them. What is here is pure; keys are the daemon's to judge.

mod step;

mod json;
mod words;

mod parse;

pub(crate) use parse::parse;
pub(crate) use step::{Numbered, Step};
