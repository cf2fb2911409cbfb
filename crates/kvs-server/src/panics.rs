//! A panic anywhere ends the process at once, with a message and a status of its own.
//!
//! A task or thread that is gone while the others go on is worse than none: requests wait for ever,
//! or are answered by a half of the daemon that knows nothing of the other. After a restart all
//! that was acknowledged is there, as after `kill -9`. The hook ends the process before anything
//! unwinds, so no code sees a state that a panic left behind.

use std::io::Write as _;
use std::panic::PanicHookInfo;

/// Exit status after a fault of the program (`EX_SOFTWARE`).
pub(crate) const SOFTWARE: u8 = 70;

/// From now on a panic of any thread ends the process with status 70, after `report` was given the
/// message. The other threads are still at work then: `report` must not wait for them.
pub fn end_process_on_panic(report: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        report(&message(panic));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            // There is nowhere to report that nobody reads it.
            let _ = writeln!(std::io::stderr(), "{trace}");
        }
        std::process::exit(SOFTWARE.into());
    }));
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    let place = panic
        .location()
        .map_or_else(|| "somewhere".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    format!(
        "kvs: internal error: {what} (thread {thread}, at {place}); \
         the process ends, what was acknowledged is kept: please report this"
    )
}
