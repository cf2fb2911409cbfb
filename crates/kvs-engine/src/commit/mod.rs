//! The write side: one task that owns every head, forms groups, and publishes what the journal made
//! durable. Nothing else moves a root.
//!
//! In reading order: `merge` (who may share a version), `draft` (a group without its roots), `head`
//! (one namespace ahead of what is published), `command` (what is asked), `inbox` (where it waits),
//! `group` (what one append carries), `preparing` and `packing` (segments and packs for it),
//! `writer` (the journal's owner), `time` (stamps and ages), `leases` (deadlines of pins),
//! `retention` (what may be forgotten), `detaching` (what need not stay in memory), `trouble` (what
//! is tried again), `life` (whether it serves), `waiting` (transactions that lack something, in
//! lines), `loading` (what they lack is read beside), `task` (the task itself: its loop), and its
//! parts `holding` (answers that wait for the disk), `loads` (transactions wait, and go on),
//! `accept` (a transaction comes in), `publish` (a group became durable, or did not), `admin`
//! (namespaces and pins), `upkeep` (checkpoints, trimming, leases), `pace` (how much at once, and
//! when to look), `replica` (whether a copy arrives at the same state), `handle` (which of them a
//! command is for).

mod merge;
mod draft;
mod head;
mod command;
mod line;
mod inbox;
mod group;
mod packing;
#[expect(clippy::disallowed_methods, reason = "how long its thread busy-polls")]
mod writer;
mod time;
mod leases;
mod retention;
mod detaching;
mod trouble;
mod matching;
mod life;
mod waiting;
mod loading;
#[expect(clippy::disallowed_methods, reason = "the timer of its loop")]
mod task;

mod holding;
#[expect(clippy::disallowed_methods, reason = "the tasks that load")]
mod loads;
mod accept;
mod admin;
mod publish;
mod upkeep;
mod pace;
mod replica;
mod handle;

pub(crate) use command::Command;
pub(crate) use inbox::{Inbox, inbox};
pub(crate) use life::Life;
pub(crate) use task::{CommitTask, Parts};
pub(crate) use writer::Writer;
