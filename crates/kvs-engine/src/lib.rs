//! The engine of kvs.
//!
//! Modules stand in reading order: each imports only modules above it.

pub mod limits;

mod clock;

mod entropy;

mod busy_poll;

mod repeats;

mod disk;

mod env;

mod field;

mod tokens;

mod journal;

mod pack;

mod manifest;

mod store_dir;

mod error;

mod workers;

mod reference;

mod place;

mod request;

mod turns;

mod places;

mod slices;

mod record;

mod outcomes;

mod catalog;

mod objects;

mod bulk;

mod changes;

mod gather;

mod event;

mod presence;

mod dispatch;

mod lanes;

mod feed;

mod quota;

mod matched;

mod skim;

mod history;

mod shared;

mod waiters;

mod namespace;

mod archive;

mod reserve;

mod store;

mod roots;

mod view;

mod told;

mod watch;

mod follow;

mod log;

mod stage;

mod upload;

mod checkpoint;

mod config;

mod commit;

mod recovery;

mod engine;

pub use busy_poll::BusyPoll;
pub use changes::{ChangeKind, ChangeValue, KeyChange};
pub use clock::{Clock, RealClock, SimClock};
pub use disk::{
    CrashPoints, CrashVariant, Disk, DiskError, DiskFault, DiskFile, DiskResult, FaultPoint,
    LockGuard, RealDisk, SimDisk,
};
pub use entropy::{Entropy, RealEntropy, SimEntropy};
pub use env::Environment;
pub use journal::{
    Appended, DiskJournal, GroupNumber, Journal, JournalError, JournalOptions, JournalReader,
    MemoryJournal, Preparer, SegmentInfo,
};
pub use manifest::{MANIFEST_FORMAT, ManifestError, ManifestFile};
pub use pack::{
    BlobStore, Joined, MemoryBlobStore, PACK_FORMAT, PackId, PackInfo, PackStore, PackWriter,
    SharedBlobStore, Staged, StoreError,
};
pub use store_dir::{STORE_FORMAT, StoreDirectory, StoreDirectoryError};

pub use config::{Durability, EngineConfig, Retention};
pub use dispatch::WakeSink;
pub use engine::{Engine, Glimpse, Submitted};
pub use error::{EngineError, ErrorKind, StopCause, Stopped};
pub use event::{Behind, RootEvent, SharedEvent, TransactionInfo, WatchEvent};
pub use follow::Follower;
pub use log::{LogEntry, LogPage};
pub use matched::MatchCounts;
pub use place::Place;
pub use record::{Group, Record, TransactionRecord, VersionRecord};
pub use reference::{At, PRIMARY, Position, SnapshotRef, check_namespace_name};
pub use repeats::Repeats;
pub use request::{
    Caller, CommitRequest, Committed, FollowStart, Mode, NamespaceInfo, Pin, Prepared, Principal,
    Start, TransactionId, WatchRequest,
};
pub use slices::{Pace, SliceCounts, Slices};
pub use turns::Turns;
pub use upload::Upload;
pub use view::{Listed, Listing, Located, Nodes, View};
pub use watch::Watch;
