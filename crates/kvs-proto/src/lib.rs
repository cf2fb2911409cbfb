//! The wire protocol of kvs: framing, messages and error codes, shared by the daemon and its
//! clients.
//!
//! Reading order is dependency order: limits, errors, payloads (values decoded without a copy),
//! then one module for each family of messages, the `Request` that combines them, and finally the
//! frame codec. The protocol knows neither the engine nor the tree. `rfcs/0005-wire-protocol.md`
//! describes every byte; a test checks its golden frames against this code.

mod code;
mod error;
mod limits;
mod payload;

mod pack;

mod body;
mod position;
mod scope;

mod entry;

mod commit;
mod committed;
mod namespace;
mod pin;
mod found;
mod read;
mod status;

mod watch;

mod log;
mod setroot;

mod many;
mod upload;

mod bounds;

mod hello;

mod judged;

mod brief;
mod plain;

mod request;

mod frame;

mod pieces;

pub use body::{decode_body, encode_body};
pub use brief::BriefLookup;
pub use code::{Advice, ErrorBody, ErrorCode, SHUTTING_DOWN};
pub use commit::{Commit, Condition, Operation};
pub use committed::CommitAnswer;
pub use entry::{DirectoryInfo, Entry, Link, ValueInfo};
pub use error::ProtocolError;
pub use found::{FoundAt, LookupAnswer};
pub use frame::{
    Frame, FrameCodec, Peeked, Status, write_answer, write_committed, write_error, write_found,
    write_head, write_request,
};
pub use hello::{
    Hello, HelloAnswer, NamespacePosition, ServerLimits, answered_version, offered_versions,
};
pub use judged::{CommitHead, namespace_of};
pub use limits::*;
pub use log::{Log, LogAnswer, LogChange, LogVersion};
pub use many::{LookedUp, LookupMany, LookupManyAnswer, Nodes, NodesAnswer};
pub use namespace::{
    NamespaceChown, NamespaceCreate, NamespaceInfo, NamespaceRemove, NamespaceShare, Namespaces,
    NamespacesAnswer,
};
pub use pieces::encode_in_pieces;
pub use pin::{Pin, PinAnswer, PinInfo, Pins, PinsAnswer, Unpin};
pub use plain::{PlainCommit, PlainOperation};
pub use position::{At, Position, RepeatFrom};
pub use read::{
    Info, InfoAnswer, List, ListAnswer, ListEntry, Lookup, Read, ReadAnswer, Wait, WaitAnswer,
};
pub use request::{Empty, MarkRequest, Op, Request};
pub use scope::{Scope, ScopeKind};
pub use setroot::{
    Created, Moved, NamespaceRoot, OwnerChanged, Reincarnated, Removed, RootItem, RootMark,
    RootStarted, RootState, SetRoot,
};
pub use status::{StatusAnswer, StatusRequest, Sync};
pub use upload::{Upload, UploadData};
pub use watch::{
    Behind, Change, ChangeKind, ChangeValue, Changes, Credit, Gap, Initial, Mark, Mode, Start,
    Started, TransactionInfo, Watch, WatchItem,
};

pub use kvs_tree::OperationResult;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;
