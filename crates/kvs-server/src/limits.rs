//! Limits of the daemon that are not part of the protocol (those are in
//! `kvs-proto`): what one connection, and all of them together, may hold.
//!
//! Every queue between a client and the engine has its bound here or there. A bound on work stops
//! the reading from that connection (backpressure); a bound on things held open is an error.

use std::time::Duration;

/// In-memory streams that may wait to be served; whoever opens another waits.
pub(crate) const MEMORY_BACKLOG: usize = 16;

/// Bytes that wait in each direction of an in-memory stream (64 KiB), as in a socket.
pub(crate) const MEMORY_STREAM_BYTES: usize = 64 * 1024;

/// Connections above `CONNECTIONS`, or what the limit of open files leaves, that may wait to be
/// told; further ones are closed at once.
pub(crate) const REFUSED_CONNECTIONS: usize = 64;

/// Descriptors of files that are kept for the store and the runtime, whatever clients do (64, or a
/// quarter of a small limit): what a checkpoint, the next segment and a pack need, and each thread
/// while it reads.
pub(crate) const STORE_DESCRIPTORS: usize = 64;

/// Connections of one guest, a user who is neither the daemon's own nor root.
pub(crate) const GUEST_CONNECTIONS: usize = 32;

/// Places among `CONNECTIONS` that guests cannot take, however many they are.
pub(crate) const OWNER_CONNECTIONS: usize = 1024;

/// Unanswered requests of one connection of a guest; so a guest has at most 32 times as many.
pub(crate) const GUEST_REQUESTS_IN_FLIGHT: usize = 64;

/// Bytes of commits of one connection of a guest that may be in work at once.
pub(crate) const GUEST_COMMIT_BYTES_IN_FLIGHT: usize = 4 * 1024 * 1024;

/// Streams and waits of one connection of a guest.
pub(crate) const GUEST_STREAMS: usize = 256;

/// Streams and waits of one guest, on all its connections.
pub(crate) const GUEST_STREAMS_IN_ALL: usize = 1024;

/// Bytes that are held for one guest at once, on all its connections: frames that are received,
/// commits in work, answers that are made or wait to be sent (32 MiB). Above it no request of it is
/// taken.
pub(crate) const GUEST_BYTES: usize = 32 * 1024 * 1024;

/// The same, of the instance owner (1 GiB); a connection that holds nothing may always go on.
pub(crate) const OWNER_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes that a connection may hold whatever others of its user hold (64 KiB), so that none stands
/// still for good.
pub(crate) const FREE_BYTES: usize = 64 * 1024;

/// Bytes of answers that may be in the making on one connection (64 MiB): each request that waits
/// for the disk counts what its answer may take.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The same, of one connection of a guest (8 MiB).
pub(crate) const GUEST_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of a connection's first frame, its hello (64 KiB).
pub(crate) const HELLO_BYTES: usize = 64 * 1024;

/// Frames from this many bytes on are received only if there is room for the whole (64 KiB).
pub(crate) const LONG_FRAME_BYTES: usize = 64 * 1024;

/// Time in which such a frame must arrive as a whole (60 s); the connection ends if it does not, so
/// that its room is free.
pub(crate) const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests of one guest that may wait for the disk at once, on all its connections (1).
pub(crate) const GUEST_SLOW_REQUESTS: usize = 1;

/// Requests of all guests that may wait for the disk at once (2).
pub(crate) const GUESTS_SLOW_REQUESTS: usize = 2;

/// Steps, slices of work or waits for the disk, after which such a request of a guest gives its
/// place back and stands in line again (8).
pub(crate) const PLACE_STEPS: usize = 8;

/// Time between two looks at whether a client is still there, while requests of it are in work or
/// it is not read from.
pub(crate) const PEER_PERIOD: Duration = Duration::from_millis(100);

/// Requests that a connection of a guest takes in one turn.
pub(crate) const GUEST_TURN_REQUESTS: usize = 32;

/// Bytes of answers that take as much of a turn of a connection of a guest as a request does (32
/// KiB).
pub(crate) const GUEST_TURN_BYTES_A_REQUEST: usize = 32 * 1024;

/// Rounds that a connection of a guest moves bytes, requests and events in one turn.
pub(crate) const GUEST_ROUNDS: usize = 2;

/// Turns that the streams of a connection of a guest have in one turn of it.
pub(crate) const GUEST_STREAM_TURNS: usize = 16;

