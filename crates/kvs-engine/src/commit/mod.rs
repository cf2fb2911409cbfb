//! The write side. One task owns every head, forms groups, and publishes what the journal has made
//! durable. Nothing else moves a root.
//!
//! In reading order: `merge` (which transactions may share a version), `draft` (a group before its
//! roots are hashed), `head` (one namespace, ahead of its published state), `command` (the
//! commands), `line` and `inbox` (where they wait), `group` (the contents of one append), `packing`
//! (its packs), `writer` (the owner of the journal), `time` (stamps and ages), `leases` (deadlines
//! of pins), `retention` (what may be dropped), `detaching` (evicts nodes that packs hold),
//! `trouble` (reports failures that are retried), `matching` (wakes watches and followers), `life`
//! (whether the store serves), `waiting` (transactions that lack objects, in lines), `loading`
//! (loads those objects), `task` (the task and its loop), and the parts of the task: `holding`
//! (answers that wait for the disk), `loads` (transactions wait, and continue), `accept` (evaluates
//! a transaction), `admin` (namespaces and pins), `publish` (a group became durable, or failed),
//! `upkeep` (checkpoints, trimming, syncs), `pace` (batch sizes and the timer), `replica` (compares
//! a replayed copy with the state), `handle` (dispatches commands).

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
