//! Ctrl-C while a command waits.
//!
//! By default SIGINT ends a process, but shell scripts start background commands with SIGINT
//! ignored, where only SIGTERM could end a watch. So commands that wait handle SIGINT, on a
//! separate thread: the main thread may be blocked by a full pipe.

/// Exit status after SIGINT, as in a shell.
const INTERRUPTED: i32 = 130;

/// From now on, SIGINT ends the process with status 130. Printed events are not lost, as each is
/// flushed.
pub(super) fn end_on_interrupt() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        // Without a handler, SIGINT keeps its previous effect.
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            std::process::exit(INTERRUPTED);
        }
    });
}