/// Bytes a second that one guest may write, by default (8 MiB).
pub(crate) const GUEST_RATE: u64 = 8 * 1024 * 1024;

/// Milliseconds of its rate that a guest may write at once when it has written nothing for as long
/// (125 ms: 1 MiB by default).
pub(crate) const GUEST_BURST_MS: u64 = 125;

/// What a commit is written as beside its own bytes, about, in bytes (256).
pub(crate) const COMMIT_OVERHEAD_BYTES: usize = 256;

/// Guests of which is kept what they wrote lately (1,024); of more, of those who are connected.
pub(crate) const GUEST_ACCOUNTS: usize = 1024;

/// Uploads that one guest may have open, on all its connections.
pub(crate) const GUEST_UPLOADS: usize = 8;

/// Time a new connection has to say hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Namespaces whose positions one hello can ask for; further ones are left out of the answer.
pub(crate) const HELLO_NAMESPACES: usize = 64;

/// Requests of one connection that may be waiting for the disk at once (commits not counted); no
/// more requests are taken until one is answered.
pub(crate) const SLOW_REQUESTS_IN_FLIGHT: usize = 32;

/// Bytes of commits of one connection that may be in work at once; no more requests are taken until
/// one is answered.
pub(crate) const COMMIT_BYTES_IN_FLIGHT: usize = 64 * 1024 * 1024;

/// Uploads that one connection may have open.
pub(crate) const CONNECTION_UPLOADS: usize = 8;

/// Uploads that one connection of a guest may have open.
pub(crate) const GUEST_CONNECTION_UPLOADS: usize = 2;

/// Uploads that may be open in all, each with a file, or an eighth of the descriptors if that is
/// less; guests may take half of them.
pub(crate) const UPLOADS: usize = 256;

/// Most bytes of one upload (1 TiB, the longest value).
pub(crate) const UPLOAD_BYTES: u64 = 1 << 40;

/// Most bytes of one upload of a guest (4 GiB).
pub(crate) const GUEST_UPLOAD_BYTES: u64 = 4 << 30;

/// Bytes of pieces of uploads of one connection that may be in work at once; no more requests are
/// taken until one is answered.
pub(crate) const UPLOAD_BYTES_IN_FLIGHT: usize = 4 * 1024 * 1024;

/// Time without news after which an upload is dropped.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Watches of one connection that may be reading the disk for their next event at once.
pub(crate) const STREAM_STEPS: usize = 16;

/// Bytes of answers and events that may wait to be sent on one connection. Above it no request of
/// the connection is taken; what is in work may still add its answer.
pub(crate) const OUTGOING_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that wait to be sent on one connection above which no event is made for it, so that
/// answers are never far behind events and a slow reader costs no more than this.
pub(crate) const OUTGOING_EVENT_BYTES: usize = 512 * 1024;

/// Bodies of events from this many bytes on are shared by the connections that they are sent to;
/// shorter ones are copied into each connection's buffer.
pub(crate) const SHARED_BODY_BYTES: usize = 16 * 1024;

/// Pieces that are handed to a socket in one write.
pub(crate) const WRITE_PIECES: usize = 32;

/// Bytes of a connection's buffer of outgoing frames that it keeps when nothing waits.
pub(crate) const OUTBOX_SPARE_BYTES: usize = 16 * 1024;

/// Turns that the streams of one connection have before it looks at its socket again.
pub(crate) const STREAM_TURNS: usize = 256;

/// Streams that are looked at for a bookmark before their connection looks at its socket again.
pub(crate) const MARKS_A_TURN: u32 = 1024;

/// Rounds that a connection moves bytes, requests and events before other connections have a turn.
pub(crate) const SESSION_ROUNDS: usize = 32;

/// Bytes that are asked of a quiet socket in one read; a busy one is read in larger pieces.
pub(crate) const READ_BYTES: usize = 4 * 1024;

/// Versions that a watch, and groups that a follower of roots, reads over without finding a change
/// before its client is told how far it is.
pub(crate) const MARK_VERSIONS: u64 = 1000;

/// Time that commits in flight have to be answered when the daemon shuts down.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A guest's request of at least so many bytes is not decoded before its rights are judged. Shorter
/// ones cost less than that.
pub(crate) const JUDGED_BYTES: usize = 4096;
