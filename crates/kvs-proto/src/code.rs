//! Error codes: an integer, a stable name, and advice for the caller.
//!
//! Codes that Flux also has keep their errno name and text. The integers are Linux errnos where
//! these are unambiguous (ENOTSUP has the same as EOPNOTSUPP, so it gets another), and start at
//! 1000 otherwise.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// Prefix of the error message for requests that a shutting-down daemon does not complete. The same
/// request may be sent to the next daemon.
pub const SHUTTING_DOWN: &str = "the daemon shuts down";

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The request is wrong and fails again if repeated: change it.
    FixRequest,
    /// The state does not satisfy the request: read again and decide.
    ReadAgain,
    /// The same request may succeed later.
    Retry,
    /// The request may or may not have taken effect: check the state before repeating it.
    Check,
    /// Stored data is damaged; an operator must act.
    Operator,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $text:literal, $advice:ident;)*) => {
        /// The kind of an error answer. `Display` prints its text, as strerror does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
            /// A code of a newer daemon, unknown to this version.
            Other(i64),
        }

        impl ErrorCode {
            /// Every known code, in the order of the RFC's table.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The integer on the wire.
            pub fn code(self) -> i64 {
                match self { $(ErrorCode::$variant => $code,)* ErrorCode::Other(code) => code }
            }

            /// The stable name, such as `ENOENT` or `compacted`.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* ErrorCode::Other(_) => "other" }
            }

            /// The text for people, as strerror returns it.
            pub fn text(self) -> &'static str {
                match self { $(ErrorCode::$variant => $text,)* ErrorCode::Other(_) => "Unknown error" }
            }

            /// What the caller can do.
            pub fn advice(self) -> Advice {
                match self { $(ErrorCode::$variant => Advice::$advice,)* ErrorCode::Other(_) => Advice::Check }
            }

            /// The code for an integer from the wire.
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
    /// The key exists but must not.
    Exists = 17, "EEXIST", "File exists", FixRequest;
    /// A directory was expected, something else was found.
    NotDirectory = 20, "ENOTDIR", "Not a directory", FixRequest;
    /// A value was expected, a directory was found.
    IsDirectory = 21, "EISDIR", "Is a directory", FixRequest;
    /// A malformed key, an impossible combination, a write to the root.
    Invalid = 22, "EINVAL", "Invalid argument", FixRequest;
    /// A value, transaction or message exceeds a size limit.
    TooBig = 27, "EFBIG", "File too large", FixRequest;
    /// A directory that must be empty is not.
    NotEmpty = 39, "ENOTEMPTY", "Directory not empty", FixRequest;
    /// More than 10 links on one path.
    LinkLoop = 40, "ELOOP", "Too many levels of symbolic links", FixRequest;
    /// A stream ended.
    NoData = 61, "ENODATA", "No data available", ReadAgain;
    /// A tree object does not decode, or refers to unknown objects.
    BadObject = 71, "EPROTO", "Protocol error", FixRequest;
    /// The operation appends to a link.
    LinkAppend = 95, "EOPNOTSUPP", "Operation not supported", FixRequest;
    /// The namespace is unknown, or may not be removed.
    NoNamespace = 1095, "ENOTSUP", "Operation not supported", FixRequest;
    /// The version or snapshot is no longer retained.
    Compacted = 1001, "compacted", "No longer retained", ReadAgain;
    /// A condition of the transaction does not hold. Nothing changed.
    ConditionFailed = 1002, "condition-failed", "Condition failed", ReadAgain;
    /// The version never had this root, or the namespace has another incarnation.
    StaleSnapshot = 1003, "stale-snapshot", "Stale snapshot", ReadAgain;
    /// The disk is full. Nothing changed; reads still work.
    NoSpace = 1004, "no-space", "No space left on device", Retry;
    /// A limit of the daemon on counts or rates is reached.
    Limit = 1005, "limit", "Limit exceeded", FixRequest;
    /// Whether the commit took effect is no longer known.
    OutcomeUnknown = 1006, "outcome-unknown", "Outcome unknown", Check;
    /// The daemon has too much work at the moment.
    Busy = 1007, "busy", "Busy, try again", Retry;
    /// Stored data failed its checksum and was not returned.
    Corrupt = 1008, "corrupt", "Stored data is damaged", Operator;
    /// The daemon is shutting down or no longer accepts requests.
    Unavailable = 1009, "unavailable", "Service unavailable", Retry;
    /// This daemon does not know the operation code.
    UnknownOperation = 1010, "unknown-operation", "Unknown operation", FixRequest;
    /// The body of the request is malformed.
    BadRequest = 1011, "bad-request", "Malformed request", FixRequest;
    /// The request was cancelled by its sender.
    Cancelled = 1012, "cancelled", "Cancelled", Retry;
    /// No common protocol version, or `hello` was not the first request.
    ProtocolVersion = 1013, "protocol-version", "Protocol version not supported", FixRequest;
    /// There is no connection. Never sent; a client returns it to its callers.
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
    /// The name of the code, for clients that do not know the integer.
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
