//! The client against a daemon whose every answer is scripted.

mod fake;
mod requests;
mod watches;
