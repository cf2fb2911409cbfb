//! From the engine to the wire: entries, positions and references. Values longer than the client's
//! inline limit are replaced by size and blobref.

use bytes::{Bytes, BytesMut};
use kvs_engine::{ChangeKind, Committed, PinInfo, Position, TransactionInfo, View};
use kvs_proto as wire;
use kvs_proto::{FRAME_BYTES, INLINE_VALUE_BYTES, VALUE_BYTES_A_FRAME, write_committed};
use kvs_tree::{Blobref, Directory, Entry, Symlink, Value};
use smol_str::{SmolStr, ToSmolStr};

use super::failure::Failure;

/// Encodes a position.
pub(crate) fn position(position: Position) -> wire::Position {
    wire::Position {
        incarnation: position.incarnation,
        version: position.version,
    }
}

/// Encodes a symbolic link.
pub(crate) fn link(link: &Symlink) -> wire::Link {
    wire::Link {
        target: link.target.clone(),
        namespace: link.namespace.clone(),
    }
}

/// The counts of a directory that require no read.
pub(crate) fn directory(directory: &Directory) -> wire::DirectoryInfo {
    let stats = directory.stats();
    let depth = u64::from(stats.depth).saturating_sub(1);
    wire::DirectoryInfo::new(stats.entries, stats.bytes, depth)
}

/// Maximum bytes of an inline value for the limit that the client requested.
pub(crate) fn inline_limit(asked: Option<u64>) -> u64 {
    asked.unwrap_or(INLINE_VALUE_BYTES).min(VALUE_BYTES_A_FRAME)
}

/// A value, with its bytes if it has at most `limit`.
pub(crate) async fn value(
    view: &View,
    value: &Value,
    limit: u64,
) -> Result<wire::ValueInfo, Failure> {
    let size = value.len();
    if size <= limit {
        let bytes = match value.inline() {
            Some(bytes) => bytes,
            None => view.read(value, 0..size).await?,
        };
        return Ok(wire::ValueInfo::whole(bytes));
    }
    let blobref = view.blobref(value).map(text);
    Ok(wire::ValueInfo::of_size(size, blobref))
}

/// An entry; a value includes its bytes if it has at most `limit`.
pub(crate) async fn entry(view: &View, entry: &Entry, limit: u64) -> Result<wire::Entry, Failure> {
    Ok(match entry {
        Entry::Value(found) => wire::Entry::Value(value(view, found, limit).await?),
        Entry::Directory(found) => wire::Entry::Directory(directory(found)),
        Entry::Symlink(found) => wire::Entry::Link(link(found)),
    })
}

/// A blobref as text.
pub(crate) fn text(blobref: Blobref) -> SmolStr {
    blobref.to_smolstr()
}

/// Appends the answer to a commit, with the root if requested.
pub(crate) fn committed(
    out: &mut BytesMut,
    id: u64,
    committed: &Committed,
    root: bool,
) -> Result<(), Failure> {
    let Committed {
        position: at,
        results,
        root: made,
    } = committed;
    let told = (position(*at), &results[..], root.then_some(made));
    Ok(write_committed(out, FRAME_BYTES, id, told)?)
}

/// Encodes a pin.
pub(crate) fn pin(pin: &PinInfo) -> wire::PinInfo {
    wire::PinInfo {
        id: pin.id,
        snapshot: pin.snapshot.to_smolstr(),
        uid: pin.principal.uid(),
        lease_ms: pin.lease_ms,
        left_ms: pin.left_ms,
    }
}

/// Encodes the author of a version.
pub(crate) fn transaction(transaction: &TransactionInfo) -> wire::TransactionInfo {
    let client = Bytes::copy_from_slice(&transaction.client);
    let name = transaction.name.clone();
    wire::TransactionInfo::new(
        transaction.principal.uid(),
        client,
        transaction.number,
        name,
    )
}

/// Encodes how a key changed.
pub(crate) fn change_kind(kind: ChangeKind) -> wire::ChangeKind {
    match kind {
        ChangeKind::Put => wire::ChangeKind::Put,
        ChangeKind::Append => wire::ChangeKind::Append,
        ChangeKind::Unlink => wire::ChangeKind::Unlink,
        ChangeKind::Mkdir => wire::ChangeKind::Mkdir,
        ChangeKind::Link => wire::ChangeKind::Link,
    }
}

/// A reference to a state of a namespace.
pub(crate) fn snapshot(namespace: &str, position: Position, root: Blobref) -> SmolStr {
    smol_str::format_smolstr!("{namespace}@{}:{root}", position.version)
}
