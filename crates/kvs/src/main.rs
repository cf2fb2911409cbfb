//! The `kvs` command: one binary, in which `serve` is the daemon and most other verbs are its clients.
//!
//! Reading order: `cli` (what can be typed) hands to `commands` (one file a verb), which print
//! through `output`. Errors of every kind end here, as one line `kvs: CONTEXT: REASON` and exit 1.

mod output;

mod commands;

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => commands::report(&error),
    }
}
