//! Watches in callback form: a task that hands over one event after the other, each with a snapshot
//! of its state.

use crate::client::Client;
use crate::error::ClientError;
use crate::event::Event;
use crate::link::current_runtime;
use crate::namespace::Namespace;
use crate::snapshot::Snapshot;
use crate::watch::WatchStream;
use crate::watch_options::WatchOptions;
use kvs_proto::{ErrorCode, Position};
use smol_str::SmolStr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A callback watch that runs. Dropping it stops it like `stop`, without waiting.
#[derive(Debug)]
pub struct WatchHandle {
    stop: DropGuard,
    handled: Arc<Mutex<Option<Position>>>,
    started: Option<Position>,
    task: JoinHandle<Result<(), ClientError>>,
}

impl WatchHandle {
    /// Where the watch began; `None` if it waits for its namespace.
    pub fn started(&self) -> Option<Position> {
        self.started
    }

    /// Up to here every event was handled: the callback has returned. Whoever keeps it goes on with
    /// `WatchOptions::after`.
    pub fn handled(&self) -> Option<Position> {
        *self.handled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the watch: a callback that is running ends first, and no event is handed over after
    /// it. Tells what was handled, or the error that had ended it before.
    pub async fn stop(self) -> Result<Option<Position>, ClientError> {
        drop(self.stop);
        ended(self.task.await)?;
        Ok(*self.handled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the callback breaks off, giving what was handled, or the watch ends with an
    /// error.
    pub async fn wait(self) -> Result<Option<Position>, ClientError> {
        let _stop = self.stop;
        ended(self.task.await)?;
        Ok(*self.handled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ended(
    joined: Result<Result<(), ClientError>, tokio::task::JoinError>,
) -> Result<(), ClientError> {
    match joined {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ClientError::new(
            ErrorCode::Cancelled,
            "the runtime has ended",
        )),
    }
}

impl Namespace {
    /// Opens a watch whose events are handed to a callback, one at a time and in order, each with a
    /// snapshot: exactly the state that it is about. While the callback works further events wait,
    /// in memory up to the prefetch and then in the daemon at no cost. It ends when the callback
    /// gives `Break` or an error, when it is stopped, and with the errors of a `WatchStream`. The
    /// watch stands when this returns; callbacks run on a task of the present runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::{Event, Snapshot, WatchOptions};
    /// use std::ops::ControlFlow;
    /// let primary = client.namespace("primary");
    /// let options = WatchOptions::new().key("doc.callback.a");
    /// let handle = primary
    ///     .watch_with(options, |event: Event, snapshot: Snapshot| async move {
    ///         let value = snapshot.get("doc.callback.a").await?;
    ///         println!("{:?}: {value:?}", event.position());
    ///         Ok(ControlFlow::Break(()))
    ///     })
    ///     .await?;
    /// primary.put("doc.callback.a", "1").await?;
    /// handle.wait().await?;
    /// # Ok(()) }
    /// ```
    pub async fn watch_with<F, R>(
        &self,
        options: WatchOptions,
        callback: F,
    ) -> Result<WatchHandle, ClientError>
    where
        F: FnMut(Event, Snapshot) -> R + Send + 'static,
        R: Future<Output = Result<ControlFlow<()>, ClientError>> + Send + 'static,
    {
        let runtime = current_runtime()?;
        let stream = self.watch(options).await?;
        let started = stream.started();
        let stop = CancellationToken::new();
        let handled = Arc::new(Mutex::new(started));
        let work = run(
            stream,
            self.clone(),
            stop.clone(),
            handled.clone(),
            callback,
        );
        Ok(WatchHandle {
            stop: stop.drop_guard(),
            handled,
            started,
            task: runtime.spawn(work),
        })
    }
}

impl Client {
    /// The same, by the name of the namespace.
    pub async fn watch_with<F, R>(
        &self,
        namespace: impl Into<SmolStr>,
        options: WatchOptions,
        callback: F,
    ) -> Result<WatchHandle, ClientError>
    where
        F: FnMut(Event, Snapshot) -> R + Send + 'static,
        R: Future<Output = Result<ControlFlow<()>, ClientError>> + Send + 'static,
    {
        self.namespace(namespace)
            .watch_with(options, callback)
            .await
    }
}

async fn run<F, R>(
    mut stream: WatchStream,
    namespace: Namespace,
    stop: CancellationToken,
    handled: Arc<Mutex<Option<Position>>>,
    mut callback: F,
) -> Result<(), ClientError>
where
    F: FnMut(Event, Snapshot) -> R + Send,
    R: Future<Output = Result<ControlFlow<()>, ClientError>> + Send,
{
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            event = stream.recv() => event?,
        };
        let snapshot = Snapshot::of(&namespace, &event);
        let flow = callback(event, snapshot).await?;
        *handled.lock().unwrap_or_else(PoisonError::into_inner) = stream.position();
        if flow.is_break() {
            return Ok(());
        }
    }
}
