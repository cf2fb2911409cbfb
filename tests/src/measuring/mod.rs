//! What runs measure with: reports and targets, the disk beside them, memory, pairs.

pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod disk_baseline;
pub(crate) mod rss_sampler;
pub(crate) mod paired_runs;
