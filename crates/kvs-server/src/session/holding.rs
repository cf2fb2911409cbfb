//! The memory that a session holds, and whether it may take more: limits of its connection and
//! user.

use std::task::Context;

use kvs_proto::FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::super::account::Held;
use super::super::ops;
use super::Session;
use crate::limits::{
    COMMIT_OVERHEAD_BYTES, FRAME_TIMEOUT, LONG_FRAME_BYTES, OUTGOING_BYTES,
    SLOW_REQUESTS_IN_FLIGHT, UPLOAD_BYTES_IN_FLIGHT,
};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// What the connection holds now.
    pub(super) fn now(&self) -> Held {
        let parked = self.parked.as_ref().map_or(0, |(_, bytes, _)| *bytes);
        Held {
            bytes: self.connection.out.len()
                + self.running.bytes()
                + self.commits.bytes()
                + self.uploads.bytes()
                + self.incoming
                + parked,
            streams: self.streams.len() + self.running.waits(),
        }
    }

    /// Records what is held now on the account.
    pub(super) fn record(&mut self) {
        let now = self.now();
        self.account.record(&mut self.held, now);
    }

    /// Records what is held before the session sleeps. If it waits for room, registers it to be
    /// woken when others release some.
    pub(super) fn rest(&mut self, cx: &mut Context<'_>) {
        if self.pause.is_some() {
            self.poll_pause(cx);
            if self.pause.is_none() {
                cx.waker().wake_by_ref();
            }
        }
        // It may have been started just now.
        if self.poll_frame_end(cx) {
            cx.waker().wake_by_ref();
        }
        self.keep_looking(cx);
        self.record();
        if self.open && self.waits_for_room() {
            self.account.wait(cx.waker());
            // Room released before `wait` wakes nobody, so check again.
            if !self.waits_for_room() {
                cx.waker().wake_by_ref();
            }
        }
    }

    pub(super) fn waits_for_room(&self) -> bool {
        let parked = self.parked.as_ref();
        let parked = parked.is_some_and(|(_, _, request)| !self.admits(ops::answer_bytes(request)));
        parked || !self.account.has_room(self.held, self.now().bytes, 0) || !self.may_receive()
    }

    /// Whether a request may begin whose answer has at most `bytes` bytes.
    pub(super) fn admits(&self, bytes: usize) -> bool {
        let others = self.running.bytes();
        (others == 0 || others + bytes <= self.room.answer_bytes)
            && self.account.has_room(self.held, self.now().bytes, bytes)
    }

    /// Whether there is room for the frame that is being received, or it already has some.
    pub(super) fn may_receive(&self) -> bool {
        let bytes = self.connection.incoming();
        bytes < LONG_FRAME_BYTES
            || self.incoming > 0
            || self.account.has_room(self.held, self.now().bytes, bytes)
    }

    /// Reserves room for the frame that is being received, if there is enough.
    pub(super) fn admits_frame(&mut self) -> bool {
        let admitted = self.may_receive();
        let bytes = self.connection.incoming();
        if admitted && bytes >= LONG_FRAME_BYTES && self.incoming == 0 {
            self.incoming = bytes.min(FRAME_BYTES);
            self.frame_end = Some(Box::pin(sleep(FRAME_TIMEOUT)));
            self.record();
        }
        admitted
    }

    /// Whether a frame with reserved room has taken too long to arrive. Time in which the daemon
    /// does not read does not count.
    pub(super) fn poll_frame_end(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(end) = &mut self.frame_end
            && end.as_mut().poll(cx).is_ready()
        {
            if self.pause.is_none() && self.parked.is_none() && self.in_work() == 0 {
                return true;
            }
            self.frame_end = Some(Box::pin(sleep(FRAME_TIMEOUT)));
        }
        false
    }

    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) {
        if let Some(pause) = &mut self.pause
            && pause.as_mut().poll(cx).is_ready()
        {
            self.pause = None;
        }
    }

    /// Charges the user's rate for the bytes that a request writes. Returns whether it may begin
    /// now; otherwise it begins after the pause.
    pub(super) fn charge(&mut self, bytes: usize) -> bool {
        let wait = self.account.charge(bytes + COMMIT_OVERHEAD_BYTES);
        self.pause = wait.map(|wait| Box::pin(sleep(wait)));
        self.pause.is_none()
    }

    /// Whether one more request may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.in_work() < self.room.requests
            && self.running.slow() < SLOW_REQUESTS_IN_FLIGHT
            && self.commits.bytes() < self.room.commit_bytes
            && self.uploads.bytes() < UPLOAD_BYTES_IN_FLIGHT
            && self.connection.out.len() < OUTGOING_BYTES
            && self.turn > 0
            && self.pause.is_none()
            && self.account.has_room(self.held, self.now().bytes, 0)
    }
}
