//! Converts errors to a message for people and an exit status for scripts.
//!
//! A message is `kvs: CONTEXT: REASON`. The reason begins with the errno text for conditions known
//! from Flux, else with a stable name; then comes what the daemon says and, where it is not
//! obvious, what to do. The exit status is the kind of failure. Text and status each come from one
//! exhaustive map of error codes.

use std::fmt;
use std::process::ExitCode;

use kvs_client::{ClientError, ErrorCode};
use kvs_tree::Key;

use super::key::normal;
use crate::output::{OutputError, complain_safely};

/// Exit status after the reader of standard output has closed the pipe; shells report the same for
/// SIGPIPE.
const READER_GONE: u8 = 141;

/// The kind of failure that ended a command. Each has its own stable exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any other failure.
    Other,
    /// A usage error; no request was sent.
    Usage,
    /// A key, namespace or pin does not exist.
    NotThere,
    /// A condition of a transaction does not hold.
    ConditionFailed,
    /// A timeout expired.
    TimedOut,
    /// No daemon answers.
    NoDaemon,
    /// Permission denied.
    NotPermitted,
}

impl Kind {
    /// The exit status, as listed in docs/cli.md.
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

    /// The kind of an error from the daemon or the connection. A state that is no longer retained
    /// is not reported as one that does not exist.
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
            // A code of a newer daemon.
            _ => Self::Other,
        }
    }
}

/// The meaning of each exit status of a client.
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

/// An error that ends a command: its message without `kvs: `, and its kind.
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

/// An error with its kind and whole message.
pub(crate) fn failed(kind: Kind, text: impl Into<String>) -> anyhow::Error {
    let text = text.into();
    Failed { kind, text }.into()
}

/// A usage error, found before any request is sent.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    failed(Kind::Usage, text)
}

/// Prints the error that ended a command. Returns its exit status.
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

/// The kind of an error that ended a command or failed one of its items.
pub(crate) fn kind(error: &anyhow::Error) -> Kind {
    if let Some(failed) = error.downcast_ref::<Failed>() {
        return failed.kind;
    }
    let code = error.downcast_ref::<ClientError>().map(|error| error.code);
    code.map_or(Kind::Other, Kind::of)
}

/// Prints an error as one line.
pub(crate) fn say_error(error: &anyhow::Error) {
    say(&without_numbers(&format!("{error:#}")));
}

/// Removes the error numbers that the standard library appends to operating system errors.
pub(super) fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text + rest.strip_prefix(')').unwrap_or(rest)
    })
}

/// Prints one error line on standard error, escaped on a terminal.
pub(crate) fn say(text: &str) {
    complain_safely(&format!("kvs: {text}"));
}

/// Adds a context to errors of the daemon.
pub(crate) trait About<T> {
    /// Converts an error to `CONTEXT: REASON`.
    fn about(self, context: &str) -> anyhow::Result<T>;

    /// The same for a transaction. The context is the key among `keys` that the error names; else
    /// the only key; else the verb.
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

/// An error of the daemon with a message of our own.
pub(crate) fn refused(error: &ClientError, text: impl Into<String>) -> anyhow::Error {
    failed(Kind::of(error.code), text)
}

/// An error with the text of `code`, for a failure that the verb detects itself.
pub(crate) fn failure(context: &str, code: ErrorCode) -> anyhow::Error {
    failed(
        Kind::of(code),
        format!("{}: {}", shown(context), code.text()),
    )
}

/// An error with the text of `code` and a reason.
pub(crate) fn failure_as(context: &str, code: ErrorCode, reason: &str) -> anyhow::Error {
    let text = format!("{}: {}: {reason}", shown(context), code.text());
    failed(Kind::of(code), text)
}

/// A value was expected, but the key is a directory.
pub(crate) fn is_directory(key: &str) -> anyhow::Error {
    let advice = "`kvs ls` and `kvs dir` show what is in it, `kvs get -t` its tree object";
    let text = ErrorCode::IsDirectory.text();
    failed(Kind::Other, format!("{}: {text}; {advice}", shown(key)))
}

/// A value was expected, but the key is a link that may not be followed.
pub(crate) fn is_link(key: &str) -> anyhow::Error {
    let reason = "it is a symbolic link; `kvs readlink` shows where it leads";
    failure_as(key, ErrorCode::Invalid, reason)
}

/// An append was expected, but the value was replaced.
pub(crate) fn is_replaced(key: &str) -> anyhow::Error {
    let reason = "the value was replaced, and not appended to";
    failure_as(key, ErrorCode::Invalid, reason)
}

/// The namespace of the key, or of the link's target, does not exist.
pub(crate) fn is_nowhere(key: &str) -> anyhow::Error {
    let reason = "the namespace that it is in does not exist";
    failure_as(key, ErrorCode::NoNamespace, reason)
}

/// Collects the failures of a verb that continues with its other items.
#[derive(Debug, Default)]
pub(crate) struct Failures(Option<Kind>);

impl Failures {
    /// Prints and records a failure.
    pub(crate) fn say(&mut self, error: &anyhow::Error) {
        say_error(error);
        let kind = kind(error);
        self.0 = match self.0 {
            Some(other) if other != kind => Some(Kind::Other),
            _ => Some(kind),
        };
    }

    /// The status of their common kind; if the kinds differ, that of any other error.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.0
            .map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.status()))
    }
}

/// The context as printed; an empty key is printed as `''`.
fn shown(context: &str) -> &str {
    if context.is_empty() { "''" } else { context }
}

/// The reason of an error: what it is, why, and what to do.
pub(crate) fn explain(error: &ClientError) -> String {
    let name = error.code.name();
    let is_errno = name.starts_with(|c: char| c.is_ascii_uppercase());
    let mut text = if is_errno { error.code.text() } else { name }.to_owned();
    let message = match error.code {
        // The context names the key, and the code's text says the rest.
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

/// Removes the prefix `operation INDEX: VERB KEY: ` of the daemon's message; the context already
/// names the key.
fn without_place(message: &str) -> &str {
    let numbered = message
        .strip_prefix("operation ")
        .and_then(|rest| rest.split_once(": "))
        .filter(|(index, _)| index.parse::<usize>().is_ok());
    let rest = numbered.and_then(|(_, rest)| rest.split_once(": "));
    rest.map_or(message, |(_, reason)| reason)
}

/// What to do about an error, if its message does not say so.
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
        // A code of a newer daemon.
        _ => "",
    }
}

/// The key of a transaction that an error is about. Messages of the daemon begin with
/// `operation INDEX: VERB KEY: `; an invalid key is refused earlier, without this prefix.
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
        // A state that is no longer retained is not reported as one that does not exist.
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
