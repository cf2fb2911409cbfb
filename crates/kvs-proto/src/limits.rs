//! Every limit of the protocol, in one place.
//!
//! A server reports its own limits in the answer to `hello`; these are the defaults and what this
//! code enforces.

/// The protocol version that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 2;

/// Maximum bytes in one frame, without its length field. A longer frame closes the connection.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Maximum nesting of maps and arrays in a body. A deeper one is answered `bad-request`.
pub const BODY_DEPTH: usize = 64;

/// Maximum unanswered requests of one connection, streams not counted. Above it, the daemon stops
/// reading from the connection.
pub const REQUESTS_IN_FLIGHT: usize = 1024;

/// Maximum open streams (watches) of one connection. One more is answered `limit`.
pub const STREAMS: usize = 16_384;

/// Maximum connections that a daemon serves at a time. One more is answered `limit` and closed.
pub const CONNECTIONS: usize = 4096;

/// Maximum credit of one stream, in items. More is capped.
pub const STREAM_CREDIT: u64 = 65_536;

/// Maximum credit of one stream, in bytes of items. More is capped.
pub const STREAM_CREDIT_BYTES: u64 = 64 * 1024 * 1024;

/// Minimum interval of the bookmarks of a watch, in milliseconds. A shorter one (except 0) is
/// raised to this.
pub const MARK_INTERVAL_MIN_MS: u64 = 100;

/// Maximum bytes in one piece of an upload (1 MiB).
pub const UPLOAD_CHUNK_BYTES: usize = 1024 * 1024;

/// Maximum value bytes in one read, lookup or inline value, so that its frame stays far below
/// `FRAME_BYTES`. Longer values are read by ranges.
pub const VALUE_BYTES_A_FRAME: u64 = 8 * 1024 * 1024;

/// Values up to this many bytes are sent inline in lookups, lists and watch items unless a request
/// says otherwise.
pub const INLINE_VALUE_BYTES: u64 = 1024 * 1024;

/// A part of a watched version, or a page of a list, ends when it carries this many bytes.
pub const PART_BYTES: usize = 256 * 1024;

/// Maximum entries in one page of a list, a log or the initial state of a watch.
pub const PAGE_ENTRIES: u64 = 10_000;

/// Maximum keys in one `lookup_many`.
pub const LOOKUP_KEYS: usize = 1024;

/// Maximum scopes in one watch or log request.
pub(crate) const SCOPES: usize = 1024;

/// Maximum versions, and maximum namespaces, in one hello.
pub(crate) const HELLO_ITEMS: usize = 1024;

/// Maximum operations, and maximum conditions, in one commit.
pub const TRANSACTION_OPERATIONS: usize = 10_000;

/// Maximum bytes of any string in a request, and of any byte field except values. Keys and names
/// have lower limits.
pub const TEXT_BYTES: usize = 16 * 1024;

/// Maximum elements of all arrays and maps of a request together, unknown fields included; the name
/// and the content of a field count as one each.
pub(crate) const BODY_ITEMS: usize = 1 << 18;

/// Maximum characters of an error message; a longer one is truncated.
pub(crate) const ERROR_MESSAGE_CHARS: usize = 4096;

/// Maximum bytes of the name of a transaction.
pub(crate) const TRANSACTION_NAME_BYTES: usize = 255;

/// Payloads shorter than this, in bytes, are copied out of the frame, so that a small long-lived
/// value does not keep the connection's whole read buffer in memory. Longer ones share the frame's
/// memory.
pub const COPY_BELOW_BYTES: usize = 4096;

/// Bytes by which the read buffer of a connection grows.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The read buffer of a connection grows when fewer than this many bytes are free.
pub(crate) const READ_SPARE_BYTES: usize = 4096;
