//! The daemon: start-up acknowledges nothing too early, shutdown loses nothing that was
//! acknowledged.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvs_engine::{Engine, EngineConfig, Environment, Principal, Repeats, Stopped};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::descriptors::Descriptors;
use super::end::DaemonError;
use super::listener::{Access, BindError, Listener, has_hung_up, is_alive};
use super::memory::{MemoryConnector, MemoryListener};
use super::polling::keep_polling;
use super::server::Server;
use super::shared::Shared;
use crate::limits::{GUEST_RATE, SHUTDOWN_TIMEOUT};

/// Pause after the system failed to accept a connection, for example for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Options of a daemon.
#[derive(Clone, Debug)]
pub struct Options {
    /// Options of the engine, including the directory of the store.
    pub engine: EngineConfig,
    /// Path of the socket. Without one, the daemon can be reached only from its own process.
    pub socket: Option<PathBuf>,
    /// Which users may connect.
    pub access: Access,
    /// Whether the daemon serves a single command only, after which nothing starts it again.
    pub temporary: bool,
    /// How the file descriptors of the process are shared out.
    pub descriptors: Descriptors,
    /// Bytes per second that each guest may write.
    pub guest_rate: u64,
}

impl Options {
    /// The defaults for the store in this directory, owned by the user of this process, without a
    /// socket.
    pub fn new(store: PathBuf) -> Options {
        let owner = rustix::process::geteuid().as_raw();
        Options {
            engine: EngineConfig::new(store, owner),
            socket: None,
            access: Access::Owner,
            temporary: false,
            descriptors: Descriptors::current(),
            guest_rate: GUEST_RATE,
        }
    }
}

/// A daemon with its store open and its socket bound. Connections are served while [`Daemon::run`]
/// runs.
pub struct Daemon {
    listener: Option<Listener>,
    memory: MemoryListener,
    shared: Arc<Shared>,
    busy_poll: Duration,
}

impl Daemon {
    /// Opens the store, which includes recovery, and binds the socket. Connections from now on wait
    /// for [`Daemon::run`].
    ///
    /// # Errors
    /// The store is locked, damaged or of another kind, the address is in use, or a permission is
    /// missing.
    pub async fn open(options: Options) -> Result<Daemon, DaemonError> {
        Self::open_in(options, Environment::real()).await
    }

    /// Opens a daemon in the given environment, real or simulated.
    ///
    /// # Errors
    /// As [`Daemon::open`].
    pub(crate) async fn open_in(
        options: Options,
        environment: Environment,
    ) -> Result<Daemon, DaemonError> {
        let Options {
            mut engine,
            socket,
            access,
            temporary,
            descriptors,
            guest_rate,
        } = options;
        engine.open_files = descriptors.open_files;
        // Before the store is opened: this is the likelier mistake, and cheap to detect.
        let mut made = None;
        if let Some(socket) = &socket {
            if is_alive(socket).await {
                return Err(BindError::InUse(socket.clone()).into());
            }
            // Do not create a store that nobody could reach.
            made = Some(Listener::check(socket, access).await?);
        }
        let (owner, busy_poll) = (engine.instance_owner, engine.busy_poll);
        let store = engine.dir.display().to_string();
        let engine = Engine::open(engine, environment)
            .await
            .map_err(|error| DaemonError::open(&store, &error))?;
        let mut listener = None;
        if let Some(socket) = &socket {
            match Listener::bind(socket, access).await {
                Ok(bound) => listener = Some(bound),
                Err(error) => {
                    // It has accepted nothing yet; report the first error.
                    let _ = engine.shutdown().await;
                    return Err(error.into());
                }
            }
        }
        if let Some(made) = made {
            made.keep();
        }
        let shared = Shared::new(engine, owner)
            .allow_guests(access != Access::Owner)
            .guest_rate(guest_rate)
            .temporary(temporary)
            .descriptors(descriptors);
        Ok(Daemon {
            listener,
            memory: MemoryListener::new(),
            shared: Arc::new(shared),
            busy_poll,
        })
    }

    /// Shuts the daemon down when cancelled.
    pub fn stopper(&self) -> CancellationToken {
        self.shared.stop.clone()
    }

    /// Serves streams that the caller accepts, as long as [`Daemon::run`] runs; `run` does not wait
    /// for them.
    pub fn server(&self) -> Server {
        Server::new(Arc::clone(&self.shared))
    }

    /// Opens in-memory streams to this daemon as `principal`.
    pub fn connector(&self, principal: Principal) -> MemoryConnector {
        self.memory.connector(principal)
    }

    /// Serves until the stopper is cancelled or the store fails; then removes the socket, lets
    /// requests in flight be answered, and closes the store.
    ///
    /// # Errors
    /// Why the store failed: its disk, damage, or a bug. Everything acknowledged is safe, but no
    /// more commits are accepted.
    pub async fn run(self) -> Result<(), DaemonError> {
        let Daemon {
            listener,
            mut memory,
            shared,
            busy_poll,
        } = self;
        let server = Server::new(Arc::clone(&shared));
        let mut sessions = JoinSet::new();
        let polled = Arc::clone(&shared);
        let polling = tokio::spawn(async move { keep_polling(&polled.activity, busy_poll).await });
        let mut failed = pin!(shared.engine.failed());
        let (started, mut refused) = (Instant::now(), Repeats::default());
        let mut turned_away = Repeats::default();
        let failure = loop {
            tokio::select! {
                () = shared.stop.cancelled() => break None,
                error = &mut failed => break Some(error),
                (stream, principal) = memory.accept() => {
                    sessions.spawn(server.admit(principal).serve(stream, |_| false));
                }
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok(stream) => {
                        if let Some(times) = refused.over() {
                            tracing::warn!(times, "connections are accepted again");
                        }
                        let Some(principal) = principal(&stream) else {
                            continue;
                        };
                        let admitted = server.admit(principal);
                        if admitted.is_refused()
                            && let Some(times) = turned_away.again(started.elapsed())
                        {
                            tracing::info!(uid = principal.uid(), times, "a connection is refused");
                        }
                        sessions.spawn(admitted.serve(stream, has_hung_up));
                    }
                    Err(error) => {
                        if let Some(times) = refused.again(started.elapsed()) {
                            tracing::warn!(%error, times, "cannot accept a connection");
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
            }
        };
        if let Some(stopped) = failure.clone().filter(Stopped::is_internal) {
            // A partly working daemon must not answer.
            return Err(stopped.into());
        }
        polling.abort();
        shared.stop.cancel();
        if let Some(listener) = listener {
            listener.close();
        }
        drop(memory);
        let drained = timeout(SHUTDOWN_TIMEOUT, async {
            while sessions.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!("connections that did not take their answers are cut off");
            sessions.shutdown().await;
        }
        if let Some(stopped) = failure {
            return Err(stopped.into());
        }
        let closed = shared.engine.shutdown().await;
        closed.map_err(|error| DaemonError::close(&error))
    }
}

/// The user at the other end of a socket, as the kernel reports it; `None` if it does not.
fn principal(stream: &UnixStream) -> Option<Principal> {
    match stream.peer_cred() {
        Ok(peer) => Some(Principal::Uid(peer.uid())),
        Err(error) => {
            tracing::warn!(%error, "a connection without credentials");
            None
        }
    }
}

/// The next connection of a socket; never ready without one.
async fn accept(listener: Option<&Listener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
