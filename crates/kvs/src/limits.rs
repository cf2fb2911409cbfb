//! Limits of the command line.

use std::time::Duration;

/// Longest time that a thread can be set to busy-poll.
pub(crate) const BUSY_POLL_MOST: Duration = Duration::from_millis(10);

/// Most threads that serve connections.
pub(crate) const SERVE_THREADS: i64 = 1024;

/// Work that takes longer than this shows its progress on a terminal.
pub(crate) const PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// Interval at which shown progress is redrawn.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of names that `kvs ls` buffers for the column layout (1 MiB). The names of a larger
/// directory are read twice.
pub(crate) const LS_HELD_BYTES: usize = 1024 * 1024;

/// Bytes of directory names that `kvs ls -R` buffers for each level (64 KiB). Beyond it, names are
/// read again, page by page.
pub(crate) const LS_BELOW_BYTES: usize = 64 * 1024;

/// Entries of such a page; each level holds one page.
pub(crate) const LS_BELOW_PAGE: u64 = 64;

/// Longest text that `kvs txn` reads, in bytes; the transaction itself must fit in a frame.
pub(crate) const TRANSACTION_TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// Largest version that `kvs watch` buffers whole (4 MiB). A larger one is printed, or passed to
/// the command, in parts as it arrives.
pub(crate) const WATCH_WHOLE_BYTES: usize = 4 * 1024 * 1024;

/// Pause (10 ms) before `kvs watch --to` asks for a bookmark again if the daemon was not there yet.
pub(crate) const MARK_PAUSE: Duration = Duration::from_millis(10);

/// Longest value that a lookup of a followed key returns inline; longer ones are read in pieces.
/// Same limit as for values in events, so both are compared alike.
pub(crate) const FOLLOW_INLINE_BYTES: u64 = 64 * 1024;

/// Appended bytes that `kvs get --watch --append --json` collects into one object; the rest follows
/// in the next. A longer single piece stays whole.
pub(crate) const APPEND_JSON_BYTES: usize = 4 * 1024 * 1024;

/// Longest line of an eventlog, in bytes.
pub(crate) const EVENTLOG_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of an event that are buffered before they are written to a command's standard input.
pub(crate) const EXEC_BUFFER_BYTES: usize = 64 * 1024;

/// Longest value that `kvs log --values` prints, in bytes (1 MiB).
pub(crate) const LOG_VALUE_BYTES: u64 = 1 << 20;

/// Longest list of keys that `kvs watch --exec` passes in a command's environment. A longer list is
/// not passed; the event on standard input has the keys.
pub(crate) const EXEC_KEYS_BYTES: usize = 64 * 1024;
