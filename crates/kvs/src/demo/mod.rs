//! `kvs demo`: a job executor and four job status clients synchronise through a real daemon.
//!
//! Reading order: `job` (what is written and expected), `record` (a client's durable state),
//! `validate` (the checks), `report` (the output), `executor` and `client` (the two sides),
//! `process` (a client as a child process), `run` (the whole run). The checks are pure; the rest
//! uses only the client library.

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
