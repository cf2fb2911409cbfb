//! All requests in one type, and their operation codes.

use crate::commit::Commit;
use crate::error::ProtocolError;
use crate::hello::Hello;
use crate::log::Log;
use crate::many::{LookupMany, Nodes};
use crate::namespace::{
    NamespaceChown, NamespaceCreate, NamespaceRemove, NamespaceShare, Namespaces,
};
use crate::pin::{Pin, Pins, Unpin};
use crate::read::{Info, List, Lookup, Read, Wait};
use crate::setroot::SetRoot;
use crate::status::{StatusRequest, Sync};
use crate::upload::{Upload, UploadData};
use crate::watch::{Credit, Watch};
use serde::{Deserialize, Serialize};

/// An answer or request without content, encoded as an empty map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Requests a bookmark from a stream; encoded as an empty map. Sent under the stream's id; the
/// answer is a `mark` item of the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkRequest {}

macro_rules! requests {
    ($($(#[$doc:meta])* $variant:ident($body:ty) = $code:literal, $name:literal;)*) => {
        /// An operation code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Op { $($(#[$doc])* $variant,)* }

        impl Op {
            /// Every operation, in the order of the RFC's table.
            pub const ALL: &[Op] = &[$(Op::$variant),*];

            /// The integer on the wire.
            pub fn code(self) -> u64 {
                match self { $(Op::$variant => $code,)* }
            }

            /// The name in documents and logs.
            pub fn name(self) -> &'static str {
                match self { $(Op::$variant => $name,)* }
            }

            /// The operation with this code.
            pub fn from_code(code: u64) -> Result<Self, ProtocolError> {
                match code { $($code => Ok(Op::$variant),)* other => Err(ProtocolError::UnknownOp(other)) }
            }
        }

        /// A request and its body.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request { $($(#[$doc])* $variant($body),)* }

        impl Request {
            /// Its operation.
            pub fn op(&self) -> Op {
                match self { $(Request::$variant(_) => Op::$variant,)* }
            }

            /// Decodes the body of an operation if it is within all limits. Byte fields share its
            /// memory.
            pub fn decode(op: Op, body: &bytes::Bytes) -> Result<Self, ProtocolError> {
                crate::bounds::check(op.name(), body)?;
                match op {
                    $(Op::$variant => crate::body::decode_named(body, $name).map(Request::$variant),)*
                }
            }

            pub(crate) fn write_body<W: std::io::Write + ?Sized>(
                &self,
                out: &mut W,
            ) -> Result<(), rmp_serde::encode::Error> {
                match self { $(Request::$variant(body) => rmp_serde::encode::write_named(out, body),)* }
            }
        }

        $(impl From<$body> for Request {
            fn from(body: $body) -> Self {
                Request::$variant(body)
            }
        })*
    };
}

requests! {
    /// Opens the connection.
    Hello(Hello) = 1, "hello";
    /// Commits a transaction.
    Commit(Commit) = 2, "commit";
    /// Reads one key.
    Lookup(Lookup) = 3, "lookup";
    /// Lists a directory.
    List(List) = 4, "list";
    /// Reads a range of a value.
    Read(Read) = 5, "read";
    /// Reads the root of a namespace.
    Info(Info) = 6, "info";
    /// Waits for a version.
    Wait(Wait) = 7, "wait";
    /// Opens a watch.
    Watch(Watch) = 8, "watch";
    /// Gives a watch more credit; sent under the watch's id, without an answer.
    Credit(Credit) = 9, "credit";
    /// Ends the request or stream under whose id it is sent; has no answer of its own.
    Cancel(Empty) = 10, "cancel";
    /// Lists versions.
    Log(Log) = 11, "log";
    /// Pins a snapshot.
    Pin(Pin) = 12, "pin";
    /// Releases a pin.
    Unpin(Unpin) = 13, "unpin";
    /// Lists pins.
    Pins(Pins) = 14, "pins";
    /// Creates a namespace.
    NamespaceCreate(NamespaceCreate) = 15, "namespace_create";
    /// Removes a namespace.
    NamespaceRemove(NamespaceRemove) = 16, "namespace_remove";
    /// Lists namespaces.
    Namespaces(Namespaces) = 17, "namespaces";
    /// Waits until all earlier commits are on disk.
    Sync(Sync) = 18, "sync";
    /// Reports the state of the daemon.
    Status(StatusRequest) = 19, "status";
    /// Requests a bookmark from a stream; sent under the stream's id, answered by an item.
    Mark(MarkRequest) = 20, "mark";
    /// Opens a stream of root moves.
    SetRoot(SetRoot) = 21, "setroot";
    /// Grants or revokes read access to a namespace.
    NamespaceShare(NamespaceShare) = 22, "namespace_share";
    /// Opens an upload, identified by the request's id.
    Upload(Upload) = 23, "upload";
    /// Adds bytes to an upload.
    UploadData(UploadData) = 24, "upload_data";
    /// Reads many keys of one state.
    LookupMany(LookupMany) = 25, "lookup_many";
    /// Reads the nodes on the path to a key.
    Nodes(Nodes) = 26, "nodes";
    /// Transfers a namespace to another owner.
    NamespaceChown(NamespaceChown) = 27, "namespace_chown";
}
