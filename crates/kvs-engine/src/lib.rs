//! The engine of kvs.
//!
//! Modules stand in reading order: each imports only modules above it.

pub mod limits;

mod clock;

mod entropy;

mod disk;

mod env;

mod field;

mod journal;

mod pack;

mod manifest;

mod store_dir;

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
    BlobStore, MemoryBlobStore, PackId, PackInfo, PackStore, PackWriter, SharedBlobStore,
    StoreError,
};
pub use store_dir::{STORE_FORMAT, StoreDirectory, StoreDirectoryError};
