//! The `kvs` command: one binary, in which `serve` is the daemon and most other verbs are its
//! clients.
//!
//! Reading order: `output` is how things are printed; `demo` is what `kvs demo` does; `eventlog` is
//! the format of eventlogs, `txn` that of written transactions; `commands` are the verbs, one file
//! each; `cli` is what can be typed. The daemon is `kvs-server`, `kvs bench` is `kvs-bench`. Errors
//! of every kind end here, as one line `kvs: CONTEXT: REASON` and exit 1.

mod limits;

mod quantity;

mod output;

mod demo;

mod eventlog;

mod txn;

mod commands;

mod cli;

use std::process::ExitCode;

/// What a put allocates is made by one thread and dropped by another, and lives for some hundred
/// versions. The C library's allocator then grows page by page, with a system call for each
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
