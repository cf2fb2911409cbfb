//! The `kvs` command: one binary, in which `serve` is the daemon and most other verbs are clients.
//!
//! Reading order: `output` prints; `demo` implements `kvs demo`; `eventlog` is the eventlog format
//! and `txn` the text format of transactions; `commands` has one file for each verb; `cli` is the
//! command line. The daemon is `kvs-server`, `kvs bench` is `kvs-bench`. All errors end here, as
//! one line `kvs: CONTEXT: REASON` and exit status 1.

mod limits;

mod quantity;

mod output;

mod demo;

mod eventlog;

mod txn;

mod commands;

mod cli;

use std::process::ExitCode;

/// A put's memory is allocated on one thread, freed on another, and lives for some hundred
/// versions. The C library's allocator then grows page by page, with a system call for each page
/// (docs/performance.md, "What was tried").
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    kvs_server::end_process_on_panic(output::last_words);
    output::settle_colours();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => commands::report(&error),
    }
}
