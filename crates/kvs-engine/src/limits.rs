//! Every limit of this crate in one place, so that nothing grows without a bound that somebody
//! chose.
//!
//! A limit is a `pub const` with its unit and its reason; `docs/LIMITS.md` lists them all.

use std::time::Duration;

/// Times that an append whose outcome is unknown is settled before the store stops (8).
pub(crate) const SETTLE_ATTEMPTS: usize = 8;

/// Bytes of the journal that a restart reads at once (1 MiB).
pub(crate) const REPLAY_READ_BYTES: usize = 1024 * 1024;

/// Objects that a thread reads, verifies and decodes before it takes the next ones (256).
pub(crate) const LOAD_BATCH: usize = 256;

/// Threads that read the disk for requests (8). They start with the store and stay.
pub(crate) const READ_THREADS: usize = 8;

/// Threads that hash, write and sync large values before their transactions are judged (4). They
/// start with the store and stay.
pub(crate) const WRITE_THREADS: usize = 4;

/// Threads that a restart reads objects and computes hashes on, at most (8).
pub(crate) const REPLAY_THREADS: usize = 8;

/// Parts in which the hashes of a replayed tree are computed (256): so many that no thread waits
/// long for another.
pub(crate) const SEAL_PARTS: usize = 256;

/// Bytes of a namespace's name (255): it is shown, sent and stored with every version.
pub(crate) const NAMESPACE_BYTES: usize = 255;

/// Namespaces in one store (100,000): each costs memory for its head, index and past.
pub const NAMESPACES: usize = 100_000;

/// Largest value that is kept in a journal record, in bytes (64 KiB); larger ones go into a pack
/// first.
pub(crate) const RECORD_VALUE_BYTES: u64 = 64 * 1024;

/// Bytes from which on objects that are staged have a file of their own that becomes a pack (16
/// MiB); less of them is copied to a pack that all transactions of a group share.
pub(crate) const OWN_PACK_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of an upload that are written at a time (1 MiB): a multiple of the largest chunk.
pub(crate) const UPLOAD_PIECE_BYTES: usize = 1024 * 1024;

/// Longest value that reading keeps in the cache of objects (1 MiB); longer ones would drive out
/// everything else.
pub const CACHED_VALUE_BYTES: u64 = 1024 * 1024;

/// Nesting of MessagePack in records, root records and the state (64): theirs is less than 10.
pub(crate) const RECORD_DEPTH: usize = 64;

/// Memory for objects of the state that checkpoints read (4 MiB).
pub(crate) const STATE_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Packs of the state (64): with more, a checkpoint writes all that is of use into one.
pub(crate) const STATE_PACKS: usize = 64;

/// Bytes that the packs of the state may take beyond twice what is of use (1 MiB), before a
/// checkpoint writes all of it into one.
pub(crate) const STATE_WASTE_BYTES: u64 = 1024 * 1024;

/// Transactions that may share one version (1,000): bounds what one event can carry.
pub(crate) const VERSION_TRANSACTIONS: usize = 1_000;

/// Bytes of effects after which a version takes no more transactions (1 MiB).
pub(crate) const VERSION_BYTES: usize = 1024 * 1024;

/// Bytes of records after which a group is full (4 MiB): what waits goes into the next one.
pub(crate) const GROUP_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;

/// Requests that may wait for the commit task (65,536), of the instance owner, and of all guests
/// together; more are answered `busy`.
pub(crate) const INBOX: usize = 65_536;

/// Requests of one guest that may wait for the commit task (4,096); more are answered `busy`.
pub(crate) const GUEST_INBOX: usize = 4_096;

/// Transactions that may wait for what is on the disk (65,536), of the instance owner, and of all
/// guests together; more are answered `busy`. Those that must not overtake them count as well.
pub(crate) const WAITING: usize = 65_536;

/// Bytes of those transactions (256 MiB); an operation counts 1 KiB and its value.
pub(crate) const WAITING_BYTES: u64 = 256 * 1024 * 1024;

/// Transactions of one guest that may wait for what is on the disk (4,096); more are answered
/// `busy`.
pub(crate) const GUEST_WAITING: usize = 4_096;

/// Bytes of those transactions (16 MiB).
pub(crate) const GUEST_WAITING_BYTES: u64 = 16 * 1024 * 1024;

/// Lines of waiting transactions that something is loaded for at a time (4): half of
/// `READ_THREADS`, so that reads have threads too.
pub(crate) const LOADS: usize = 4;

