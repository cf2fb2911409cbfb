//! Errors of standard output, distinct from all others: when its reader has closed the pipe, a
//! command ends silently.

use std::fmt;
use std::io;

/// Standard output could not be written.
#[derive(Debug)]
pub(crate) struct OutputError(io::Error);

impl OutputError {
    /// Whether the reader has closed the pipe.
    pub(crate) fn reader_is_gone(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "standard output: {}", reason(&self.0))
    }
}

impl std::error::Error for OutputError {}

/// The text of an operating system error as in strerror, without the number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_no_number() {
        assert_eq!(
            reason(&io::Error::from_raw_os_error(28)),
            "No space left on device"
        );
    }

    #[test]
    fn a_closed_pipe_is_known() {
        assert!(OutputError::from(io::Error::from_raw_os_error(32)).reader_is_gone());
        assert!(!OutputError::from(io::Error::from_raw_os_error(28)).reader_is_gone());
    }
}
