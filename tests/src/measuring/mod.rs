//! Measuring tools of the runs: reports and targets, the disk baseline, memory, paired runs.

pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod disk_baseline;
pub(crate) mod rss_sampler;
pub(crate) mod paired_runs;
