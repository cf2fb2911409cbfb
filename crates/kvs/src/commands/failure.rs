//! From errors to the line that people read and the exit status that scripts read.
//!
//! A line is `kvs: CONTEXT: REASON`, where the reason begins with the text of the errno for
//! conditions that Flux has and with a stable name for our own, goes on with what the daemon says
//! about it, and ends with what to do where that is not obvious. The exit status tells the kind of
//! the failure; both come from the error's code, each by one exhaustive map.

use std::fmt;
use std::process::ExitCode;

use kvs_client::{ClientError, ErrorCode};
use kvs_tree::Key;

use super::key::normal;
use crate::output::{OutputError, complain_safely};

/// Exit status when the reader of standard output has gone away: what a shell reports for SIGPIPE.
const READER_GONE: u8 = 141;

/// What kind of failure ended a command. Each has an exit status of its own, which stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None of the others.
    Other,
    /// The command line is wrong; nothing was asked of a daemon.
    Usage,
    /// A key, namespace or pin is not there.
    NotThere,
    /// A condition of a transaction does not hold.
    ConditionFailed,
    /// The time that was given is over.
    TimedOut,
    /// No daemon answers.
    NoDaemon,
    /// This user is not allowed to do it.
    NotPermitted,
}

impl Kind {
    /// The exit status, as docs/cli.md has it.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::NotThere => 3,
            Self::ConditionFailed => 4,
            Self::TimedOut => 5,
            Self::NoDaemon => 6,
            Self::NotPermitted => 7,
        }
    }

    /// The kind of an error of the daemon or the connection to it. What was there once and is not
    /// retained any more is not taken for what was never there.
    fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NotFound | ErrorCode::NoNamespace | ErrorCode::NoData => Self::NotThere,
            ErrorCode::ConditionFailed => Self::ConditionFailed,
            ErrorCode::Permission => Self::NotPermitted,
            ErrorCode::Disconnected | ErrorCode::Unavailable => Self::NoDaemon,
            ErrorCode::Exists
            | ErrorCode::NotDirectory
            | ErrorCode::IsDirectory
            | ErrorCode::Invalid
            | ErrorCode::TooBig
            | ErrorCode::NotEmpty
            | ErrorCode::LinkLoop
            | ErrorCode::BadObject
            | ErrorCode::LinkAppend
            | ErrorCode::Compacted
            | ErrorCode::StaleSnapshot
            | ErrorCode::NoSpace
            | ErrorCode::Limit
            | ErrorCode::OutcomeUnknown
            | ErrorCode::Busy
            | ErrorCode::Corrupt
            | ErrorCode::UnknownOperation
            | ErrorCode::BadRequest
            | ErrorCode::Cancelled
            | ErrorCode::ProtocolVersion => Self::Other,
            // Of a newer daemon.
            _ => Self::Other,
        }
    }
}

/// What each exit status of a client of a daemon means.
pub(super) const STATUSES: [(u8, &str); 10] = [
    (0, "success"),
    (1, "any other error"),
    (2, "the command line is wrong; no request was sent"),
    (3, "a key, namespace, pin or event does not exist"),
    (
        4,
        "a condition of a transaction does not hold; nothing changed",
    ),
    (5, "--timeout expired"),
    (
        6,
        "no daemon answers, or it went away and did not come back in time",
    ),
    (7, "permission denied"),
    (130, "SIGINT ended a command that was waiting"),
    (141, "the reader of standard output has gone away"),
];

/// An error that ends a command: its line, without the `kvs: ` before it, and its kind.
#[derive(Debug)]
pub(crate) struct Failed {
    kind: Kind,
    text: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failed {}

/// An error of that kind with its whole text.
pub(crate) fn failed(kind: Kind, text: impl Into<String>) -> anyhow::Error {
    let text = text.into();
    Failed { kind, text }.into()
}

/// An error of the command line, found before anything was asked of a daemon.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    failed(Kind::Usage, text)
}

/// Prints an error that ended a command and gives the exit status for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error
        .downcast_ref::<OutputError>()
        .is_some_and(OutputError::reader_is_gone)
    {
        return ExitCode::from(READER_GONE);
    }
    say_error(error);
    ExitCode::from(kind(error).status())
}

/// The kind of an error that ended a command, or one of the things that it was to do.
pub(crate) fn kind(error: &anyhow::Error) -> Kind {
    if let Some(failed) = error.downcast_ref::<Failed>() {
        return failed.kind;
    }
    let code = error.downcast_ref::<ClientError>().map(|error| error.code);
    code.map_or(Kind::Other, Kind::of)
}

