//! Ctrl-C while a command waits.
//!
//! By default SIGINT ends a process, but a shell script starts what it runs in the background with
//! SIGINT ignored, and then nothing but SIGTERM could end a watch there. So commands that wait
//! listen for it, on a thread of their own: the main one may be stuck in a full pipe.

/// Exit status after SIGINT, as a shell tells it.
const INTERRUPTED: i32 = 130;

/// From now on SIGINT ends the process with status 130. Every event that was printed is out by
/// then, as each is flushed.
pub(super) fn end_on_interrupt() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        // Without a handler SIGINT does what it did before.
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            std::process::exit(INTERRUPTED);
        }
    });
}
