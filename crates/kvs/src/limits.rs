//! Limits of the command line.

use std::time::Duration;

/// Longest time that a thread can be told to wait awake for more work.
pub(crate) const BUSY_POLL_MOST: Duration = Duration::from_millis(10);

/// Most threads that serve connections.
pub(crate) const SERVE_THREADS: i64 = 1024;

/// Time that work takes before a terminal is shown how far it is.
pub(crate) const PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// How often what is shown of it is drawn anew.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of names that `kvs ls` holds to lay them out in columns, 1 MiB; of a directory with more
/// the names are read twice.
pub(crate) const LS_HELD_BYTES: usize = 1024 * 1024;

/// Bytes of names of directories that `kvs ls -R` holds for each level, 64 KiB; of more it reads
/// them once more, page by page.
pub(crate) const LS_BELOW_BYTES: usize = 64 * 1024;

/// Entries of such a page; each level has one.
pub(crate) const LS_BELOW_PAGE: u64 = 64;

/// Bytes of the text that `kvs txn` reads; what it says must fit a frame.
pub(crate) const TRANSACTION_TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a version that `kvs watch` holds whole, 4 MiB; a longer one it prints, or hands to its
/// command, part by part as it comes.
pub(crate) const WATCH_WHOLE_BYTES: usize = 4 * 1024 * 1024;

/// Time after which `kvs watch --to` asks again how far it is, 10 ms, where the daemon was behind.
pub(crate) const MARK_PAUSE: Duration = Duration::from_millis(10);

/// Longest value that a followed key is looked up with; longer ones are read piece by piece. As
/// long as those in events, so that both are compared in the same way.
pub(crate) const FOLLOW_INLINE_BYTES: u64 = 64 * 1024;

/// Bytes appended that `kvs get --watch --append --json` prints as one object, unless one piece is
/// longer; the rest follows in another.
pub(crate) const APPEND_JSON_BYTES: usize = 4 * 1024 * 1024;

/// Longest line of an eventlog.
pub(crate) const EVENTLOG_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of an event that are collected for the standard input of a command before they are
/// written.
pub(crate) const EXEC_BUFFER_BYTES: usize = 64 * 1024;

/// Longest value that `kvs log --values` prints, in bytes (1 MiB).
pub(crate) const LOG_VALUE_BYTES: u64 = 1 << 20;

/// Bytes of keys that `kvs watch --exec` hands to a command in its environment; of more, none: they
/// stand in the event on its standard input.
pub(crate) const EXEC_KEYS_BYTES: usize = 64 * 1024;
