//! The client against a daemon whose every answer is scripted.

mod callbacks;
mod fake;
mod follows;
mod modes;
mod requests;
mod runtimes;
mod watches;
