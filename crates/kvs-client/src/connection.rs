//! Whether the connection stands, for programs that say so to somebody who waits.

use tokio::sync::watch;

/// What happened to the connection of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// It was lost; the client tries to reach the daemon again.
    Lost,
    /// There is one again.
    Restored,
}

/// How the connection stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    outages: u64,
    is_away: bool,
}

/// Where the task that owns the connection says how it stands.
pub(crate) struct StandingSender(watch::Sender<Standing>);

impl StandingSender {
    pub(crate) fn new() -> Self {
        StandingSender(watch::Sender::default())
    }

    pub(crate) fn lost(&self) {
        self.0.send_modify(|standing| {
            standing.outages += 1;
            standing.is_away = true;
        });
    }

    pub(crate) fn restored(&self) {
        self.0.send_modify(|standing| standing.is_away = false);
    }

    pub(crate) fn events(&self) -> ConnectionEvents {
        let standing = self.0.subscribe();
        let seen = *standing.borrow();
        ConnectionEvents { seen, standing }
    }
}

/// What happens to the connection of a client from now on. Does not keep the connection open.
#[derive(Debug)]
pub struct ConnectionEvents {
    seen: Standing,
    standing: watch::Receiver<Standing>,
}

impl ConnectionEvents {
    /// The next event; of outages that end before this is called, the last one. `None` when there
    /// will be no connection any more.
    pub async fn recv(&mut self) -> Option<ConnectionEvent> {
        loop {
            let now = *self.standing.borrow_and_update();
            if now.outages != self.seen.outages {
                self.seen.outages = now.outages;
                self.seen.is_away = true;
                return Some(ConnectionEvent::Lost);
            }
            if self.seen.is_away && !now.is_away {
                self.seen.is_away = false;
                return Some(ConnectionEvent::Restored);
            }
            self.standing.changed().await.ok()?;
        }
    }
}
