//! The write side: one task that owns every head, forms groups, and publishes what the journal made
//! durable. Nothing else moves a root.
//!
//! In reading order: `merge` (who may share a version), `head` (one namespace ahead of what is
//! published), `command` (what is asked), `group` (what one append carries), `writer` (the journal's owner), `retention` (what
//! may be forgotten), `task` (the task itself: its loop), and its parts `accept` (a transaction comes
//! in), `publish` (a group became durable, or did not), `admin` (namespaces and pins), `upkeep`
//! (checkpoints, trimming, leases).

mod merge;
mod head;
mod command;
mod group;
mod writer;
mod retention;
mod task;

mod accept;
mod admin;
mod publish;
mod upkeep;

pub(crate) use command::Command;
pub(crate) use task::{CommitTask, Parts};
pub(crate) use writer::Writer;
