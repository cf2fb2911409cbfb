//! Schedules the bookmarks of a connection's streams with a single timer.
//!
//! The timer runs at the shortest interval that any stream requested. When it fires, all streams
//! are checked, a few at a time, and those whose own interval has passed get a bookmark; so a
//! longer interval may be late by the shortest one. Without such streams there is no timer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::ready::Slot;

/// Milliseconds since the connection began; wraps around.
pub(crate) type Millis = u32;

/// The timer of a connection's bookmarks.
pub(crate) struct MarkTimer {
    start: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    scan: Option<Scan>,
}

/// A pass over all streams.
struct Scan {
    next: Slot,
    now: Millis,
    shortest: Option<Millis>,
}

impl MarkTimer {
    /// A timer that does not run.
    pub(crate) fn new() -> MarkTimer {
        MarkTimer {
            start: Instant::now(),
            timer: None,
            scan: None,
        }
    }

    /// The current time.
    pub(crate) fn now(&self) -> Millis {
        // Only differences matter.
        self.start.elapsed().as_millis() as Millis
    }

    /// Ensures that the streams are checked within `interval`.
    pub(crate) fn within(&mut self, interval: Millis) {
        let due = Instant::now() + Duration::from_millis(interval.into());
        match &mut self.timer {
            Some(timer) if timer.deadline() <= due => {}
            Some(timer) => timer.as_mut().reset(due),
            None => self.timer = Some(Box::pin(sleep_until(due))),
        }
    }

    /// Begins a pass over all streams if it is time to; returns whether one is under way.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.scan.is_none()
            && let Some(timer) = &mut self.timer
            && let Poll::Ready(()) = timer.as_mut().poll(cx)
        {
            self.timer = None;
            self.scan = Some(Scan {
                next: 0,
                now: self.now(),
                shortest: None,
            });
        }
        self.scan.is_some()
    }

    /// The next of `slots` to check, and the time of this pass; `None` at the end of the pass,
    /// after the timer has been set again.
    pub(crate) fn next(&mut self, slots: usize) -> Option<(Slot, Millis)> {
        let scan = self.scan.as_mut()?;
        let (slot, now) = (scan.next, scan.now);
        if (slot as usize) < slots {
            scan.next += 1;
            return Some((slot, now));
        }
        let shortest = scan.shortest;
        self.scan = None;
        if let Some(shortest) = shortest {
            self.within(shortest);
        }
        None
    }

    /// Records that a checked stream wants bookmarks at this interval.
    pub(crate) fn wanted(&mut self, interval: Millis) {
        if let Some(scan) = &mut self.scan {
            let shortest = scan.shortest.map_or(interval, |other| other.min(interval));
            scan.shortest = Some(shortest);
        }
    }
}
