//! The client library of kvs: commits, reads and watches over one connection that heals itself.
//!
//! `Client` is a cheap handle of a task that owns the connection (`link`): it writes queued requests in one go, keeps
//! each until it is answered, and after a lost connection sends what is unanswered again, commits under the same
//! transaction id, and resumes watches. `Namespace` has the verbs; `WatchStream` is a watch.
//!
//! ```no_run
//! # async fn example() -> Result<(), kvs_client::ClientError> {
//! use kvs_client::{Address, Client, Transaction, WatchOptions};
//! let client = Client::connect(&Address::from_env()?).await?;
//! let primary = client.namespace("primary");
//! let mut watch = primary.watch(WatchOptions::new().scope("lwj.*.state")).await?;
//! primary.commit(Transaction::new().put("lwj.1.state", "running")).await?;
//! let event = watch.recv().await?;
//! # Ok(()) }
//! ```

mod error;
mod limits;
mod time;

mod address;
mod options;
mod read_options;

mod transport;

mod answers;
mod event;
mod records;
mod root_event;
mod transaction;

mod known;
mod pending;
mod prefetch;

mod cache;
mod state;

mod memo;

mod inbox;

mod following;
mod watching;

mod stream;

mod link;

mod client;
mod local;
mod taker;

mod follow;
mod watch;
mod watch_options;

mod namespace;
mod upload;

mod kept;
mod many;
mod snapshot;
mod change_reader;

mod cached;

mod callback;

pub use address::Address;
pub use answers::{
    Committed, InfoAnswer, ListAnswer, LookedUp, LookupAnswer, LookupManyAnswer, ReadAnswer,
};
pub use cached::CachedNamespace;
pub use callback::WatchHandle;
pub use client::Client;
pub use error::ClientError;
pub use event::{Behind, Changes, Event, Gap, Initial};
pub use follow::{FollowOptions, FollowStream};
pub use limits::*;
pub use many::Values;
pub use namespace::Namespace;
pub use options::Options;
pub use pending::Pending;

pub use read_options::{ListOptions, LogOptions, LookupOptions};
pub use records::{LogAnswer, LogVersion, NamespaceInfo, PinInfo, ServerInfo, StatusAnswer};
pub use root_event::{
    Created, Moved, NamespaceRoot, OwnerChanged, Reincarnated, Removed, RootEvent, RootStarted,
    RootState,
};
pub use snapshot::Snapshot;
pub use transaction::{Transaction, Uploaded};
pub use transport::{ConnectFuture, Connector, Transport, UnixConnector};
pub use upload::{Upload, ValueReader};
pub use watch::WatchStream;
pub use watch_options::WatchOptions;

// What stands in the signatures of this library.
pub use bytes::Bytes;
pub use futures_core::Stream;
pub use smol_str::SmolStr;

pub use kvs_proto::{
    Advice, At, Change, ChangeKind, ChangeValue, Condition, DirectoryInfo, Entry, ErrorCode, Link,
    ListEntry, LogChange, Mode, NamespaceCreate, Operation, OperationResult, Position, Scope,
    ScopeKind, ServerLimits, Start, TransactionInfo, ValueInfo,
};

#[cfg(test)]
mod tests;
