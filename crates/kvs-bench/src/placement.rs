//! Runs a workload with both sides on one CPU and with the sides on two CPUs. Otherwise the
//! scheduler decides, and a wake-up across CPUs may cost more than everything else.

use crate::cpus::Cpus;
use crate::load::{Bench, Measured};
use crate::plan::{Pin, Workload};

/// Names of the figures for each placement.
const SAME: [&str; 2] = ["same_core_rate", "same_core_p50_us"];
const CROSS: [&str; 2] = ["cross_core_rate", "cross_core_p50_us"];

/// A placement and the names of its figures.
pub(crate) struct Placement {
    pin: Pin,
    names: [&'static str; 2],
}

impl Placement {
    /// Returns the placements to measure: both, unless the plan specifies one, the workload does
    /// not depend on the path between the sides, or the daemon cannot be moved.
    pub(crate) fn of(bench: &Bench, workload: Workload, cpus: &Cpus) -> Vec<Placement> {
        let moves = match workload {
            Workload::IdleWatches
            | Workload::LargeValue
            | Workload::DirectoryGrowth
            | Workload::Restart => false,
            _ => bench.plan.pin.is_none() && bench.target.place(None).is_ok(),
        };
        let Some((clients, other)) = cpus.two().filter(|_| moves) else {
            return Vec::new();
        };
        let placements = [(clients, SAME), (other, CROSS)].map(|(daemon, names)| Placement {
            pin: Pin { daemon, clients },
            names,
        });
        let possible = if other == clients { 1 } else { 2 };
        placements.into_iter().take(possible).collect()
    }

    /// Binds both sides to their CPUs.
    pub(crate) fn enter(&self, bench: &Bench, cpus: &Cpus) -> anyhow::Result<()> {
        bench.target.place(Some(self.pin.daemon))?;
        cpus.enter(Some(self.pin.clients))
    }

    /// Removes the bindings of both sides.
    pub(crate) fn leave(bench: &Bench, cpus: &Cpus) -> anyhow::Result<()> {
        bench.target.place(None)?;
        cpus.enter(None)
    }

    /// Returns the figures of a measurement in this placement.
    pub(crate) fn figures(&self, measured: Measured) -> [(&'static str, f64); 2] {
        let [rate, p50] = self.names;
        [
            (rate, measured.rate()),
            (p50, measured.samples.spread().p50_us),
        ]
    }
}
