//! An engine that serves clients: sessions over any byte stream, admitted and counted.

use std::sync::Arc;

use kvs_engine::Principal;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session;
use super::shared::{Admission, Shared};

/// The engine of a daemon, and what all its sessions share. Clones are of one daemon.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

impl Server {
    /// Around what sessions share.
    pub(crate) fn new(shared: Arc<Shared>) -> Server {
        Server(shared)
    }

    /// Serves one connection until it ends. All that is asked for on it is asked by `principal`:
    /// whoever accepts the stream decides who that is, before its first byte is read. A principal
    /// that the daemon does not serve, or that has too many connections, gets an error for its
    /// hello.
    ///
    /// The session ends when its stream does, and when the daemon shuts down: then what is in work
    /// is answered first.
    pub async fn serve<S>(&self, stream: S, principal: Principal)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.admit(principal).serve(stream, |_| false).await;
    }

    /// Counts a connection in, before anything of it is read.
    pub(crate) fn admit(&self, principal: Principal) -> Admitted {
        Admitted {
            admission: self.0.enter(principal),
            shared: Arc::clone(&self.0),
            principal,
        }
    }
}

/// A connection that is counted until this is dropped, however its session ends.
pub(crate) struct Admitted {
    shared: Arc<Shared>,
    principal: Principal,
    admission: Admission,
}

impl Admitted {
    /// Whether all that it will be told is that it is refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.admission != Admission::Served || !self.shared.serves(self.principal)
    }

    /// Serves its stream; `gone` tells whether the peer takes no answers any more.
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
