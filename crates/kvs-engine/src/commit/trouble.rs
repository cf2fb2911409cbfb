//! Reports failures that are retried (no space, descriptors or memory): the first one at once,
//! later ones now and then with a count.

use std::fmt::Display;
use std::time::Duration;

use crate::repeats::Repeats;

/// Repeated failures of the commit task, by activity.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    groups: Repeats,
    checkpoints: Repeats,
    trims: Repeats,
}

impl Trouble {
    /// A group was refused at this uptime, in milliseconds.
    pub(super) fn group_refused(&mut self, uptime: u64, error: &dyn Display) {
        if let Some(times) = self.groups.again(Duration::from_millis(uptime)) {
            tracing::warn!(times, "commits are refused: {error}");
        }
    }

    /// A group was written.
    pub(super) fn group_written(&mut self) {
        if let Some(times) = self.groups.over() {
            tracing::warn!(times, "commits are taken again");
        }
    }

    /// A checkpoint was not written.
    pub(super) fn checkpoint_refused(&mut self, uptime: u64, error: &dyn Display) {
        if let Some(times) = self.checkpoints.again(Duration::from_millis(uptime)) {
            tracing::warn!(times, "no checkpoint, it is tried again: {error}");
        }
    }

    /// A checkpoint was written.
    pub(super) fn checkpoint_written(&mut self) {
        if let Some(times) = self.checkpoints.over() {
            tracing::warn!(times, "a checkpoint is written again");
        }
    }

    /// The journal was not trimmed.
    pub(super) fn trim_refused(&mut self, uptime: u64, error: &dyn Display) {
        if let Some(times) = self.trims.again(Duration::from_millis(uptime)) {
            tracing::warn!(times, "the journal cannot be trimmed: {error}");
        }
    }

    /// The journal was trimmed.
    pub(super) fn trimmed(&mut self) {
        if let Some(times) = self.trims.over() {
            tracing::warn!(times, "the journal is trimmed again");
        }
    }
}
