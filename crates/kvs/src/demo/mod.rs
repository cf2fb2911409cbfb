//! `kvs demo`: a job executor and four job status clients synchronise through a real daemon.
//!
//! Reading order: `job` (what is written and what must be found), `record` (a client's memory),
//! `validate` (the judge), `report` (what is printed), `executor` and `client` (the two sides),
//! `process` (a client as a child process), `run` (the course of it all). The parts that judge are
//! pure; the rest uses the client library and nothing else of kvs.

mod job;

mod record;

mod validate;

mod report;

mod executor;

mod client;

mod process;

mod run;

pub(crate) use client::{ClientOptions, run as run_client};
pub(crate) use run::run;
