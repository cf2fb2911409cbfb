//! Puts tree objects supplied by clients.
//!
//! The parts that the object contains itself become plain effects (a directory, then each entry in
//! it). A `dirref` becomes one graft, a `valref` one value assembled from its blobs; both must name
//! objects that the source has.

use bytes::{Bytes, BytesMut};

use super::draft::{Draft, has_keys_below, refused};
use super::write;
use crate::edit::Wanted;
use crate::effect::{Effect, GraftEntry};
use crate::error::TreeErrorKind;
use crate::hash::Blobref;
use crate::key::Key;
use crate::limits::{FLAT_MAX, MISSING_REPORTED, VALREF_BYTES};
use crate::node::{Body, Directory, Entry, Node, ObjectKind};
use crate::source::Fault;
use crate::treeobj::TreeObject;

/// Puts the object at a resolved key. The depth of the parsed object bounds the recursion.
pub(super) fn put(draft: &mut Draft<'_>, key: Key, object: &TreeObject) -> Result<(), Fault> {
    match object {
        TreeObject::Val(bytes) => write::put(draft, key, bytes),
        TreeObject::ValRef(blobrefs) => {
            let bytes = assemble(draft, blobrefs)?;
            write::put(draft, key, &bytes)
        }
        TreeObject::DirRef(blobref) => graft(draft, key, blobref),
        TreeObject::Dir(entries) => {
            write::mkdir(draft, key.clone())?;
            for (name, object) in entries {
                put(draft, key.child(name)?, object)?;
            }
            Ok(())
        }
        TreeObject::Symlink(link) => {
            let link = write::checked_link(link)?;
            write::link(draft, key, link)
        }
    }
}

/// The bytes of the blobs, concatenated.
fn assemble(draft: &Draft<'_>, blobrefs: &[Blobref]) -> Result<Bytes, Fault> {
    let mut wanted = Wanted::default();
    let mut blobs = Vec::with_capacity(blobrefs.len());
    let mut len = 0u64;
    for blobref in blobrefs {
        check_algorithm(draft, blobref)?;
        match draft.ctx.source.blob(blobref) {
            Some(blob) => {
                len = len.saturating_add(blob.len() as u64);
                blobs.push(blob);
            }
            None if wanted.len() >= MISSING_REPORTED => break,
            None => wanted.add(Err::<(), _>(Fault::missing(*blobref, ObjectKind::Blob))),
        }
        if len > VALREF_BYTES {
            let message = format!("a valref of more than {VALREF_BYTES} bytes");
            return refused(TreeErrorKind::TooBig, message);
        }
    }
    if let Some(fault) = wanted.fault() {
        return Err(fault);
    }
    if let [blob] = blobs.as_slice() {
        return Ok(blob.clone());
    }
    let mut bytes = BytesMut::new();
    for blob in &blobs {
        bytes.extend_from_slice(blob);
    }
    Ok(bytes.freeze())
}

fn graft(draft: &mut Draft<'_>, key: Key, blobref: &Blobref) -> Result<(), Fault> {
    check_algorithm(draft, blobref)?;
    if *blobref == Directory::empty().seal(draft.ctx.params) {
        return write::mkdir(draft, key);
    }
    let node = match draft.ctx.source.node(blobref) {
        Some(node) => node,
        None => return Err(Fault::missing(*blobref, ObjectKind::Node)),
    };
    if !is_directory(&node) {
        let message = format!("{blobref} is not a directory");
        return refused(TreeErrorKind::BadObject, message);
    }
    let directory = Directory::load_root(*blobref, &node);
    let stats = directory.stats();
    let entry = Entry::Directory(directory);
    let grafted = has_keys_below(Some(&entry));
    let subtree = draft.place(&key, entry)? || grafted;
    let entry = GraftEntry {
        blobref: *blobref,
        stats,
    };
    draft.effects.push(Effect::Graft {
        key,
        entry,
        subtree,
    });
    Ok(())
}

/// Whether the node is the top of a directory. A part of a split directory may have too many or too
/// few entries for a directory of that shape, and would break the rule that equal content has an
/// equal hash.
fn is_directory(node: &Node) -> bool {
    match &node.body {
        Body::Leaf(leaf) => leaf.entries.len() <= FLAT_MAX,
        Body::Inner(inner) => inner.len > FLAT_MAX as u64 && inner.children.len() > 1,
        Body::Chunks(_) => false,
    }
}

fn check_algorithm(draft: &Draft<'_>, blobref: &Blobref) -> Result<(), Fault> {
    if blobref.algorithm() != draft.ctx.params.algorithm {
        let message = format!("{blobref} is not of this store's hash");
        return refused(TreeErrorKind::BadObject, message);
    }
    Ok(())
}
