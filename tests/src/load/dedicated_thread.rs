//! Runs work on a dedicated thread, so that its figures do not depend on other work in this
//! process.

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs `what` on a new thread with a single-threaded runtime and returns its result.
///
/// # Errors
/// If it fails, or no thread can be started.
pub(crate) async fn apart<T: Send + 'static>(
    name: &str,
    what: impl AsyncFnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let done = runtime
                .map_err(anyhow::Error::from)
                .and_then(|runtime| runtime.block_on(what()));
            // Fails only if the caller is gone.
            let _ = sender.send(done);
        })?;
    receiver.await?
}
