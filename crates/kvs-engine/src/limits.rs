//! All limits of this crate: nothing grows without an explicit bound.
//!
//! A limit is a `pub const` with its unit and its reason; `docs/LIMITS.md` lists them all.

use std::time::Duration;

/// Attempts to settle an append whose outcome is unknown before the store stops (8).
pub(crate) const SETTLE_ATTEMPTS: usize = 8;

/// Bytes of the journal that a restart reads at once (1 MiB).
pub(crate) const REPLAY_READ_BYTES: usize = 1024 * 1024;

/// Objects that a thread reads, verifies and decodes in one batch (256).
pub(crate) const LOAD_BATCH: usize = 256;

/// Threads that read the disk for requests (8). They run as long as the store is open.
pub(crate) const READ_THREADS: usize = 8;

/// Threads that hash, write and sync large values before their transactions are evaluated (4). They
/// run as long as the store is open.
pub(crate) const WRITE_THREADS: usize = 4;

/// Most threads that read objects and compute hashes at a restart (8).
pub(crate) const REPLAY_THREADS: usize = 8;

/// Parts in which the hashes of a replayed tree are computed (256): enough to balance the threads.
pub(crate) const SEAL_PARTS: usize = 256;

/// Longest name of a namespace, in bytes (255): it is shown, sent and stored with every version.
pub(crate) const NAMESPACE_BYTES: usize = 255;

/// Namespaces in one store (100,000): each costs memory for its head, index and history.
pub const NAMESPACES: usize = 100_000;

/// Largest value in a journal record, in bytes (64 KiB); larger ones go into a pack first.
pub(crate) const RECORD_VALUE_BYTES: u64 = 64 * 1024;

/// Staged objects of this many bytes or more (16 MiB) get their own file, which becomes a pack;
/// smaller ones are copied to a pack that all transactions of a group share.
pub(crate) const OWN_PACK_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of an upload that are written at a time (1 MiB): a multiple of the largest chunk.
pub(crate) const UPLOAD_PIECE_BYTES: usize = 1024 * 1024;

/// Longest value that reading puts into the object cache (1 MiB); longer ones would evict
/// everything else.
pub const CACHED_VALUE_BYTES: u64 = 1024 * 1024;

/// Nesting of MessagePack in records, root records and the state (64); they use less than 10.
pub(crate) const RECORD_DEPTH: usize = 64;

/// Memory for objects of the state that checkpoints read (4 MiB).
pub(crate) const STATE_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Packs of the state (64); with more, a checkpoint copies everything live into one.
pub(crate) const STATE_PACKS: usize = 64;

/// Bytes by which the packs of the state may exceed twice their live bytes (1 MiB) before a
/// checkpoint copies everything live into one.
pub(crate) const STATE_WASTE_BYTES: u64 = 1024 * 1024;

/// Transactions that may share one version (1,000): bounds the size of an event.
pub(crate) const VERSION_TRANSACTIONS: usize = 1_000;

/// Bytes of effects after which a version takes no more transactions (1 MiB).
pub(crate) const VERSION_BYTES: usize = 1024 * 1024;

/// Bytes of records after which a group is full (4 MiB); the rest goes into the next one.
pub(crate) const GROUP_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;

/// Requests that may wait for the commit task (65,536), for the instance owner, and for all guests
/// together; beyond it, they are answered `busy`.
pub(crate) const INBOX: usize = 65_536;

/// Requests of one guest that may wait for the commit task (4,096); beyond it, they are answered
/// `busy`.
pub(crate) const GUEST_INBOX: usize = 4_096;

/// Transactions that may wait for loads from the disk (65,536), for the instance owner, and for all
/// guests together; beyond it, they are answered `busy`. Transactions that must not overtake a
/// waiting one count too.
pub(crate) const WAITING: usize = 65_536;

/// Bytes of those transactions (256 MiB); an operation counts as 1 KiB plus its value.
pub(crate) const WAITING_BYTES: u64 = 256 * 1024 * 1024;

/// Transactions of one guest that may wait for loads from the disk (4,096); beyond it, they are
/// answered `busy`.
pub(crate) const GUEST_WAITING: usize = 4_096;

/// Bytes of those transactions (16 MiB).
pub(crate) const GUEST_WAITING_BYTES: u64 = 16 * 1024 * 1024;

/// Lines of waiting transactions for which objects are loaded concurrently (4): half of
/// `READ_THREADS`, so that reads have threads too.
pub(crate) const LOADS: usize = 4;

