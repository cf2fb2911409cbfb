//! The pure core of kvs: keys, blobrefs, tree objects, lookup, apply and diff. No runtime, no files, no clock, no logging:
//! what is not at hand is reported as missing, and the caller loads it and calls again.
//!
//! The modules stand in reading order; each uses only those above it.

pub mod limits;

mod error;

mod hash;

mod node;

mod source;

mod value;

mod directory;

pub use directory::EntryChange;
pub use error::{TreeError, TreeErrorKind};
pub use hash::{Blobref, HashAlgorithm, StoreParams};
pub use limits::*;
pub use node::{Directory, Entry, Node, ObjectKind, Stats, Symlink, Value};
pub use source::{Ctx, Fault, Missing, NoSource, NodeSource};
