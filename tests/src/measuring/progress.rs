//! What is shown while a long run goes on: a line on standard error, if that is a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// The line. It goes away with its last clone.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// The line of a run.
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

    /// No line.
    pub(crate) fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Something begins that has so many steps.
    pub(crate) fn begin(&self, what: &'static str, steps: u64) {
        self.0.set_length(steps);
        self.0.set_position(0);
        self.0.set_message(what);
    }

    /// So many of them are done.
    pub(crate) fn at(&self, steps: u64) {
        self.0.set_position(steps);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
