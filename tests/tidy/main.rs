//! The shape of the workspace, checked by reading its own sources: which crate and which module may
//! import which, that every file has a header and stays short, and that the documents keep up.
//!
//! Everything here is textual and needs no build of what it reads. In reading order: `sources`
//! finds files and strips what is no code, `tokens` and `modules` make the module graph of a crate;
//! then the checks: `crates`, `order`, `records`, `files`, `widths`, `limits`, `documents`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod sources;
mod tokens;

mod modules;

mod crates;
mod documents;
mod files;
mod limits;
mod order;
mod public;
mod records;
mod widths;

mod facts;

/// Fails with one line for each finding.
fn expect_none(what: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{what}:\n{}", findings.join("\n"));
}
