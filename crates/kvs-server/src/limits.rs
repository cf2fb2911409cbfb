//! Limits of the daemon that are not part of the protocol (those are in `kvs-proto`): what one
//! connection, and all of them together, may hold.
//!
//! Every queue between a client and the engine has its limit here or there. At a limit on work, the
//! daemon stops reading from the connection (backpressure); exceeding a limit on open things is an
//! error.

use std::time::Duration;

/// In-memory streams that may wait to be served; opening another one waits.
pub(crate) const MEMORY_BACKLOG: usize = 16;

/// Bytes buffered in each direction of an in-memory stream (64 KiB), as in a socket.
pub(crate) const MEMORY_STREAM_BYTES: usize = 64 * 1024;

/// Connections above `CONNECTIONS`, or above what the limit on open files allows, that are answered
/// with an error; further ones are closed at once.
pub(crate) const REFUSED_CONNECTIONS: usize = 64;

/// File descriptors reserved for the store and the runtime (64, or a quarter of a small limit): for
/// a checkpoint, the next segment, a pack, and each thread while it reads.
pub(crate) const STORE_DESCRIPTORS: usize = 64;

/// Connections of one guest, a user other than the daemon's own and root.
pub(crate) const GUEST_CONNECTIONS: usize = 32;

/// Connections among `CONNECTIONS` that guests cannot use, however many they are.
pub(crate) const OWNER_CONNECTIONS: usize = 1024;

/// Unanswered requests of one connection of a guest; a guest has at most 32 times as many.
pub(crate) const GUEST_REQUESTS_IN_FLIGHT: usize = 64;

/// Bytes of commits in flight on one connection of a guest.
pub(crate) const GUEST_COMMIT_BYTES_IN_FLIGHT: usize = 4 * 1024 * 1024;

/// Streams and waits of one connection of a guest.
pub(crate) const GUEST_STREAMS: usize = 256;

/// Streams and waits of one guest, on all its connections.
pub(crate) const GUEST_STREAMS_IN_ALL: usize = 1024;

/// Bytes held for one guest on all its connections: frames being received, commits in flight,
/// answers being built or waiting to be sent (32 MiB). Above it, none of its requests are taken.
pub(crate) const GUEST_BYTES: usize = 32 * 1024 * 1024;

/// The same for the instance owner (1 GiB); a connection that holds nothing may always continue.
pub(crate) const OWNER_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes that a connection may always hold, whatever other connections of its user hold (64 KiB),
/// so that none is blocked forever.
pub(crate) const FREE_BYTES: usize = 64 * 1024;

/// Bytes of answers being built on one connection (64 MiB); each request that waits for the disk
/// counts the maximum length of its answer.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The same for one connection of a guest (8 MiB).
pub(crate) const GUEST_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Maximum bytes of a connection's first frame, its hello (64 KiB).
pub(crate) const HELLO_BYTES: usize = 64 * 1024;

/// Frames of at least this many bytes are received only when there is room for the whole (64 KiB).
pub(crate) const LONG_FRAME_BYTES: usize = 64 * 1024;

/// Time in which such a frame must arrive completely (60 s); otherwise the connection is closed,
/// which releases its room.
pub(crate) const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests of one guest that may wait for the disk at once, on all its connections (1).
pub(crate) const GUEST_SLOW_REQUESTS: usize = 1;

/// Requests of all guests that may wait for the disk at once (2).
pub(crate) const GUESTS_SLOW_REQUESTS: usize = 2;

/// Steps (slices of work or waits for the disk) after which such a request of a guest releases its
/// permit and queues again (8).
pub(crate) const PLACE_STEPS: usize = 8;

/// Interval of checks whether a client is still there, while its requests are in flight or it is
/// not read from.
pub(crate) const PEER_PERIOD: Duration = Duration::from_millis(100);

/// Requests that a connection of a guest may begin in one turn.
pub(crate) const GUEST_TURN_REQUESTS: usize = 32;

/// Bytes of answers that count as one request in a turn of a connection of a guest (32 KiB).
pub(crate) const GUEST_TURN_BYTES_A_REQUEST: usize = 32 * 1024;

/// Rounds in which a connection of a guest moves bytes, requests and events in one turn.
pub(crate) const GUEST_ROUNDS: usize = 2;

/// Turns of the streams of a guest's connection in one of its turns.
pub(crate) const GUEST_STREAM_TURNS: usize = 16;

