//! Every limit of the protocol, in one place.
//!
//! A server tells its own in the answer to `hello`; these are the defaults and what this code
//! enforces.

/// The protocol version that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 2;

/// Most bytes in one frame, its length field not counted. A longer frame closes the connection.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Deepest nesting of maps and arrays in a body. A deeper one is answered `bad-request`.
pub const BODY_DEPTH: usize = 64;

/// Most requests of one connection that may be unanswered at a time, streams not counted. The
/// daemon stops reading from a connection that has more.
pub const REQUESTS_IN_FLIGHT: usize = 1024;

/// Most streams (watches) that one connection may have open. One more is answered `limit`.
pub const STREAMS: usize = 16_384;

/// Most connections that a daemon serves at a time. One more is told `limit` and closed.
pub const CONNECTIONS: usize = 4096;

/// Most credit, in items, that one stream can hold. More is cut to this.
pub const STREAM_CREDIT: u64 = 65_536;

/// Most credit, in bytes of items, that one stream can hold. More is cut to this.
pub const STREAM_CREDIT_BYTES: u64 = 64 * 1024 * 1024;

/// Shortest interval of the marks of a watch, in milliseconds. A shorter one (but 0) is raised to
/// this.
pub const MARK_INTERVAL_MIN_MS: u64 = 100;

/// Most bytes in one piece of an upload (1 MiB).
pub const UPLOAD_CHUNK_BYTES: usize = 1024 * 1024;

/// Most value bytes that one read, lookup or inline value carries, so that its frame stays far
/// below `FRAME_BYTES`. Longer values are read by ranges.
pub const VALUE_BYTES_A_FRAME: u64 = 8 * 1024 * 1024;

/// Values up to this many bytes stand inline in lookups, lists and watch items unless a request
/// says otherwise.
pub const INLINE_VALUE_BYTES: u64 = 1024 * 1024;

/// A part of a watched version, or a page of a list, is ended when it carries this many bytes.
pub const PART_BYTES: usize = 256 * 1024;

/// Most entries in one page of a list, a log or the initial state of a watch.
pub const PAGE_ENTRIES: u64 = 10_000;

/// Most keys in one `lookup_many`.
pub const LOOKUP_KEYS: usize = 1024;

/// Most scopes in one watch or log request.
pub(crate) const SCOPES: usize = 1024;

/// Most versions, and most namespaces, in one hello.
pub(crate) const HELLO_ITEMS: usize = 1024;

/// Most operations, and most conditions, in one commit.
pub const TRANSACTION_OPERATIONS: usize = 10_000;

/// Most bytes of any text of a request, and of any bytes in it but values. Limits of keys and names
/// are within it.
pub const TEXT_BYTES: usize = 16 * 1024;

/// Most elements of all arrays and maps of a request together, those of unknown fields included:
/// the name and the content of a field count as one each.
pub(crate) const BODY_ITEMS: usize = 1 << 18;

/// Longest message of an error answer, in characters; a longer one is cut.
pub(crate) const ERROR_MESSAGE_CHARS: usize = 4096;

/// Most bytes in the name of a transaction.
pub(crate) const TRANSACTION_NAME_BYTES: usize = 255;

/// Payloads shorter than this, in bytes, are copied out of the frame: a small value that lives long
/// must not keep the connection's whole read buffer in memory. Longer ones share the frame's
/// memory.
pub const COPY_BELOW_BYTES: usize = 4096;

/// Room that the read buffer of a connection is grown by, in bytes.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The read buffer of a connection is grown when less than this many bytes are free in it.
pub(crate) const READ_SPARE_BYTES: usize = 4096;
