//! Every limit of the client, in one place.

use std::time::Duration;

/// Namespaces whose positions are asked for in a hello, which has to be short (64).
pub const HELLO_NAMESPACES: usize = 64;

/// How long one attempt to connect and say hello may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Shortest pause between attempts to connect; doubled after each, with jitter.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(10);

/// Longest pause between attempts to connect.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Longest pause between attempts that options can set (one hour); a longer one is cut to this.
pub(crate) const BACKOFF_LONGEST: Duration = Duration::from_secs(3600);

/// How long a client tries to reconnect before it gives up, unless its options say otherwise.
pub(crate) const RECONNECT_TIME: Duration = Duration::from_secs(60);

/// Lost connections over which a request is sent again, unless the daemon said that it shuts down
/// (2). A request that ends the daemon must not do so for ever.
pub(crate) const REPEATS_OVER_LOSSES: u32 = 2;

/// Events that a watch fetches ahead of its consumer, unless its options say otherwise.
pub(crate) const WATCH_PREFETCH: u64 = 256;

/// Bytes of events that a watch fetches ahead of its consumer, unless its options say otherwise.
/// One event may exceed it.
pub(crate) const WATCH_PREFETCH_BYTES: u64 = 1024 * 1024;

/// A watched version, or a move of a root, that came in parts is handed out whole up to this many
/// bytes, and in parts above it.
pub(crate) const ASSEMBLE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of keys and values that a watch in mode `unique` remembers, so that nothing equal comes
/// twice after a resume. What does not fit is not remembered.
pub const UNIQUE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of requests that are encoded ahead of the socket; more wait in the queue.
pub(crate) const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// Answers that are taken in at a time, before those who wait for them are told.
pub(crate) const FRAMES_AT_A_TIME: usize = 64;

/// Last ids that requests are looked up by without hashing; an older one that is still unanswered
/// is looked up by its hash.
pub(crate) const RECENT_IDS: usize = 4096;

/// Pieces of an upload that may be unanswered.
pub(crate) const UPLOAD_AHEAD: usize = 4;

/// Pieces of a value that a reader asks for ahead.
pub(crate) const READ_AHEAD: usize = 4;

/// Bytes of one such piece.
pub(crate) const READ_PIECE_BYTES: u64 = 1024 * 1024;

/// Bytes that one range read asks for when a whole value is fetched.
pub(crate) const READ_RANGE_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of objects that a cached namespace keeps if its client has no cache (16 MiB).
pub const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Longest value that a cache keeps, in bytes (1 MiB); also at most this part of it:
/// `CACHED_VALUE_SHARE`.
pub const CACHED_VALUE_BYTES: u64 = 1024 * 1024;

/// A cache keeps a value that takes at most one part in so many of it.
pub(crate) const CACHED_VALUE_SHARE: u64 = 64;

/// Incarnations that a cached namespace remembers to have left, so that a late answer does not lead
/// it back.
pub(crate) const PAST_INCARNATIONS: usize = 16;

/// How often a cached read begins anew because its state is not retained any more, before it asks
/// for the value itself.
pub(crate) const CACHED_READ_TRIES: usize = 3;

/// Bytes of answers that a cached namespace keeps beside the cache of objects (4 MiB).
pub const ANSWER_BYTES: usize = 4 * 1024 * 1024;
