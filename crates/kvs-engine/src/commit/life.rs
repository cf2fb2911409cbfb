//! Whether a store serves, for everybody who has it open.

use crate::error::{EngineError, Stopped};

/// Whether a store serves.
#[derive(Clone, Debug, Default)]
pub(crate) enum Life {
    /// It does, as long as its commit task is there.
    #[default]
    Running,
    /// It has stopped by itself.
    Stopped(Stopped),
    /// It was closed.
    Closed,
}

impl Life {
    /// The error that stopped it.
    pub(crate) fn failure(&self) -> Option<&EngineError> {
        match self {
            Self::Stopped(stopped) => Some(&stopped.error),
            Self::Running | Self::Closed => None,
        }
    }
}
