//! The progress display of a long run: a line on standard error, if that is a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress line. Disappears when its last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Creates the progress line of a run.
    pub(crate) fn new(name: &'static str) -> Self {
        if !stderr().is_terminal() {
            return Self::none();
        }
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{prefix}: {msg} {bar:30} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(name);
        Self(bar)
    }

    /// Creates a hidden progress line.
    pub(crate) fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Begins a phase with a number of steps.
    pub(crate) fn begin(&self, what: &'static str, steps: u64) {
        self.0.set_length(steps);
        self.0.set_position(0);
        self.0.set_message(what);
    }

    /// Sets the number of completed steps.
    pub(crate) fn at(&self, steps: u64) {
        self.0.set_position(steps);
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
