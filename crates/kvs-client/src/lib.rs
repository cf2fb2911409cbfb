//! The client library of kvs: commits, reads and watches over one connection that heals itself.
//!
//! `Client` is a cheap handle of a task that owns the connection (`link`): it writes queued
//! requests in one go, keeps each until it is answered, and after a lost connection sends what is
//! unanswered again, commits under the same transaction id, and resumes watches. `Namespace` has
//! the verbs; `WatchStream` is a watch.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
//! # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
//! use kvs_client::{Client, Transaction, WatchOptions};
//! # let address = uri.parse()?; // As a program does it: `Address::from_env()?`.
//! let client = Client::connect(&address).await?;
//! let primary = client.namespace("primary");
//! let mut watch = primary.watch(WatchOptions::new().scope("lwj.*.state")).await?;
//! let committed = primary.commit(Transaction::new().put("lwj.1.state", "running")).await?;
//! let event = watch.recv().await?;
//! assert_eq!(event.snapshot(), Some(committed.snapshot().as_str()));
//! # Ok(()) }
//! ```
//!
//! `Address::from_env` tells where the daemon of this user is. The examples of this documentation
//! are run by `tests/run`, against a daemon of their own.

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

mod positions;
mod pending;
mod prefetch;

mod cache;
mod cache_snapshot;

mod cache_answers;

mod inbox;

mod following;
mod watching;

mod stream;

mod connection;

mod link;

mod client;
mod cache_resolve;
mod receiver;

mod follow;
mod watch;
mod watch_options;

mod namespace;
mod upload;
mod versions;

mod cache_read;
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
pub use connection::{ConnectionEvent, ConnectionEvents};
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