/// Waiting transactions that something is loaded for at once (256), and that are evaluated in a row
/// then.
pub(crate) const LOAD_TRANSACTIONS: usize = 256;

/// Bytes of loaded objects after which nothing is loaded for further transactions before these have
/// been evaluated (8 MiB).
pub(crate) const LOAD_BYTES: usize = 8 * 1024 * 1024;

/// Times that something is loaded for a transaction (64), if others change what it works on
/// meanwhile so that it needs something else each time; then it is answered `busy`.
pub(crate) const LOAD_ROUNDS: usize = 64;

/// Work, in bytes, that the commit task takes from one tenant before the next has its turn
/// (16 KiB); an operation counts 1 KiB and its value.
pub(crate) const TURN_BYTES: u32 = 16 * 1024;

/// Work of guests, counted likewise, after which a group takes no more of it (64 KiB): so a commit
/// of the instance owner never waits long for what guests write.
pub(crate) const GUEST_GROUP_BYTES: u64 = 64 * 1024;

/// Names in the keys of one transaction of a guest (16,384), which is applied in one piece: 10,000
/// keys of one name, or 2,700 of six.
pub const GUEST_TRANSACTION_NAMES: usize = 16_384;

/// Nodes and watches of an index that are visited at a time, to find out whom a version wakes,
/// before others have their turn (1,024).
pub(crate) const MATCH_SLICE: usize = 1_024;

/// The same, at most, when much was committed at once (16,384).
pub(crate) const MATCH_SLICE_MOST: usize = 16_384;

/// Visits that are made for each effect that was published before the next commits are taken, so
/// that matching what is watched in an ordinary way is never behind (8).
pub(crate) const MATCH_VISITS_PER_EFFECT: usize = 8;

/// Visits of one lane or other kind of waiters before the next one has its turn (512).
pub(crate) const MATCH_TURN: usize = 512;

/// Visits that calling a wake counts for (16): so many watches at most are woken in one slice.
pub(crate) const WAKE_VISITS: usize = 16;

/// Versions of a namespace that may wait to be matched with the scopes of a lane (4,096). Of more,
/// and of those whose records are not in memory any more, every watch of the lane is told to look
/// for itself.
pub(crate) const MATCH_LAG: u64 = 4_096;

/// Requests that the commit task takes from its inbox before it looks at the journal again (1,024).
pub(crate) const INBOX_BATCH: usize = 1_024;

/// Requests of which the commit task does not take only half although the journal has nothing to do
/// (32).
pub(crate) const INBOX_BATCH_MIN: usize = 32;

/// Time that a thread waits awake for more work by default when it has had some in quick succession
/// (200 µs).
pub const BUSY_POLL: Duration = Duration::from_micros(200);

/// Bytes of records of recent versions that a namespace keeps in memory (8 MiB).
pub(crate) const RECENT_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Recent versions that let go, between two looks at what else there is to do, of what a checkpoint
/// wrote (8).
pub(crate) const DETACH_STEP: usize = 8;

/// Roots of recent versions that a namespace keeps in memory (256).
pub(crate) const RECENT_ROOTS: usize = 256;

/// Versions or groups between two landmarks, from which reading the journal can start (64).
pub(crate) const LANDMARK_DISTANCE: u64 = 64;

/// Bytes of journal that one step of reading the past takes (256 KiB): few enough to stay in the
/// cache of a processor.
pub(crate) const JOURNAL_READ_BYTES: usize = 256 * 1024;

/// Versions that are replayed between two looks at the journal (1,024).
pub(crate) const REPLAY_BATCH: usize = 1_024;

/// Bytes of journal after which the rebuild of an old root lets others have its thread (4 MiB).
pub(crate) const REBUILD_STEP_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of records that a restart replays between two looks at a root (64 MiB).
pub(crate) const REPLAY_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Effects that are replayed in one step, so that what it has to read is known at once (131,072):
/// about as many as stand between two checkpoints.
pub(crate) const REPLAY_STEP: usize = 131_072;

/// About how many bytes of rebuilt roots are kept (64 MiB).
pub(crate) const REBUILT_BYTES: usize = 64 * 1024 * 1024;

/// References that were shown to clients and can be read again (1,024).
pub(crate) const REMEMBERED_REFERENCES: usize = 1_024;

/// Bytes of decoded objects kept in memory by default (64 MiB).
pub const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Watches on one namespace (1,000,000).
pub(crate) const WATCHES: usize = 1_000_000;

