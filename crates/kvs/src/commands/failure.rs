//! From errors to the line that people read: `kvs: CONTEXT: REASON`.
//!
//! Conditions that Flux has show the text of their errno and nothing else; our own show their stable
//! name and the daemon's sentence, because only that tells what to do.

use std::process::ExitCode;

use anyhow::anyhow;
use kvs_client::{ClientError, ErrorCode};
use kvs_tree::Key;

use super::key::normal;
use crate::output::{OutputError, complain_safely};

/// Exit status when the reader of standard output has gone away: what a shell reports for SIGPIPE.
const READER_GONE: u8 = 141;

/// Prints an error that ended a command and gives the exit status for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error
        .downcast_ref::<OutputError>()
        .is_some_and(OutputError::reader_is_gone)
    {
        return ExitCode::from(READER_GONE);
    }
    say(&without_numbers(&format!("{error:#}")));
    ExitCode::FAILURE
}

/// A text without the numbers that the standard library puts behind reasons of the system.
pub(super) fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text + rest.strip_prefix(')').unwrap_or(rest)
    })
}

/// Prints one error line on standard error, harmless if that is a terminal.
pub(crate) fn say(text: &str) {
    complain_safely(&format!("kvs: {text}"));
}

/// An answer of the daemon that may be an error, and what it is about.
pub(crate) trait About<T> {
    /// The answer, or the error `CONTEXT: REASON`.
    fn about(self, context: &str) -> anyhow::Result<T>;

    /// The same for a transaction: the context is the one of `keys` that the error names, if it
    /// names one; else the only key; else the verb.
    fn about_one_of(self, verb: &str, keys: &[&str]) -> anyhow::Result<T>;
}

impl<T> About<T> for Result<T, ClientError> {
    fn about(self, context: &str) -> anyhow::Result<T> {
        self.map_err(|error| anyhow!("{}: {}", shown(context), explain(&error)))
    }

    fn about_one_of(self, verb: &str, keys: &[&str]) -> anyhow::Result<T> {
        self.map_err(|error| {
            anyhow!(
                "{}: {}",
                shown(culprit(&error, verb, keys)),
                explain(&error)
            )
        })
    }
}

/// The error of `code`, for what a verb finds out by itself.
pub(crate) fn failure(context: &str, code: ErrorCode) -> anyhow::Error {
    anyhow!("{}: {}", shown(context), code.text())
}

/// The context as it stands in the line; the empty key is made visible.
fn shown(context: &str) -> &str {
    if context.is_empty() { "''" } else { context }
}

/// The text of an error as it stands behind its context.
pub(crate) fn explain(error: &ClientError) -> String {
    let name = error.code.name();
    if name.starts_with(|c: char| c.is_ascii_uppercase()) {
        error.code.text().to_owned()
    } else if error.message.is_empty() {
        format!("{name}: {}", error.code.text())
    } else {
        format!("{name}: {}", error.message)
    }
}

/// Which of the keys of a transaction an error is about. The daemon begins its message with
/// `operation INDEX: VERB KEY: `; a key that is none never gets that far.
fn culprit<'k>(error: &ClientError, verb: &'k str, keys: &[&'k str]) -> &'k str {
    let operation = error
        .message
        .strip_prefix("operation ")
        .and_then(|rest| rest.split_once(": "));
    let named = operation
        .and_then(|(_, rest)| rest.split_once(' '))
        .map(|(_, rest)| rest);
    let is_named = |key: &&&str| {
        let rest = named.and_then(|named| named.strip_prefix(normal(key).as_str()));
        rest.is_some_and(|rest| rest.starts_with(": "))
    };
    let is_none = |key: &&&str| error.code == ErrorCode::Invalid && Key::parse(key).is_err();
    let only = match keys {
        [only] => Some(only),
        _ => None,
    };
    let culprit = only
        .or_else(|| keys.iter().find(is_named))
        .or_else(|| keys.iter().find(is_none));
    culprit.copied().unwrap_or(verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: ErrorCode, message: &str) -> Result<(), ClientError> {
        Err(ClientError::new(code, message))
    }

    #[test]
    fn numbers_of_the_system_are_not_shown() {
        let text = "cannot make a: File exists (os error 17): really (os error 2)";
        assert_eq!(without_numbers(text), "cannot make a: File exists: really");
        assert_eq!(without_numbers("plain (text)"), "plain (text)");
    }

    #[test]
    fn conditions_that_flux_has_show_their_errno_text_alone() {
        let text = error(ErrorCode::NotFound, "a.b: nothing is there")
            .about("a.b")
            .unwrap_err();
        assert_eq!(text.to_string(), "a.b: No such file or directory");
        let text = error(ErrorCode::NoNamespace, "").about("x").unwrap_err();
        assert_eq!(text.to_string(), "x: Operation not supported");
    }

    #[test]
    fn our_own_show_their_name_and_message() {
        let message = "version 3 is older than the oldest retained version 17";
        let text = error(ErrorCode::Compacted, message)
            .about("a.b")
            .unwrap_err();
        assert_eq!(text.to_string(), format!("a.b: compacted: {message}"));
        let text = error(ErrorCode::Busy, "").about("a.b").unwrap_err();
        assert_eq!(text.to_string(), "a.b: busy: Busy, try again");
    }

    #[test]
    fn a_transaction_names_the_key_that_failed_if_it_can_be_told() {
        let append = || {
            error(
                ErrorCode::IsDirectory,
                "operation 1: append b.c: is a directory",
            )
        };
        let text = append().about_one_of("put", &["b", "b..c"]).unwrap_err();
        assert_eq!(text.to_string(), "b..c: Is a directory");
        let text = append().about_one_of("put", &["a", "b"]).unwrap_err();
        assert_eq!(text.to_string(), "put: Is a directory");
        let text = append().about_one_of("put", &["a"]).unwrap_err();
        assert_eq!(text.to_string(), "a: Is a directory");
        let text = error(ErrorCode::Invalid, "")
            .about_one_of("put", &[""])
            .unwrap_err();
        assert_eq!(text.to_string(), "'': Invalid argument");
    }
}
