//! What is shown while it runs: a line on standard error, if that is a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The line. It is drawn only by whoever calls, never by a thread beside the measurement.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    title: String,
}

impl Progress {
    /// How often the measuring loops may draw.
    pub(crate) const TICK: Duration = Duration::from_millis(200);

    /// The line of a workload.
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

    /// Something else begins.
    pub(crate) fn step(&self, what: &str) {
        self.bar.set_length(0);
        self.bar.set_message(format!("{}: {what}", self.title));
    }

    /// So far it is.
    pub(crate) fn at(&self, done: Duration, all: Duration) {
        self.bar
            .set_length(u64::try_from(all.as_millis()).unwrap_or(u64::MAX));
        self.bar
            .set_position(u64::try_from(done.as_millis()).unwrap_or(u64::MAX));
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
