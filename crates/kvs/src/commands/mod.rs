//! One file for each verb or pair of verbs: its options (a `clap::Args` structure) and `run`.
//!
//! They share `options` (common options, the connection) and `failure` (the conversion of client
//! errors to messages).

mod interrupt;
mod key;
mod signals;

pub(crate) mod guard;

mod failure;

mod options;

mod from;
mod since;
mod value;

mod input;

mod listing;
mod matches;
mod sections;
mod outlet;
mod retelling;
mod report;
mod look;
mod show;

mod exec;
mod growth;
mod appending;
mod events;
mod until;
mod followed;
mod follow;

pub(crate) mod bench;
pub(crate) mod demo;
pub(crate) mod serve;
pub(crate) mod start;

mod manual;

pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod dir;
pub(crate) mod eventlog;
pub(crate) mod get;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod ls;
pub(crate) mod mkdir;
pub(crate) mod namespace;
pub(crate) mod put;
pub(crate) mod root;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod txn;
pub(crate) mod unlink;
pub(crate) mod watch;

pub(crate) mod setroot;

pub(crate) use failure::{report, usage};
pub(crate) use options::Daemon;
