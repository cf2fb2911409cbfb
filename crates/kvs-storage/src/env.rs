//! The engine's environment in one value: disk, clock and randomness.
//!
//! A daemon uses [`Environment::real`]; a simulation supplies its own parts, so that a seed
//! reproduces a run.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, RealClock, SimClock};
use crate::disk::{Disk, RealDisk, SimDisk};
use crate::entropy::{Entropy, RealEntropy, SimEntropy};

/// The environment of the engine. Cheap to clone; the parts are shared.
#[derive(Clone)]
pub struct Environment {
    /// File access.
    pub disk: Arc<dyn Disk>,
    /// Wall-clock time and uptime.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Run blocking work on the calling task instead of other threads, so that a simulation is
    /// deterministic.
    pub inline: bool,
}

impl Environment {
    /// Returns the disk, clock and randomness of the operating system.
    #[must_use]
    pub fn real() -> Self {
        Self {
            disk: Arc::new(RealDisk::default()),
            clock: Arc::new(RealClock::default()),
            entropy: Arc::new(RealEntropy),
            inline: false,
        }
    }

    /// Returns a simulated environment on `disk`: a clock that advances only on request, randomness
    /// from `seed`, and all work on the calling task.
    #[must_use]
    pub fn simulated(disk: SimDisk, seed: u64) -> Self {
        Self {
            disk: Arc::new(disk),
            clock: Arc::new(SimClock::new(1_700_000_000_000)),
            entropy: Arc::new(SimEntropy::new(seed)),
            inline: true,
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("inline", &self.inline)
            .finish_non_exhaustive()
    }
}
