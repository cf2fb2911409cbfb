//! Something that is done on a thread of its own, so that its figures do not tell how busy the
//! others of this process are.

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs it on a new thread with a runtime of one thread; what came of it.
///
/// # Errors
/// It failed, or there is no thread to be had.
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
            // Whoever asked has gone if it is not taken.
            let _ = sender.send(done);
        })?;
    receiver.await?
}
