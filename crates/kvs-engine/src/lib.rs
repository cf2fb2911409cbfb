//! The engine of kvs: namespaces, commits, history, watches, and the recovery of a store.
//!
//! Modules are declared in reading order: each imports only modules above it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod limits;

pub(crate) use kvs_storage::{blobs as pack, clock, env, epoch, journal, root, storage, term};

mod busy_poll;

mod repeats;

mod tokens;

mod whole_value;

mod error;

mod settle;

mod owner;

mod workers;

mod reference;

mod place;

mod request;

mod answers;

mod turns;

mod places;

mod slices;

mod past;

mod state;

mod objects;

mod bulk;

mod changes;

mod gather;

mod event;

mod prefix_bloom;

mod dispatch;

mod lanes;

mod notifier;

mod quota;

mod matched;

mod checkpoint_counts;

mod skim;

mod history;

mod event_cache;

mod waiters;

mod namespace;

mod archive;

mod store;

mod roots;

mod view;

mod version_changes;

mod watch;

mod follow;

mod log;

mod stage;

mod upload;

mod system;

mod checkpoint;

mod config;

mod commit;

mod recovery;

mod engine;

pub use kvs_storage::limits::OPEN_FILES;
pub use kvs_storage::{
    Clock, CrashPoints, CrashVariant, Disk, DiskError, DiskFault, DiskFile, DiskResult, Entropy,
    Environment, FaultPoint, LocalOptions, LocalStorage, LockGuard, RealClock, RealDisk,
    RealEntropy, SimClock, SimDisk, SimEntropy, Storage, memory,
};

pub use answers::{Answer, Answers, Token};
pub use busy_poll::BusyPoll;
pub use changes::{ChangeKind, ChangeValue, KeyChange};

pub use checkpoint_counts::CheckpointCounts;
pub use config::{Durability, EngineConfig, Retention};
pub use dispatch::WakeSink;
pub use engine::{Engine, Glimpse, Submitted};
pub use error::{EngineError, ErrorKind, StopCause, Stopped};
pub use event::{Behind, RootEvent, SharedEvent, TransactionInfo, WatchEvent};
pub use follow::Follower;
pub use log::{LogEntry, LogPage};
pub use matched::MatchCounts;
pub use place::Place;
pub use reference::{At, PRIMARY, Position, SnapshotRef};
pub use repeats::Repeats;
pub use request::{
    CommitRequest, Committed, FollowStart, Mode, NamespaceInfo, Pin, PinInfo, Prepared, Principal,
    Start, Tenant, TransactionId, WatchRequest,
};
pub use slices::{Pace, SliceCounts, SliceKind, Slices, visits_of_bytes};
pub use state::{Cause, Group, Record, TransactionRecord, VersionRecord};
pub use turns::Turns;
pub use upload::Upload;
pub use view::{Listed, Listing, Located, Nodes, View};
pub use watch::Watch;