/// Visits that are made at once for a watch that is asked for its mark while the matcher is behind
/// (64).
pub(crate) const MARK_VISITS: usize = 64;

/// Patterns that may be removed from a lane while a version is being matched (4,096), since their
/// memory is given back only then; of more, what waits is taken to concern every watch of the lane.
pub(crate) const PATTERNS_REMOVED: usize = 4_096;

/// Scopes that the watches of the instance owner hold, in all (2,000,000).
pub(crate) const SCOPES_HELD: usize = 2_000_000;

/// Patterns among them (200,000): each costs about 300 bytes.
pub(crate) const PATTERNS_HELD: usize = 200_000;

/// Bytes of their texts (256 MiB).
pub(crate) const SCOPE_BYTES_HELD: usize = 256 * 1024 * 1024;

/// Scopes that the watches of any other user hold, over all connections and namespaces (8,192).
pub(crate) const GUEST_SCOPES_HELD: usize = 8_192;

/// Patterns among them (1,024).
pub(crate) const GUEST_PATTERNS_HELD: usize = 1_024;

/// Bytes of their texts (256 KiB): a pattern takes up to 80 times its length in memory.
pub(crate) const GUEST_SCOPE_BYTES_HELD: usize = 256 * 1024;

/// Records that a watch reads ahead (64).
pub(crate) const WATCH_BATCH: usize = 64;

/// Records in memory that a watch looks through before it lets others have their turn (1,024).
pub(crate) const WATCH_LOOK: usize = 1_024;

/// Comparisons of a key with a scope that a watch makes in those records before it lets others have
/// their turn (16,384).
pub(crate) const WATCH_LOOK_COST: usize = 16_384;

/// Bytes of journal that a watch which finds nothing looks through before it lets others have their
/// turn (4 MiB).
pub(crate) const WATCH_LOOK_BYTES: usize = 4 * 1024 * 1024;

/// Followers of roots, and waits for namespaces, in one store (65,536): half of them the instance
/// owner's, half those of guests.
pub(crate) const FOLLOWERS: usize = 65_536;

/// Bytes of journal that a follower of roots reads ahead (64 KiB).
pub(crate) const FOLLOW_READ_BYTES: usize = 64 * 1024;

/// Followers of roots, and waits for namespaces, of one guest (1,024); guests together have half of
/// all.
pub const GUEST_FOLLOWERS: usize = 1_024;

/// Waits for versions on one namespace (65,536): half of them the instance owner's, half those of
/// guests.
pub(crate) const VERSION_WAITERS: usize = 65_536;

/// Waits of one guest for versions on one namespace (1,024).
pub const GUEST_VERSION_WAITERS: usize = 1_024;

/// Pins in one store (65,536): each keeps a whole tree readable.
pub(crate) const PINS: usize = 65_536;

/// Pins of one user who is not the instance owner (64).
pub const GUEST_PINS: usize = 64;

/// Users that one namespace is shared with (1,024).
pub const READERS: usize = 1_024;

/// Longest lease of a pin, in milliseconds (30 days): a forgotten pin must end.
pub const LEASE_MS: u64 = 30 * 24 * 3600 * 1000;

/// Largest value that an event carries, in bytes (64 KiB); of larger ones it tells size and
/// reference.
pub(crate) const CHANGE_VALUE_BYTES: u64 = 64 * 1024;

/// Changes in one part of an event (1,000).
pub(crate) const EVENT_CHANGES: usize = 1_000;

/// Bytes of keys and values in one part of an event (512 KiB).
pub const EVENT_BYTES: usize = 512 * 1024;

/// What an event takes beside its changes, about, in bytes (160): position, root, time, who.
pub(crate) const EVENT_OVERHEAD_BYTES: usize = 160;

/// Events that a namespace keeps for watches of equal scopes (1,024).
pub(crate) const SHARED_EVENTS: usize = 1_024;

/// Bytes of the events that a namespace keeps for watches of equal scopes (8 MiB).
pub(crate) const SHARED_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Differences looked up in one step (1,000).
pub(crate) const DIFF_PAGE: usize = 1_000;

/// Visits (RFC 0001) after which long work gives way to others (256): some 100 µs.
pub const SLICE_VISITS: usize = 256;

/// Time of a processor, in nanoseconds, that no slice should take (1 ms): longer ones are counted.
pub(crate) const SLICE_NS: u64 = 1_000_000;

