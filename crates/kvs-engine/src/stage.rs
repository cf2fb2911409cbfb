//! What must be in a pack before a record may name it: values too large for a record, and objects
//! that a tree object refers to while they are only in memory.
//!
//! Staging runs on a blocking thread, one at a time: a pack becomes visible and its registration is
//! queued under one lock, so that no later record can rely on a pack that a restart would not know.

use kvs_tree::{Blobref, Directory, Entry, Operation, Transaction, TreeObject, Value, from_json};

use crate::error::EngineError;
use crate::limits::RECORD_VALUE_BYTES;
use crate::pack::{PackWriter, StoreError};
use crate::request::Caller;
use crate::store::Store;

/// Whether the transaction needs staging before it is submitted.
pub(crate) fn needed(transaction: &Transaction) -> bool {
    transaction
        .operations
        .iter()
        .any(|operation| match operation {
            Operation::Put { value, .. } => value.len() as u64 > RECORD_VALUE_BYTES,
            Operation::PutObject { .. } => true,
            _ => false,
        })
}

/// Puts what the transaction needs into a pack and rewrites large puts to refer to it.
pub(crate) fn stage(store: &Store, transaction: &mut Transaction) -> Result<(), EngineError> {
    let params = store.objects.params();
    let mut pack = store.objects.store().begin_pack()?;
    for operation in &mut transaction.operations {
        match operation {
            Operation::Put { key, value } if value.len() as u64 > RECORD_VALUE_BYTES => {
                let large = Value::new(params, std::mem::take(value));
                write(&Entry::Value(large.clone()), store, pack.as_mut())?;
                let reference = large.blobref(params).ok_or_else(|| {
                    EngineError::corrupt(format!("the value of {key} has no reference"))
                })?;
                let value = Value::stored(large.len(), reference);
                *operation = Operation::PutStored {
                    key: key.clone(),
                    value,
                };
            }
            Operation::PutObject { object, .. } => {
                // A malformed object is refused when it is applied, with its key.
                if let Ok(object) = from_json(object) {
                    write_referenced(&object, store, pack.as_mut())?;
                }
            }
            _ => {}
        }
    }
    pack.finish()?;
    Ok(())
}

fn write(entry: &Entry, store: &Store, pack: &mut dyn PackWriter) -> Result<(), EngineError> {
    let params = store.objects.params();
    let blobs = store.objects.store();
    let known = |reference: &Blobref| blobs.contains(reference);
    let mut failed: Option<StoreError> = None;
    let mut emit = |reference: Blobref, _, bytes: bytes::Bytes| {
        if failed.is_none() {
            failed = pack.add(&reference, &bytes).err();
        }
    };
    match entry {
        Entry::Value(value) => value.unwritten(params, &known, &mut emit),
        Entry::Directory(directory) => directory.unwritten(params, &known, &mut emit),
        Entry::Symlink(_) => {}
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Puts everything under a root that is only in memory into a pack, so that a pin on it or a copy of
/// it survives whatever happens to the journal.
pub(crate) fn stage_root(store: &Store, root: &Directory) -> Result<(), EngineError> {
    let mut pack = store.objects.store().begin_pack()?;
    write(&Entry::Directory(root.clone()), store, pack.as_mut())?;
    pack.finish()?;
    Ok(())
}

/// Refuses tree objects that refer to stored ones: a reference names no namespace whose rights
/// could be checked, so that only the instance owner may use it.
pub(crate) fn check_references(
    store: &Store,
    caller: Caller,
    transaction: &Transaction,
) -> Result<(), EngineError> {
    for operation in &transaction.operations {
        if let Operation::PutObject { object, .. } = operation
            && from_json(object).is_ok_and(|object| has_references(&object))
        {
            store.check_instance_owner(caller, "putting a tree object by reference")?;
        }
    }
    Ok(())
}

fn has_references(object: &TreeObject) -> bool {
    let mut objects = vec![object];
    while let Some(object) = objects.pop() {
        match object {
            TreeObject::ValRef(_) | TreeObject::DirRef(_) => return true,
            TreeObject::Dir(entries) => objects.extend(entries.iter().map(|(_, object)| object)),
            TreeObject::Val(_) | TreeObject::Symlink(_) => {}
        }
    }
    false
}

/// Writes what `object` refers to, as far as it was shown to a client and is only in memory.
fn write_referenced(
    object: &TreeObject,
    store: &Store,
    pack: &mut dyn PackWriter,
) -> Result<(), EngineError> {
    let mut objects = vec![object];
    while let Some(object) = objects.pop() {
        let references: &[Blobref] = match object {
            TreeObject::ValRef(references) => references,
            TreeObject::DirRef(reference) => std::slice::from_ref(reference),
            TreeObject::Dir(entries) => {
                objects.extend(entries.iter().map(|(_, object)| object));
                &[]
            }
            TreeObject::Val(_) | TreeObject::Symlink(_) => &[],
        };
        for reference in references {
            if let Some((entry, _)) = store.remembered(reference) {
                write(&entry, store, pack)?;
            }
        }
    }
    Ok(())
}
