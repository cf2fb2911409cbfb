//! The pure core of kvs: keys, blobrefs, tree objects, lookup, apply and diff. It has no runtime,
//! files, clock or logging: a step reports the objects it is missing, and the caller loads them and
//! calls again.
//!
//! The modules are listed in reading order; each uses only those above it.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod limits;

mod error;

mod key;

mod scope;

mod hash;

mod node;

mod source;

mod value;

mod directory;

mod transaction;

mod effect;

mod lookup;

mod edit;

mod walk;

mod list;

mod diff;

mod treeobj;

mod apply;

mod prefetch;

mod replay;

pub use apply::{Applied, Located, PastRoots, Written, apply, locate, plain_put, put_plainly};
pub use diff::{Change, diff};
pub use directory::EntryChange;
pub use effect::{Effect, GraftEntry};
pub use error::{TreeError, TreeErrorKind};
pub use hash::{Blobref, HashAlgorithm, StoreParams};
pub use key::Key;
pub use limits::*;
pub use list::list;
pub use lookup::{Path, Resolved, entry_at, lookup, path, try_get_inline};
pub use node::walk::{Detached, Detacher};
pub use node::{Directory, Entry, Node, ObjectKind, Stats, Symlink, Value};
pub use prefetch::ReplayPrefetch;
pub use replay::replay;
pub use scope::{GlobPattern, PatternId, PatternIndex, PatternSearch, Scope, ScopeSet};
pub use source::{Ctx, Fault, Missing, NoSource, NodeSource};
pub use transaction::{Condition, Operation, OperationResult, Transaction};
pub use treeobj::{TreeObject, from_json, to_json};
pub use walk::{Bounds, Effort, Page};

#[cfg(test)]
mod model;

#[cfg(test)]
mod testing;
