//! Error codes: one integer and one stable name each, and what the caller can do.
//!
//! Codes that Flux has keep their errno name and text. The integers are Linux errnos where the
//! errno is unambiguous (ENOTSUP shares its own with EOPNOTSUPP and so has another), and start at
//! 1000 otherwise.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// How the message begins with which a daemon that shuts down ends what it does not wait for: the
/// same request may be sent to the next daemon.
pub const SHUTTING_DOWN: &str = "the daemon shuts down";

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The request itself is wrong here: change it, a repetition fails again.
    FixRequest,
    /// The state is not what the request demands: read anew and decide.
    ReadAgain,
    /// The same request may succeed later.
    Retry,
    /// It may or may not have taken effect: look at the state before doing it again.
    Check,
    /// Stored data is damaged: an operator is needed.
    Operator,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $text:literal, $advice:ident;)*) => {
        /// The kind of an error answer. `Display` gives its text, as strerror would.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A code that this version does not know, from a newer daemon.
            Other(i64),
        }

        impl ErrorCode {
            /// Every known code, in the order of the RFC's table.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The integer on the wire.
            pub fn code(self) -> i64 {
                match self { $(ErrorCode::$variant => $code,)* ErrorCode::Other(code) => code }
            }

            /// The stable name, as in `ENOENT` or `compacted`.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* ErrorCode::Other(_) => "other" }
            }

            /// The text for people, as strerror would give it.
            pub fn text(self) -> &'static str {
                match self { $(ErrorCode::$variant => $text,)* ErrorCode::Other(_) => "Unknown error" }
            }

            /// What the caller can do.
            pub fn advice(self) -> Advice {
                match self { $(ErrorCode::$variant => Advice::$advice,)* ErrorCode::Other(_) => Advice::Check }
            }

            /// The code of an integer from the wire.
            pub fn from_code(code: i64) -> Self {
                match code { $($code => ErrorCode::$variant,)* other => ErrorCode::Other(other) }
            }
        }
    };
}

codes! {
    /// Not allowed for this user.
    Permission = 1, "EPERM", "Operation not permitted", FixRequest;
    /// The key is missing, or a path leads through a value.
    NotFound = 2, "ENOENT", "No such file or directory", ReadAgain;
    /// What must not exist exists.
    Exists = 17, "EEXIST", "File exists", FixRequest;
    /// A directory was asked for and something else found.
    NotDirectory = 20, "ENOTDIR", "Not a directory", FixRequest;
    /// A value was asked for and a directory found.
    IsDirectory = 21, "EISDIR", "Is a directory", FixRequest;
    /// A malformed key, an impossible combination, a write to the root.
    Invalid = 22, "EINVAL", "Invalid argument", FixRequest;
    /// A value, transaction or message is over a limit of size.
    TooBig = 27, "EFBIG", "File too large", FixRequest;
    /// A directory that must be empty is not.
    NotEmpty = 39, "ENOTEMPTY", "Directory not empty", FixRequest;
    /// More than 10 links on one path.
    LinkLoop = 40, "ELOOP", "Too many levels of symbolic links", FixRequest;
    /// A stream ended.
    NoData = 61, "ENODATA", "No data available", ReadAgain;
    /// A tree object does not decode, or names objects that are not known.
    BadObject = 71, "EPROTO", "Protocol error", FixRequest;
    /// Append to a link.
    LinkAppend = 95, "EOPNOTSUPP", "Operation not supported", FixRequest;
    /// The namespace is unknown, or may not be removed.
    NoNamespace = 1095, "ENOTSUP", "Operation not supported", FixRequest;
    /// The version or snapshot is past retention.
    Compacted = 1001, "compacted", "No longer retained", ReadAgain;
    /// A condition of the transaction does not hold. Nothing was changed.
    ConditionFailed = 1002, "condition-failed", "Condition failed", ReadAgain;
    /// That version never had that root, or the namespace is another incarnation.
    StaleSnapshot = 1003, "stale-snapshot", "Stale snapshot", ReadAgain;
    /// The disk is full. Nothing was changed; reads go on.
    NoSpace = 1004, "no-space", "No space left on device", Retry;
    /// A limit of the daemon on counts or rates is reached.
    Limit = 1005, "limit", "Limit exceeded", FixRequest;
    /// Whether the commit took effect cannot be told any more.
    OutcomeUnknown = 1006, "outcome-unknown", "Outcome unknown", Check;
    /// Too much is under way at the moment.
    Busy = 1007, "busy", "Busy, try again", Retry;
    /// Stored data failed its check. It was not returned.
    Corrupt = 1008, "corrupt", "Stored data is damaged", Operator;
    /// The daemon is shutting down or has stopped taking requests.
    Unavailable = 1009, "unavailable", "Service unavailable", Retry;
    /// The operation code is not known to this daemon.
    UnknownOperation = 1010, "unknown-operation", "Unknown operation", FixRequest;
    /// The body of the request is malformed.
    BadRequest = 1011, "bad-request", "Malformed request", FixRequest;
    /// The request was cancelled by its sender.
    Cancelled = 1012, "cancelled", "Cancelled", Retry;
    /// No common protocol version, or `hello` was not the first request.
    ProtocolVersion = 1013, "protocol-version", "Protocol version not supported", FixRequest;
    /// There is no connection. Never sent: a client says it to its own callers.
    Disconnected = 1101, "disconnected", "Not connected", Retry;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The body of an answer with status *error*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The integer of the code.
    pub code: i64,
    /// The name of the code, for whoever does not know the integer.
    #[serde(default)]
    pub name: SmolStr,
    /// One sentence that names the key or operation.
    #[serde(default)]
    pub message: String,
}

impl ErrorBody {
    /// The body for `code` with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ErrorBody {
            code: code.code(),
            name: SmolStr::new_static(code.name()),
            message: message.into(),
        }
    }

    /// The code as an enum.
    pub fn kind(&self) -> ErrorCode {
        ErrorCode::from_code(self.code)
    }
}