/// Waiting transactions for which objects are loaded at once, and which are then evaluated in a row
/// (256).
pub(crate) const LOAD_TRANSACTIONS: usize = 256;

/// Bytes of loaded objects after which nothing is loaded for further transactions until these have
/// been evaluated (8 MiB).
pub(crate) const LOAD_BYTES: usize = 8 * 1024 * 1024;

/// Loads for one transaction (64) if concurrent changes make it need other objects each time; then
/// it is answered `busy`.
pub(crate) const LOAD_ROUNDS: usize = 64;

/// Work, in bytes, that the commit task takes from one tenant before it is the next one's turn (16
/// KiB); an operation counts as 1 KiB plus its value.
pub(crate) const TURN_BYTES: u32 = 16 * 1024;

/// Work of guests, counted likewise, after which a group takes no more of it (64 KiB): so commits
/// of the instance owner never wait long for writes of guests.
pub(crate) const GUEST_GROUP_BYTES: u64 = 64 * 1024;

/// Names in the keys of one transaction of a guest (16,384), as it is applied in one step: 10,000
/// keys of one name, or 2,700 of six.
pub const GUEST_TRANSACTION_NAMES: usize = 16_384;

/// Index nodes and watches that are visited in one slice of matching, before other work gets its
/// turn (1,024).
pub(crate) const MATCH_SLICE: usize = 1_024;

/// Largest slice, when much was committed at once (16,384).
pub(crate) const MATCH_SLICE_MOST: usize = 16_384;

/// Visits for each effect published before the next commits are taken (8), so that matching of
/// ordinary watches never falls behind.
pub(crate) const MATCH_VISITS_PER_EFFECT: usize = 8;

/// Visits of one lane or other kind of waiters before it is the next one's turn (512).
pub(crate) const MATCH_TURN: usize = 512;

/// Visits that waking a watch counts as (16): bounds the watches woken in one slice.
pub(crate) const WAKE_VISITS: usize = 16;

/// Versions of a namespace that may wait to be matched with the scopes of a lane (4,096). Beyond
/// it, or if their records are not in memory any more, every watch of the lane is woken to check
/// for itself.
pub(crate) const MATCH_LAG: u64 = 4_096;

/// Requests that the commit task takes from its inbox before it checks the journal again (1,024).
pub(crate) const INBOX_BATCH: usize = 1_024;

/// While the journal is idle, the commit task takes half of the waiting requests, but at least this
/// many (32).
pub(crate) const INBOX_BATCH_MIN: usize = 32;

/// Default time that a thread busy-polls for more work after some in quick succession (200 µs).
pub const BUSY_POLL: Duration = Duration::from_micros(200);

/// Bytes of records of recent versions that a namespace keeps in memory (8 MiB).
pub(crate) const RECENT_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Recent versions from which nodes are evicted after a checkpoint before other work is checked for
/// (8).
pub(crate) const DETACH_STEP: usize = 8;

/// Roots of recent versions that a namespace keeps in memory (256).
pub(crate) const RECENT_ROOTS: usize = 256;

/// Versions or groups between two landmarks, at which reading of the journal can start (64).
pub(crate) const LANDMARK_DISTANCE: u64 = 64;

/// Bytes of journal that one step of reading the past takes (256 KiB): fits in a processor's cache.
pub(crate) const JOURNAL_READ_BYTES: usize = 256 * 1024;

/// Versions that are replayed before the journal is read again (1,024).
pub(crate) const REPLAY_BATCH: usize = 1_024;

/// Bytes of journal after which the rebuild of an old root yields its thread (4 MiB).
pub(crate) const REBUILD_STEP_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of records that a restart replays before it verifies a root (64 MiB).
pub(crate) const REPLAY_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// Effects that are replayed in one step, so that the objects to read are known at once (131,072):
/// about as many as lie between two checkpoints.
pub(crate) const REPLAY_STEP: usize = 131_072;

/// Approximate memory for rebuilt roots, in bytes (64 MiB).
pub(crate) const REBUILT_BYTES: usize = 64 * 1024 * 1024;

/// References shown to clients that are remembered for later use (1,024).
pub(crate) const REMEMBERED_REFERENCES: usize = 1_024;

/// Default memory for decoded objects, in bytes (64 MiB).
pub const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Watches on one namespace (1,000,000).
pub(crate) const WATCHES: usize = 1_000_000;

/// Visits made at once for a watch that requests a bookmark while matching is behind (64).
pub(crate) const MARK_VISITS: usize = 64;

