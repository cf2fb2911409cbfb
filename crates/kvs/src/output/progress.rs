//! How far long work is: a line on standard error, if that is a terminal, which goes away with the
//! work. What is done in a moment shows none.

use std::io::{self, IsTerminal as _};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::escape::escape;
use crate::limits::{PROGRESS_DELAY, PROGRESS_INTERVAL};

/// The line of one piece of work. Dropped, it is cleared.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of bytes that are sent or received, of so many if that is known.
    pub(crate) fn of_bytes(key: &str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "{bytes} of {total_bytes}, {bytes_per_sec} {wide_msg}",
            None => "{bytes}, {bytes_per_sec} {wide_msg}",
        };
        Self::new(template, key, total)
    }

    /// Of keys that are printed into a file or pipe; on a terminal they show themselves.
    pub(crate) fn of_keys(key: &str) -> Self {
        if io::stdout().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        Self::new("{human_pos} keys, {elapsed} {wide_msg}", key, None)
    }

    /// Of work that is done elsewhere: the time that it has taken.
    pub(crate) fn of_time(key: &str) -> Self {
        Self::new("{elapsed} {wide_msg}", key, None)
    }

    fn new(template: &str, key: &str, total: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        // A wrong template would show as the usual one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(escape(key).into_owned());
        let work = bar.downgrade();
        thread::spawn(move || {
            thread::sleep(PROGRESS_DELAY);
            // Unless it is over.
            if let Some(bar) = work.upgrade() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(PROGRESS_INTERVAL);
            }
        });
        Self(bar)
    }

    /// So much more is done.
    pub(crate) fn add(&self, more: u64) {
        self.0.inc(more);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
