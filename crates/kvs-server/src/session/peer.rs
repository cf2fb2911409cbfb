//! Detects clients that are gone. A session that reads notices at once. A client that has closed
//! only its own side may still receive answers, and a session that does not read, because too much
//! is in flight, notices nothing. So while requests are in flight or none are taken, the session
//! checks periodically.

use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::super::work::Kind;
use super::Session;
use crate::limits::PEER_PERIOD;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Checks the peer if it is time to. If it is gone, cancels requests that only read; requests
    /// that change something continue.
    pub(super) fn poll_peer(&mut self, cx: &mut Context<'_>) {
        while let Some(look) = &mut self.look {
            if look.as_mut().poll(cx).is_pending() {
                return;
            }
            look.as_mut().reset(Instant::now() + PEER_PERIOD);
            if self.connection.peer_is(self.gone) {
                self.close();
                for kind in [Kind::Read, Kind::Walk] {
                    self.running.cancel_all(kind);
                }
            }
        }
    }

    /// Schedules the next check before the session sleeps, if one is needed.
    pub(super) fn keep_looking(&mut self, cx: &mut Context<'_>) {
        if self.running.slow() == 0 && self.has_room() {
            self.look = None;
        } else if self.look.is_none() {
            self.look = Some(Box::pin(sleep(PEER_PERIOD)));
            self.poll_peer(cx);
        }
    }
}