/// Patterns that may be removed from a lane while a version is being matched (4,096), since their
/// memory is released only afterwards. Beyond it, waiting versions are taken to concern every watch
/// of the lane.
pub(crate) const PATTERNS_REMOVED: usize = 4_096;

/// Scopes of all watches of the instance owner (2,000,000).
pub(crate) const SCOPES_HELD: usize = 2_000_000;

/// Patterns among them (200,000): each costs about 300 bytes.
pub(crate) const PATTERNS_HELD: usize = 200_000;

/// Bytes of their texts (256 MiB).
pub(crate) const SCOPE_BYTES_HELD: usize = 256 * 1024 * 1024;

/// Scopes of all watches of one guest, over all connections and namespaces (8,192).
pub(crate) const GUEST_SCOPES_HELD: usize = 8_192;

/// Patterns among them (1,024).
pub(crate) const GUEST_PATTERNS_HELD: usize = 1_024;

/// Bytes of their texts (256 KiB): a pattern takes up to 80 times its length in memory.
pub(crate) const GUEST_SCOPE_BYTES_HELD: usize = 256 * 1024;

/// Records that a watch reads ahead (64).
pub(crate) const WATCH_BATCH: usize = 64;

/// Records in memory that a watch examines before it yields (1,024).
pub(crate) const WATCH_LOOK: usize = 1_024;

/// Comparisons of a key with a scope in those records before a watch yields (16,384).
pub(crate) const WATCH_LOOK_COST: usize = 16_384;

/// Bytes of journal without a match that a watch examines before it yields (4 MiB).
pub(crate) const WATCH_LOOK_BYTES: usize = 4 * 1024 * 1024;

/// Followers of roots and waits for namespaces in one store (65,536): half for the instance owner,
/// half for guests.
pub(crate) const FOLLOWERS: usize = 65_536;

/// Bytes of journal that a follower of roots reads ahead (64 KiB).
pub(crate) const FOLLOW_READ_BYTES: usize = 64 * 1024;

/// Followers of roots and waits for namespaces of one guest (1,024); all guests together have half
/// of the total.
pub const GUEST_FOLLOWERS: usize = 1_024;

/// Waits for versions on one namespace (65,536): half for the instance owner, half for guests.
pub(crate) const VERSION_WAITERS: usize = 65_536;

/// Waits of one guest for versions on one namespace (1,024).
pub const GUEST_VERSION_WAITERS: usize = 1_024;

/// Pins in one store (65,536): each keeps a whole tree readable.
pub(crate) const PINS: usize = 65_536;

/// Pins of one guest (64).
pub const GUEST_PINS: usize = 64;

/// Readers of one namespace (1,024).
pub const READERS: usize = 1_024;

/// Longest lease of a pin, in milliseconds (30 days): a forgotten pin must end.
pub const LEASE_MS: u64 = 30 * 24 * 3600 * 1000;

/// Largest value that an event carries, in bytes (64 KiB); of larger ones it has size and
/// reference.
pub(crate) const CHANGE_VALUE_BYTES: u64 = 64 * 1024;

/// Changes in one part of an event (1,000).
pub(crate) const EVENT_CHANGES: usize = 1_000;

/// Bytes of keys and values in one part of an event (512 KiB).
pub const EVENT_BYTES: usize = 512 * 1024;

/// Approximate bytes of an event without its changes (160): position, root, time, authors.
pub(crate) const EVENT_OVERHEAD_BYTES: usize = 160;

/// Events that a namespace caches for watches with equal scopes (1,024).
pub(crate) const SHARED_EVENTS: usize = 1_024;

/// Bytes of those events (8 MiB).
pub(crate) const SHARED_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Differences looked up in one step (1,000).
pub(crate) const DIFF_PAGE: usize = 1_000;

/// Visits (RFC 0001) after which long work yields (256): some 100 µs.
pub const SLICE_VISITS: usize = 256;

/// The fraction (a quarter, 64 visits) of a slice that a guest's work may take: a commit has
/// several steps, and each may wait for one slice of each guest.
pub(crate) const GUEST_SLICE_PART: usize = 4;

/// Processor time that no slice should exceed, in nanoseconds (1 ms); longer ones are counted.
pub(crate) const SLICE_NS: u64 = 1_000_000;

/// Bytes copied or encoded that count as one visit (1 KiB).
pub const BYTES_A_VISIT: usize = 1024;

/// Bytes of a value that are copied in one step (128 KiB); longer parts are copied in slices.
pub const READ_AT_ONCE_BYTES: usize = 128 * 1024;

