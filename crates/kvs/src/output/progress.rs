//! Progress of long work: a line on standard error, if it is a terminal, cleared when the work
//! ends. Short work shows none.

use std::io::{self, IsTerminal as _};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::escape::escape;
use crate::limits::{PROGRESS_DELAY, PROGRESS_INTERVAL};

/// The progress line of one piece of work; cleared on drop.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// For bytes sent or received, with their total if it is known.
    pub(crate) fn of_bytes(key: &str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "{bytes} of {total_bytes}, {bytes_per_sec} {wide_msg}",
            None => "{bytes}, {bytes_per_sec} {wide_msg}",
        };
        Self::new(template, key, total)
    }

    /// For keys printed to a file or pipe. On a terminal the keys themselves show the progress.
    pub(crate) fn of_keys(key: &str) -> Self {
        if io::stdout().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        Self::new("{human_pos} keys, {elapsed} {wide_msg}", key, None)
    }

    /// For work done elsewhere: shows the elapsed time.
    pub(crate) fn of_time(key: &str) -> Self {
        Self::new("{elapsed} {wide_msg}", key, None)
    }

    fn new(template: &str, key: &str, total: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        // With an invalid template, the default style is used.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(escape(key).into_owned());
        let work = bar.downgrade();
        thread::spawn(move || {
            thread::sleep(PROGRESS_DELAY);
            // Unless the work has ended.
            if let Some(bar) = work.upgrade() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(PROGRESS_INTERVAL);
            }
        });
        Self(bar)
    }

    /// Adds `more` to the amount done.
    pub(crate) fn add(&self, more: u64) {
        self.0.inc(more);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
