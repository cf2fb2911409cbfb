//! Serves an engine to clients: sessions over any byte stream, admitted and counted.

use std::sync::Arc;

use kvs_engine::Principal;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session;
use super::shared::{Admission, Shared};

/// The engine of a daemon and the state that its sessions share. Clones refer to the same daemon.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

impl Server {
    /// A server with this shared state.
    pub(crate) fn new(shared: Arc<Shared>) -> Server {
        Server(shared)
    }

    /// Serves one connection until it ends. All of its requests are made by `principal`, which the
    /// caller must identify before the first byte is read. A principal that the daemon does not
    /// serve, or that has too many connections, gets an error as the answer to its hello.
    ///
    /// The session ends with its stream or when the daemon shuts down; then requests in flight are
    /// answered first.
    pub async fn serve<S>(&self, stream: S, principal: Principal)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.admit(principal).serve(stream, |_| false).await;
    }

    /// Counts a connection in, before anything is read from it.
    pub(crate) fn admit(&self, principal: Principal) -> Admitted {
        Admitted {
            admission: self.0.enter(principal),
            shared: Arc::clone(&self.0),
            principal,
        }
    }
}

/// A connection that is counted until this is dropped.
pub(crate) struct Admitted {
    shared: Arc<Shared>,
    principal: Principal,
    admission: Admission,
}

impl Admitted {
    /// Whether the connection will only get an error.
    pub(crate) fn is_refused(&self) -> bool {
        self.admission != Admission::Served || !self.shared.serves(self.principal)
    }

    /// Serves its stream; `gone` returns whether the peer no longer receives answers.
    pub(crate) async fn serve<S>(self, stream: S, gone: fn(&S) -> bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if self.admission != Admission::Dropped {
            let shared = Arc::clone(&self.shared);
            session::serve(shared, (stream, gone), self.principal, self.admission).await;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.leave(self.principal);
    }
}