/// The first slice of a request is this fraction (half) of a slice: many requests may be taken in a
/// row.
pub(crate) const FIRST_SLICE_PART: usize = 2;

/// Slices of one part of a watch's event after which it is the turn of other streams of its
/// connection (64).
pub(crate) const WATCH_SLICES: usize = 64;

/// Slices of one request for a list or log after which it is answered with a position to continue
/// from (1,024), if its client supports that.
pub(crate) const REQUEST_SLICES: usize = 1_024;

/// Slices that one scan of the journal on another thread counts as (4; `WATCH_LOOK_BYTES`).
pub(crate) const LOOK_SLICES: usize = 4;

/// Slices for the keys of one version in the log (128); keys not found by then are left out, and
/// the entry says so.
pub(crate) const LOG_SLICES: usize = 128;

/// Keys of one version in the log (1,000); if there are more, the entry says so.
pub const LOG_CHANGES: usize = 1_000;

/// Versions in one page of the log (1,000).
pub(crate) const LOG_PAGE: usize = 1_000;

/// Most journal between two checkpoints, in bytes (16 MiB): bounds the work of a restart.
pub(crate) const CHECKPOINT_BYTES: u64 = 16 * 1024 * 1024;

/// Most versions between two checkpoints (100,000).
pub(crate) const CHECKPOINT_VERSIONS: u64 = 100_000;

/// Versions of a namespace that are kept by default (1,000,000).
pub const RETAIN_VERSIONS: u64 = 1_000_000;

/// Time that versions are kept by default, in milliseconds (1 hour).
pub const RETAIN_MS: u64 = 3_600_000;

/// Bytes of journal that are kept by default (1 GiB); takes precedence over the other two.
pub const RETAIN_BYTES: u64 = 1024 * 1024 * 1024;

/// Smallest configurable retention, in bytes of journal (256 KiB).
pub(crate) const RETAIN_BYTES_MIN: u64 = 256 * 1024;

/// Unacknowledged results remembered for one client (65,536).
pub(crate) const OUTCOMES_PER_CLIENT: usize = 65_536;

/// Clients of a namespace whose results are remembered (16,384); beyond it, a client of the user
/// with most clients is forgotten.
pub(crate) const OUTCOME_CLIENTS: usize = 16_384;

/// Versions after which the results of a silent client may be forgotten (1,000,000).
pub(crate) const OUTCOME_VERSIONS: u64 = 1_000_000;

/// Milliseconds after which the results of a silent client may be forgotten (1 hour). Both limits
/// must be exceeded.
pub(crate) const OUTCOME_AGE_MS: u64 = 3_600_000;

/// Milliseconds between two syncs with durability `interval` (1 s).
pub(crate) const SYNC_INTERVAL_MS: u64 = 1_000;

/// Interval of checks that the store's directory is still the one that its path leads to (1 s).
pub(crate) const PRESENCE_PERIOD: Duration = Duration::from_secs(1);

/// Interval of reports of a lasting problem, such as a full disk (60 s).
pub(crate) const REPEAT_PERIOD: Duration = Duration::from_secs(60);

/// Milliseconds after which a checkpoint that found no space is tried again (1 s).
pub(crate) const CHECKPOINT_RETRY_MS: u64 = 1_000;

/// Epochs that a store remembers (4,096): positions of older ones are reported as lost.
pub(crate) const EPOCHS: usize = 4_096;

/// Epochs of which a namespace knows the versions that they made (64): whether a position of an
/// older one is of its past is not known any more.
pub(crate) const NAMESPACE_EPOCHS: usize = 64;

/// Milliseconds between two ticks of lease time, while there are leases (50 ms).
pub(crate) const LEASE_TICK_MS: u64 = 50;

/// Most milliseconds by which one tick advances lease time (100 ms): no lease expires because the
/// process was stopped or overloaded.
pub(crate) const LEASE_TICK_MOST_MS: u64 = 100;

/// Milliseconds after which the release of an expired pin is tried again, if a full disk refused it
/// (1 s).
pub(crate) const LEASE_RETRY_MS: u64 = 1_000;

/// Milliseconds by which wall clock and uptime must diverge between two groups to be reported as a
/// jump (1 s).
pub(crate) const CLOCK_JUMP_MS: u64 = 1_000;

/// Bytes of disk reserved for a checkpoint on a full disk (16 MiB, or less if checkpoints are
/// closer together).
pub(crate) const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