/// Prints the line of an error.
pub(crate) fn say_error(error: &anyhow::Error) {
    say(&without_numbers(&format!("{error:#}")));
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
        self.map_err(|error| {
            let text = format!("{}: {}", shown(context), explain(&error));
            failed(Kind::of(error.code), text)
        })
    }

    fn about_one_of(self, verb: &str, keys: &[&str]) -> anyhow::Result<T> {
        self.map_err(|error| {
            let context = culprit(&error, verb, keys);
            let text = format!("{}: {}", shown(context), explain(&error));
            failed(Kind::of(error.code), text)
        })
    }
}

/// An error of the daemon under a text of its own.
pub(crate) fn refused(error: &ClientError, text: impl Into<String>) -> anyhow::Error {
    failed(Kind::of(error.code), text)
}

/// The error of `code`, for what a verb finds out by itself and the context says in full.
pub(crate) fn failure(context: &str, code: ErrorCode) -> anyhow::Error {
    failed(
        Kind::of(code),
        format!("{}: {}", shown(context), code.text()),
    )
}

/// The error of `code` with its reason.
pub(crate) fn failure_as(context: &str, code: ErrorCode, reason: &str) -> anyhow::Error {
    let text = format!("{}: {}: {reason}", shown(context), code.text());
    failed(Kind::of(code), text)
}

/// The error of a verb that wants a value and finds a directory.
pub(crate) fn is_directory(key: &str) -> anyhow::Error {
    let advice = "`kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object";
    let text = ErrorCode::IsDirectory.text();
    failed(Kind::Other, format!("{}: {text}; {advice}", shown(key)))
}

/// The error of a verb that wants a value and finds a link that it may not follow.
pub(crate) fn is_link(key: &str) -> anyhow::Error {
    let reason = "it is a symbolic link; `kvs readlink` shows where it leads";
    failure_as(key, ErrorCode::Invalid, reason)
}

/// The error of a verb that follows what is appended to a value and finds another one.
pub(crate) fn is_replaced(key: &str) -> anyhow::Error {
    let reason = "the value was replaced, and not appended to";
    failure_as(key, ErrorCode::Invalid, reason)
}

/// The error of a key that is, or leads, in a namespace that does not exist.
pub(crate) fn is_nowhere(key: &str) -> anyhow::Error {
    let reason = "the namespace that it is in does not exist";
    failure_as(key, ErrorCode::NoNamespace, reason)
}

/// Failures of a verb that goes on with the rest.
#[derive(Debug, Default)]
pub(crate) struct Failures(Option<Kind>);

impl Failures {
    /// Prints one and remembers it.
    pub(crate) fn say(&mut self, error: &anyhow::Error) {
        say_error(error);
        let kind = kind(error);
        self.0 = match self.0 {
            Some(other) if other != kind => Some(Kind::Other),
            _ => Some(kind),
        };
    }

    /// The status of the kind that all of them have, else that of an error.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.0
            .map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.status()))
    }
}

/// The context as it stands in the line; the empty key is made visible.
fn shown(context: &str) -> &str {
    if context.is_empty() { "''" } else { context }
}

/// The text of an error as it stands behind its context: what it is, why, and what to do.
pub(crate) fn explain(error: &ClientError) -> String {
    let name = error.code.name();
    let is_errno = name.starts_with(|c: char| c.is_ascii_uppercase());
    let mut text = if is_errno { error.code.text() } else { name }.to_owned();
    let message = match error.code {
        // The context names the key, and the text of the code says the rest.
        ErrorCode::NotFound | ErrorCode::NotDirectory => "",
        _ => without_place(&error.message),
    };
    match (message, is_errno) {
        ("", true) => {}
        ("", false) => text = format!("{text}: {}", error.code.text()),
        (message, _) => text = format!("{text}: {message}"),
    }
    match advice(error.code) {
        "" => text,
        advice => format!("{text}; {advice}"),
    }
}

/// The message of the daemon without the `operation INDEX: VERB KEY: ` before it, since the context
/// names the key.
fn without_place(message: &str) -> &str {
    let numbered = message
        .strip_prefix("operation ")
        .and_then(|rest| rest.split_once(": "))
        .filter(|(index, _)| index.parse::<usize>().is_ok());
    let rest = numbered.and_then(|(_, rest)| rest.split_once(": "));
    rest.map_or(message, |(_, reason)| reason)
}

