//! Limits of the daemon's server side that are not part of the protocol (those are in
//! `kvs-proto`): what one connection, and all of them together, may hold.
//!
//! Every queue between a client and the engine has its bound here or there. A bound on work stops
//! the reading from that connection (backpressure); a bound on things held open is an error.

use std::time::Duration;

/// Connections above `CONNECTIONS`, or what the limit of open files leaves, that may wait to be told; further ones are
/// closed at once.
pub(crate) const REFUSED_CONNECTIONS: usize = 64;

/// Descriptors of files that are kept for the store and the runtime, whatever clients do (64, or a quarter of a small
/// limit): what a checkpoint, the next segment and a pack need, and each thread while it reads.
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
/// commits in work, answers that are made or wait to be sent (32 MiB). Above it no request of it is taken.
pub(crate) const GUEST_BYTES: usize = 32 * 1024 * 1024;

/// The same, of the instance owner (1 GiB); a connection that holds nothing may always go on.
pub(crate) const OWNER_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes that a connection may hold whatever others of its user hold (64 KiB), so that none stands
/// still for good.
pub(crate) const FREE_BYTES: usize = 64 * 1024;

/// Bytes of answers that may be in the making on one connection (64 MiB): each request that waits for
/// the disk counts what its answer may take.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The same, of one connection of a guest (8 MiB).
pub(crate) const GUEST_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of a connection's first frame, its hello (64 KiB).
pub(crate) const HELLO_BYTES: usize = 64 * 1024;

/// Frames from this many bytes on are received only if there is room for the whole (64 KiB).
pub(crate) const LONG_FRAME_BYTES: usize = 64 * 1024;

/// Time in which such a frame must arrive as a whole (60 s); the connection ends if it does not, so that its room is free.
pub(crate) const FRAME_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests of one guest that may wait for the disk at once, on all its connections (1).
pub(crate) const GUEST_SLOW_REQUESTS: usize = 1;

/// Requests of all guests that may wait for the disk at once (2).
pub(crate) const GUESTS_SLOW_REQUESTS: usize = 2;

/// Steps, slices of work or waits for the disk, after which such a request of a guest gives its place back and stands in
/// line again (8).
pub(crate) const PLACE_STEPS: usize = 8;

/// Time between two looks at whether a client is still there, while requests of it are in work or it is not read from.
pub(crate) const PEER_PERIOD: Duration = Duration::from_millis(100);

/// Requests that a connection of a guest takes in one turn.
pub(crate) const GUEST_TURN_REQUESTS: usize = 32;

/// Bytes of answers that take as much of a turn of a connection of a guest as a request does (32 KiB).
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

/// Uploads that may be open in all, each with a file, or an eighth of the descriptors if that is less; guests may take
/// half of them.
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

/// Longest time that a thread can be told to wait awake for more work.
pub(crate) const BUSY_POLL_MOST: Duration = Duration::from_millis(10);

/// Most threads that serve connections.
pub(crate) const SERVE_THREADS: i64 = 1024;

/// Time that commits in flight have to be answered when the daemon shuts down.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that work takes before a terminal is shown how far it is.
pub(crate) const PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// How often what is shown of it is drawn anew.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of names that `kvs ls` holds to lay them out in columns, 1 MiB; of a directory with more the
/// names are read twice.
pub(crate) const LS_HELD_BYTES: usize = 1024 * 1024;

/// Bytes of names of directories that `kvs ls -R` holds for each level, 64 KiB; of more it reads them
/// once more, page by page.
pub(crate) const LS_BELOW_BYTES: usize = 64 * 1024;

/// Entries of such a page; each level has one.
pub(crate) const LS_BELOW_PAGE: u64 = 64;

/// Bytes of the text that `kvs txn` reads; what it says must fit a frame.
pub(crate) const TRANSACTION_TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a version that `kvs watch` holds whole, 4 MiB; a longer one it prints, or hands to its command, part by part as
/// it comes.
pub(crate) const WATCH_WHOLE_BYTES: usize = 4 * 1024 * 1024;

/// Time after which `kvs watch --to` asks again how far it is, 10 ms, where the daemon was behind.
pub(crate) const MARK_PAUSE: Duration = Duration::from_millis(10);

/// Longest value that a followed key is looked up with; longer ones are read piece by piece. As long as those in events, so
/// that both are compared in the same way.
pub(crate) const FOLLOW_INLINE_BYTES: u64 = 64 * 1024;

/// Bytes appended that `kvs get --watch --append --json` prints as one object, unless one piece is longer; the rest follows in
/// another.
pub(crate) const APPEND_JSON_BYTES: usize = 4 * 1024 * 1024;

/// Longest line of an eventlog.
pub(crate) const EVENTLOG_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of an event that are collected for the standard input of a command before they are written.
pub(crate) const EXEC_BUFFER_BYTES: usize = 64 * 1024;

/// Longest value that `kvs log --values` prints, in bytes (1 MiB).
pub(crate) const LOG_VALUE_BYTES: u64 = 1 << 20;

/// Bytes of keys that `kvs watch --exec` hands to a command in its environment; of more, none: they
/// stand in the event on its standard input.
pub(crate) const EXEC_KEYS_BYTES: usize = 64 * 1024;
