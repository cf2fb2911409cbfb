//! The progress display: a line on standard error, if that is a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The progress line. Drawn only by the caller, never by a thread that runs during the measurement.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    title: String,
}

impl Progress {
    /// Minimum interval between updates in measuring loops.
    pub(crate) const TICK: Duration = Duration::from_millis(200);

    /// Creates the progress line of a workload.
    pub(crate) fn new(title: String) -> Self {
        if !stderr().is_terminal() {
            let bar = ProgressBar::hidden();
            return Self { bar, title };
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:40} {bar:30} {elapsed}") {
            bar.set_style(style);
        }
        Self { bar, title }
    }

    /// Begins a new step.
    pub(crate) fn step(&self, what: &str) {
        self.bar.set_length(0);
        self.bar.set_message(format!("{}: {what}", self.title));
    }

    /// Shows how much of the step is done.
    pub(crate) fn at(&self, done: Duration, all: Duration) {
        self.bar
            .set_length(u64::try_from(all.as_millis()).unwrap_or(u64::MAX));
        self.bar
            .set_position(u64::try_from(done.as_millis()).unwrap_or(u64::MAX));
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
