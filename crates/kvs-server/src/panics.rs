//! A panic anywhere ends the process at once, with a message and its own exit status.
//!
//! A daemon in which one task or thread has died is worse than none: requests wait forever, or are
//! answered from inconsistent state. After a restart everything acknowledged is there, as after
//! `kill -9`. The hook ends the process before unwinding, so no code sees state that a panic left
//! behind.

use std::io::Write as _;
use std::panic::PanicHookInfo;

/// Exit status after a bug (`EX_SOFTWARE`).
pub(crate) const SOFTWARE: u8 = 70;

/// Makes a panic of any thread end the process with status 70, after `report` was called with the
/// message. Other threads are still running then, so `report` must not wait for them.
pub fn end_process_on_panic(report: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        report(&message(panic));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            // If standard error is closed, there is nowhere else to report to.
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
