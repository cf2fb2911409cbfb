//! Whether a store serves, for all handles that have it open.

use crate::error::{EngineError, Stopped};

/// Whether a store serves.
#[derive(Clone, Debug, Default)]
pub(crate) enum Life {
    /// It serves, as long as its commit task runs.
    #[default]
    Running,
    /// It stopped because of a failure.
    Stopped(Stopped),
    /// It was closed.
    Closed,
}

impl Life {
    /// The error that stopped it, if one did.
    pub(crate) fn failure(&self) -> Option<&EngineError> {
        match self {
            Self::Stopped(stopped) => Some(&stopped.error),
            Self::Running | Self::Closed => None,
        }
    }
}
