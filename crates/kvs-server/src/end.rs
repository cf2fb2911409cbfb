//! Why a daemon did not start or stopped by itself, and the exit status for it. Statuses follow
//! `sysexits.h`, so that a service manager knows when to retry.

use std::io::ErrorKind as Io;

use kvs_engine::{EngineError, ErrorKind, StopCause, Stopped};

use super::listener::BindError;

/// Any failure without its own status: damage in the store, an incompatible store.
const FAILED: u8 = 1;
/// The options can never work.
const USAGE: u8 = 2;
/// A bug (`EX_SOFTWARE`).
const SOFTWARE: u8 = crate::panics::SOFTWARE;
/// The store or the socket cannot be created (`EX_CANTCREAT`).
const CANNOT_CREATE: u8 = 73;
/// The disk failed (`EX_IOERR`).
const DISK: u8 = 74;
/// An obstacle that may be gone soon (`EX_TEMPFAIL`): another daemon, a full disk, no thread or
/// descriptor available.
const TEMPORARY: u8 = 75;
/// A permission is missing (`EX_NOPERM`).
const NO_PERMISSION: u8 = 77;

/// Why a daemon did not start, or stopped by itself.
#[derive(Debug)]
pub struct DaemonError {
    /// The exit status of the process.
    pub status: u8,
    /// One sentence, for people.
    message: String,
}

impl std::fmt::Display for DaemonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DaemonError {}

impl DaemonError {
    fn new(status: u8, message: impl Into<String>) -> DaemonError {
        DaemonError {
            status,
            message: message.into(),
        }
    }

    /// The options are invalid or contradict each other.
    pub fn usage(message: impl Into<String>) -> DaemonError {
        DaemonError::new(USAGE, message)
    }

    /// The system refuses something that every process needs.
    pub fn system(doing: &str, error: &std::io::Error) -> DaemonError {
        DaemonError::new(TEMPORARY, format!("{doing}: {error}"))
    }

    /// The store cannot be opened. Adds its path unless the reason contains it.
    pub(crate) fn open(store: &str, error: &EngineError) -> DaemonError {
        let reason = &error.message;
        let message = if reason.contains(store) {
            format!("cannot open the store: {reason}")
        } else {
            format!("cannot open the store {store}: {reason}")
        };
        let status = match (error.kind, error.disk) {
            (ErrorKind::Busy | ErrorKind::NoSpace, _) => TEMPORARY,
            (_, Some(Io::PermissionDenied)) => NO_PERMISSION,
            (_, Some(Io::AlreadyExists | Io::NotADirectory | Io::ReadOnlyFilesystem)) => {
                CANNOT_CREATE
            }
            (_, Some(_)) => DISK,
            (ErrorKind::Unavailable, None) => TEMPORARY,
            _ => FAILED,
        };
        DaemonError::new(status, message)
    }

    /// The store cannot be closed.
    pub(crate) fn close(error: &EngineError) -> DaemonError {
        DaemonError::new(DISK, format!("cannot close the store: {error}"))
    }
}

impl From<BindError> for DaemonError {
    fn from(error: BindError) -> DaemonError {
        let status = match &error {
            BindError::InUse(_) => TEMPORARY,
            BindError::Io(_, error) => match error.kind() {
                Io::PermissionDenied => NO_PERMISSION,
                Io::StorageFull | Io::QuotaExceeded | Io::OutOfMemory => TEMPORARY,
                _ if is_exhausted(error) => TEMPORARY,
                _ => CANNOT_CREATE,
            },
            BindError::NotASocket(_) => CANNOT_CREATE,
        };
        DaemonError::new(status, error.to_string())
    }
}

/// Whether the error is a lack of file descriptors.
fn is_exhausted(error: &std::io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    )
}

impl From<Stopped> for DaemonError {
    fn from(stopped: Stopped) -> DaemonError {
        let status = match stopped.cause {
            StopCause::Disk => DISK,
            StopCause::Damage => FAILED,
            StopCause::Internal => SOFTWARE,
        };
        DaemonError::new(status, format!("the store has stopped: {stopped}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: Io) -> std::io::Error {
        std::io::Error::from(kind)
    }

    #[test]
    fn what_is_worth_another_try_can_be_told_from_what_is_not() {
        let open = |kind, disk| {
            let mut error = EngineError::new(kind, "reason");
            error.disk = disk;
            DaemonError::open("/store", &error).status
        };
        assert_eq!(open(ErrorKind::Busy, None), 75);
        assert_eq!(open(ErrorKind::NoSpace, Some(Io::StorageFull)), 75);
        assert_eq!(open(ErrorKind::Unavailable, Some(Io::PermissionDenied)), 77);
        assert_eq!(open(ErrorKind::Unavailable, Some(Io::NotADirectory)), 73);
        assert_eq!(open(ErrorKind::Unavailable, Some(Io::Other)), 74);
        assert_eq!(open(ErrorKind::Corrupt, None), 1);
        assert_eq!(open(ErrorKind::Invalid, None), 1);
        let bind = |error| DaemonError::from(BindError::Io("/s".into(), error)).status;
        assert_eq!(bind(io(Io::PermissionDenied)), 77);
        assert_eq!(bind(io(Io::InvalidInput)), 73);
        assert_eq!(bind(rustix::io::Errno::MFILE.into()), 75);
        assert_eq!(DaemonError::from(BindError::InUse("/s".into())).status, 75);
        assert_eq!(
            DaemonError::from(BindError::NotASocket("/s".into())).status,
            73
        );
        let stopped = |cause| {
            let error = EngineError::new(ErrorKind::Unavailable, "reason");
            DaemonError::from(Stopped { cause, error }).status
        };
        assert_eq!(stopped(StopCause::Disk), 74);
        assert_eq!(stopped(StopCause::Damage), 1);
        assert_eq!(stopped(StopCause::Internal), 70);
    }

    #[test]
    fn the_store_is_named_once() {
        let error = |message: &str| {
            let error = EngineError::new(ErrorKind::Busy, message);
            DaemonError::open("/store", &error).to_string()
        };
        assert_eq!(
            error("/store is busy"),
            "cannot open the store: /store is busy"
        );
        assert_eq!(error("busy"), "cannot open the store /store: busy");
    }
}
