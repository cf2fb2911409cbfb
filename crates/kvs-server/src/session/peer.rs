//! Whether the client is still there. A session that reads learns of it at once; one whose client
//! has closed its side only may still send answers, and one that does not read, as too much is
//! under way, learns nothing. So while requests are in work, or none are taken, the session looks
//! from time to time.

use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::super::work::Kind;
use super::Session;
use crate::limits::PEER_PERIOD;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Looks at the peer if it is time to. When it is gone, what it only wanted to read is not
    /// worked on any more; what changes something goes on.
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

    /// Looks again after a while, if that is of use, before the session sleeps.
    pub(super) fn keep_looking(&mut self, cx: &mut Context<'_>) {
        if self.running.slow() == 0 && self.has_room() {
            self.look = None;
        } else if self.look.is_none() {
            self.look = Some(Box::pin(sleep(PEER_PERIOD)));
            self.poll_peer(cx);
        }
    }
}
