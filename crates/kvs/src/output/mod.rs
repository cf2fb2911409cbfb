//! Output: pure functions that format lines, columns and JSON, and `Sink`, the only access to
//! standard output.
//!
//! Nothing here depends on the client library: verbs convert replies to the plain structures of
//! this module, so every format is tested without a daemon.

mod escape;
mod pieces;
mod changes;
mod colours;
mod columns;
mod directory;
mod failure;
mod json;
mod moves;
mod progress;
mod sink;
mod status;
mod stderr;

pub(crate) use changes::{Before, ChangeReport, Elsewhere, Told, VersionReport, Who, seconds};
pub(crate) use colours::{colours_are_wanted, settle_colours};
pub(crate) use columns::Columns;
pub(crate) use directory::DirectoryLine;
pub(crate) use escape::{escape, escape_bytes, escape_value};
pub(crate) use failure::{OutputError, reason};
pub(crate) use json::{EntryJson, version_of};
pub(crate) use moves::{RootReport, Standing, Touched};
pub(crate) use pieces::{Encoding, Halves, Pieces, Utf8Check};
pub(crate) use progress::Progress;
pub(crate) use sink::{Sink, known_columns, print, reader_gone, terminal_columns};
pub(crate) use status::status_lines;
pub(crate) use stderr::{complain, complain_safely, last_words};
