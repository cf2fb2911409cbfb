//! Everything the engine needs of the outside world, in one value: disk, clock, randomness.
//!
//! A daemon passes [`Environment::real`]; a simulation passes its own parts and gets the same run
//! from the same seed.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, RealClock, SimClock};
use crate::disk::{Disk, RealDisk, SimDisk};
use crate::entropy::{Entropy, RealEntropy, SimEntropy};

/// The outside world as the engine sees it. Cheap to clone; the parts are shared.
#[derive(Clone)]
pub struct Environment {
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Wall-clock time and uptime.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Run blocking work on the calling task instead of other threads, so that a simulation has one
    /// order of events.
    pub inline: bool,
}

impl Environment {
    /// The operating system's disk, clock and randomness.
    #[must_use]
    pub fn real() -> Self {
        Self {
            disk: Arc::new(RealDisk::default()),
            clock: Arc::new(RealClock::default()),
            entropy: Arc::new(RealEntropy),
            inline: false,
        }
    }

    /// A simulated world over `disk`: a clock that stands still, randomness from `seed`, everything
    /// on the calling task.
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