/// Bytes that are copied or encoded for one visit (1 KiB).
pub const BYTES_A_VISIT: usize = 1024;

/// Bytes of a value that are copied in one step (128 KiB); more are copied in slices.
pub const READ_AT_ONCE_BYTES: usize = 128 * 1024;

/// The part of a slice that is done at once when a request is taken (half): many may be taken in a
/// row.
pub(crate) const FIRST_SLICE_PART: usize = 2;

/// Slices of one part of a watch's event after which other streams of its connection have their
/// turn (64).
pub(crate) const WATCH_SLICES: usize = 64;

/// Slices of one request for a list or log after which it is answered with a place to go on from
/// (1,024), if its client can do that.
pub(crate) const REQUEST_SLICES: usize = 1_024;

/// Slices that a look through the journal counts for (4), which is made on a thread beside
/// (`WATCH_LOOK_BYTES`).
pub(crate) const LOOK_SLICES: usize = 4;

/// Slices for the keys that the log tells of one version (128); what is not found by then is left
/// out, and the log says so.
pub(crate) const LOG_SLICES: usize = 128;

/// Keys that the log tells of one version (1,000); of more it says so.
pub const LOG_CHANGES: usize = 1_000;

/// Versions in one page of the log (1,000).
pub(crate) const LOG_PAGE: usize = 1_000;

/// Most journal between two checkpoints, in bytes (16 MiB): bounds the work of a restart.
pub(crate) const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// Most versions between two checkpoints (100,000).
pub(crate) const CHECKPOINT_VERSIONS: u64 = 100_000;

/// Versions of a namespace that are kept by default (1,000,000).
pub const RETAIN_VERSIONS: u64 = 1_000_000;

/// How long versions are kept by default, in milliseconds (1 hour).
pub const RETAIN_MS: u64 = 3_600_000;

/// Bytes of journal that are kept by default (1 GiB); this limit wins over the other two.
pub const RETAIN_BYTES: u64 = 1024 * 1024 * 1024;

/// Fewest bytes of journal that can be asked to be kept (256 KiB).
pub(crate) const RETAIN_BYTES_MIN: u64 = 256 * 1024;

/// Unacknowledged answers remembered for one client (65,536).
pub(crate) const OUTCOMES_PER_CLIENT: usize = 65_536;

/// Clients of a namespace whose answers are remembered (16,384); past it one is forgotten of the
/// user who has most.
pub(crate) const OUTCOME_CLIENTS: usize = 16_384;

/// Versions after which the answers of a silent client may be forgotten (1,000,000).
pub(crate) const OUTCOME_VERSIONS: u64 = 1_000_000;

/// Milliseconds after which the answers of a silent client may be forgotten (1 hour). Both limits
/// must be passed.
pub(crate) const OUTCOME_AGE_MS: u64 = 3_600_000;

/// Milliseconds between two syncs with durability `interval` (1 s).
pub(crate) const SYNC_INTERVAL_MS: u64 = 1_000;

/// Time between two looks at whether the store's directory is still what its path leads to (1 s).
pub(crate) const PRESENCE_PERIOD: Duration = Duration::from_secs(1);

/// Time between two reports of trouble that goes on, such as a full disk (60 s).
pub(crate) const REPEAT_PERIOD: Duration = Duration::from_secs(60);

/// Milliseconds after which a checkpoint that found no space is tried again (1 s).
pub(crate) const CHECKPOINT_RETRY_MS: u64 = 1_000;

/// Epochs that a store remembers (4,096): positions of older ones are answered as lost.
pub(crate) const EPOCHS: usize = 4_096;

/// Milliseconds between two ticks of lease time, while there are leases (50 ms).
pub(crate) const LEASE_TICK_MS: u64 = 50;

/// Milliseconds by which a tick lets lease time go on at most (100 ms): a process that was stopped,
/// or had too much to do, ends no lease for it.
pub(crate) const LEASE_TICK_MOST_MS: u64 = 100;

/// Milliseconds after which the release of a pin whose lease ran out is tried again, if a full disk
/// refused it (1 s).
pub(crate) const LEASE_RETRY_MS: u64 = 1_000;

/// Milliseconds by which the wall clock and the uptime must move apart between two groups to be
/// reported as a jump (1 s).
pub(crate) const CLOCK_JUMP_MS: u64 = 1_000;

/// Bytes of disk set aside for a checkpoint on a full disk (16 MiB, or less where checkpoints are
/// closer together).
pub(crate) const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