/// Bytes per second that one guest may write, by default (8 MiB).
pub(crate) const GUEST_RATE: u64 = 8 * 1024 * 1024;

/// Burst that a guest may write after a pause of this length, in milliseconds of its rate (125 ms:
/// 1 MiB by default).
pub(crate) const GUEST_BURST_MS: u64 = 125;

/// Approximate bytes written for a commit in addition to its own (256).
pub(crate) const COMMIT_OVERHEAD_BYTES: usize = 256;

/// Guests whose recent writes are remembered (1,024); above it, only those of connected guests.
pub(crate) const GUEST_ACCOUNTS: usize = 1024;

/// Uploads that one guest may have open, on all its connections.
pub(crate) const GUEST_UPLOADS: usize = 8;

/// Time a new connection has to say hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Namespaces whose positions one hello can request; further ones are omitted from the answer.
pub(crate) const HELLO_NAMESPACES: usize = 64;

/// Requests of one connection that may wait for the disk at once, commits not counted. At the limit
/// no requests are taken until one is answered.
pub(crate) const SLOW_REQUESTS_IN_FLIGHT: usize = 32;

/// Bytes of commits in flight on one connection. At the limit no requests are taken until one is
/// answered.
pub(crate) const COMMIT_BYTES_IN_FLIGHT: usize = 64 * 1024 * 1024;

/// Uploads that one connection may have open.
pub(crate) const CONNECTION_UPLOADS: usize = 8;

/// Uploads that one connection of a guest may have open.
pub(crate) const GUEST_CONNECTION_UPLOADS: usize = 2;

/// Open uploads of all users, each with a file; an eighth of the file descriptors if that is less.
/// Guests may use half of them.
pub(crate) const UPLOADS: usize = 256;

/// Maximum bytes of one upload (1 TiB, the longest value).
pub(crate) const UPLOAD_BYTES: u64 = 1 << 40;

/// Maximum bytes of one upload of a guest (4 GiB).
pub(crate) const GUEST_UPLOAD_BYTES: u64 = 4 << 30;

/// Bytes of upload pieces in flight on one connection. At the limit no requests are taken until one
/// is answered.
pub(crate) const UPLOAD_BYTES_IN_FLIGHT: usize = 4 * 1024 * 1024;

/// Time without data after which an upload is dropped.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Watches of one connection that may read the disk for their next event at once.
pub(crate) const STREAM_STEPS: usize = 16;

/// Bytes of answers and events waiting to be sent on one connection. Above it no requests of the
/// connection are taken; those in flight may still add their answers.
pub(crate) const OUTGOING_BYTES: usize = 4 * 1024 * 1024;

/// Bytes waiting to be sent on one connection above which no events are produced for it, so that
/// answers are not delayed by events and a slow reader costs no more than this.
pub(crate) const OUTGOING_EVENT_BYTES: usize = 512 * 1024;

/// Bodies of events of at least this many bytes are shared by the connections that receive them;
/// shorter ones are copied into each connection's buffer.
pub(crate) const SHARED_BODY_BYTES: usize = 16 * 1024;

/// Maximum pieces passed to a socket in one write.
pub(crate) const WRITE_PIECES: usize = 32;

/// Bytes that a connection's buffer of outgoing frames keeps while nothing waits.
pub(crate) const OUTBOX_SPARE_BYTES: usize = 16 * 1024;

/// Turns of the streams of one connection before it polls its socket again.
pub(crate) const STREAM_TURNS: usize = 256;

/// Streams that are checked for a bookmark before their connection polls its socket again.
pub(crate) const MARKS_A_TURN: u32 = 1024;

/// Rounds in which a connection moves bytes, requests and events before other connections have a
/// turn.
pub(crate) const SESSION_ROUNDS: usize = 32;

/// Bytes per read from a quiet socket; a busy one is read in larger pieces.
pub(crate) const READ_BYTES: usize = 4 * 1024;

/// Versions that a watch, or groups that a follower of roots, reads without finding a change before
/// its client gets a bookmark.
pub(crate) const MARK_VERSIONS: u64 = 1000;

/// Time for commits in flight to be answered when the daemon shuts down.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A guest's request of at least this many bytes is checked for rights before it is decoded.
/// Decoding a shorter one is cheaper than that.
pub(crate) const JUDGED_BYTES: usize = 4096;