/// What to do about an error, where its message does not say it.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotDirectory => "`kvs get` prints a value, `kvs readlink` where a link leads",
        ErrorCode::NoNamespace => "`kvs namespace list` shows those that you may read",
        ErrorCode::TooBig => {
            "divide it into several; a long value is put from standard input (kvs put -r KEY=-)"
        }
        ErrorCode::Compacted => "what must stay readable is to be pinned (kvs snapshot pin)",
        ErrorCode::NoSpace => "nothing changed; make room on the disk and try again",
        ErrorCode::OutcomeUnknown => "look before doing it again",
        ErrorCode::Corrupt => "the daemon's log says more",
        ErrorCode::Unavailable => "try again; the daemon's log says more",
        ErrorCode::UnknownOperation => "the daemon is older than this kvs",
        ErrorCode::ProtocolVersion => "take a kvs of the daemon's version",
        ErrorCode::Permission
        | ErrorCode::NotFound
        | ErrorCode::Exists
        | ErrorCode::IsDirectory
        | ErrorCode::Invalid
        | ErrorCode::NotEmpty
        | ErrorCode::LinkLoop
        | ErrorCode::NoData
        | ErrorCode::BadObject
        | ErrorCode::LinkAppend
        | ErrorCode::ConditionFailed
        | ErrorCode::StaleSnapshot
        | ErrorCode::Limit
        | ErrorCode::Busy
        | ErrorCode::BadRequest
        | ErrorCode::Cancelled
        | ErrorCode::Disconnected => "",
        // Of a newer daemon.
        _ => "",
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
    let of_a_key = matches!(error.code, ErrorCode::Invalid | ErrorCode::Limit);
    let is_none = |key: &&&str| of_a_key && Key::parse(key).is_err();
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

    fn text(code: ErrorCode, message: &str, context: &str) -> String {
        error(code, message).about(context).unwrap_err().to_string()
    }

    #[test]
    fn conditions_that_flux_has_begin_with_their_errno_text() {
        assert_eq!(
            text(ErrorCode::NotFound, "a.b: no such key", "a.b"),
            "a.b: No such file or directory"
        );
        assert_eq!(
            text(ErrorCode::NoNamespace, "namespace n does not exist", "x"),
            "x: Operation not supported: namespace n does not exist; \
             `kvs namespace list` shows those that you may read"
        );
        assert_eq!(
            text(ErrorCode::Invalid, "key must not be empty", ""),
            "'': Invalid argument: key must not be empty"
        );
    }

    #[test]
    fn our_own_begin_with_their_name() {
        let message = "version 3 is older than the oldest retained version 17";
        assert_eq!(
            text(ErrorCode::Compacted, message, "a.b"),
            format!(
                "a.b: compacted: {message}; what must stay readable is to be pinned (kvs snapshot pin)"
            )
        );
        assert_eq!(
            text(ErrorCode::Busy, "", "a.b"),
            "a.b: busy: Busy, try again"
        );
    }

    #[test]
    fn a_transaction_names_the_key_that_failed_if_it_can_be_told() {
        let append = || error(ErrorCode::IsDirectory, "operation 1: append b.c: no append");
        let text = |keys: &[&str]| append().about_one_of("put", keys).unwrap_err().to_string();
        assert_eq!(text(&["b", "b..c"]), "b..c: Is a directory: no append");
        assert_eq!(text(&["a", "b"]), "put: Is a directory: no append");
        assert_eq!(text(&["a"]), "a: Is a directory: no append");
        for code in [ErrorCode::Invalid, ErrorCode::Limit] {
            let empty = error(code, "").about_one_of("put", &["a", ""]).unwrap_err();
            assert!(empty.to_string().starts_with("'': "), "{empty}");
        }
    }

    #[test]
    fn every_code_has_a_kind_and_every_kind_a_status_of_its_own() {
        let kinds = [
            Kind::Other,
            Kind::Usage,
            Kind::NotThere,
            Kind::ConditionFailed,
            Kind::TimedOut,
            Kind::NoDaemon,
            Kind::NotPermitted,
        ];
        let statuses = kinds.map(Kind::status);
        assert_eq!(statuses, [1, 2, 3, 4, 5, 6, 7]);
        assert!(
            statuses
                .iter()
                .all(|own| STATUSES.iter().any(|(status, _)| status == own))
        );
        for code in ErrorCode::ALL {
            let error = error(*code, "why").about("x").unwrap_err();
            assert_eq!(kind(&error), Kind::of(*code));
            let wrapped = error.context("while testing");
            assert_eq!(
                kind(&wrapped),
                Kind::of(*code),
                "a context does not hide it"
            );
        }
        assert_eq!(kind(&anyhow::anyhow!("else")), Kind::Other);
        // What was there once is not taken for what never was.
        assert_eq!(Kind::of(ErrorCode::Compacted), Kind::Other);
        assert_eq!(Kind::of(ErrorCode::NotFound), Kind::NotThere);
    }

    #[test]
    fn failures_of_one_kind_have_its_status_and_others_that_of_an_error() {
        let mut failures = Failures::default();
        assert_eq!(failures.exit_code(), ExitCode::SUCCESS);
        let missing = failure("a", ErrorCode::NotFound);
        failures.say(&missing);
        failures.say(&missing);
        assert_eq!(failures.exit_code(), ExitCode::from(3));
        failures.say(&failure("b", ErrorCode::NotDirectory));
        assert_eq!(failures.exit_code(), ExitCode::from(1));
    }
}
