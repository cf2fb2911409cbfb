//! What must be in a pack before a record may name it: values too large for a record, and objects
//! that a tree object refers to while they are only in memory.
//!
//! It is staged before the transaction is judged, and joins a pack when it was accepted, before the
//! group that it is in is written. Rights are judged before anything is staged. What is refused
//! leaves nothing.

use kvs_tree::{Blobref, Directory, Entry, Operation, Transaction, TreeObject, Value, from_json};

use crate::error::{EngineError, ErrorKind};
use crate::limits::{OWN_PACK_BYTES, RECORD_VALUE_BYTES};
use crate::pack::{PackWriter, Staged, StoreError};
use crate::request::{CommitRequest, Principal};
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

/// Refuses a transaction whose caller may not do what it does, before it costs anything.
pub(crate) fn check_rights(store: &Store, request: &CommitRequest) -> Result<(), EngineError> {
    let (caller, name) = (request.caller, &request.namespace);
    let namespace = store.namespace(name);
    let namespace = namespace.map_err(|_| store.authority().no_namespace(caller, name))?;
    store.check_owner(caller, &namespace)?;
    check_references(store, request.caller, &request.transaction)
}

/// Refuses a caller who may change no namespace at all, so that what he sends need not be kept.
pub(crate) fn check_writer(store: &Store, caller: Principal) -> Result<(), EngineError> {
    if store.authority().is_instance_owner(caller) || store.owns_any(caller) {
        return Ok(());
    }
    let message = format!(
        "uid {} owns no namespace that it could put a value into",
        caller.uid()
    );
    Err(EngineError::new(ErrorKind::Permission, message))
}

/// Objects on their way to be staged: in memory, or in a file if they are many.
struct Stager<'a> {
    store: &'a Store,
    objects: Vec<(Blobref, bytes::Bytes)>,
    bytes: u64,
    pack: Option<Box<dyn PackWriter>>,
}

impl<'a> Stager<'a> {
    fn new(store: &'a Store) -> Self {
        Self {
            store,
            objects: Vec::new(),
            bytes: 0,
            pack: None,
        }
    }

    fn add(&mut self, reference: Blobref, bytes: bytes::Bytes) -> Result<(), StoreError> {
        if let Some(pack) = &mut self.pack {
            return pack.add(&reference, &bytes);
        }
        self.bytes += bytes.len() as u64;
        self.objects.push((reference, bytes));
        if self.bytes >= OWN_PACK_BYTES {
            let pack = self.pack.insert(self.store.objects.store().begin_pack()?);
            for (reference, bytes) in self.objects.drain(..) {
                pack.add(&reference, &bytes)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Staged, EngineError> {
        if let Some(pack) = self.pack {
            return Ok(pack.set_aside(true)?);
        }
        set_space_aside(self.store, Staged::in_memory(self.objects))
    }

    /// Adds what of an entry is only in memory and not `known`.
    fn write(
        &mut self,
        entry: &Entry,
        known: &dyn Fn(&Blobref) -> bool,
    ) -> Result<(), EngineError> {
        let params = self.store.objects.params();
        let mut failed: Option<StoreError> = None;
        let mut emit = |reference: Blobref, _, bytes: bytes::Bytes| {
            if failed.is_none() {
                failed = self.add(reference, bytes).err();
            }
        };
        match entry {
            Entry::Value(value) => value.unwritten(params, known, &mut emit),
            Entry::Directory(directory) => directory.unwritten(params, known, &mut emit),
            Entry::Symlink(_) => {}
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Sets disk space aside for what will be copied to a pack, until it was: a full disk is noticed by
/// whoever needs the space, and not by all who share its group.
pub(crate) fn set_space_aside(store: &Store, staged: Staged) -> Result<Staged, EngineError> {
    match staged.bytes_to_copy() {
        0 => Ok(staged),
        bytes => Ok(staged.with(store.objects.store().claim(bytes)?)),
    }
}

/// Stages what the transaction needs and rewrites large puts to refer to it.
pub(crate) fn stage(store: &Store, transaction: &mut Transaction) -> Result<Staged, EngineError> {
    let params = store.objects.params();
    let mut stager = Stager::new(store);
    for operation in &mut transaction.operations {
        match operation {
            Operation::Put { key, value } if value.len() as u64 > RECORD_VALUE_BYTES => {
                let large = Value::new(params, std::mem::take(value));
                stager.write(&Entry::Value(large.clone()), &|_| false)?;
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
                    write_referenced(&object, &mut stager)?;
                }
            }
            _ => {}
        }
    }
    stager.finish()
}

/// Stages everything under a root that is only in memory, so that a pin on it or a copy of it
/// survives whatever happens to the journal.
pub(crate) fn stage_root(store: &Store, root: &Directory) -> Result<Staged, EngineError> {
    let mut stager = Stager::new(store);
    let blobs = store.objects.store();
    let known = |reference: &Blobref| blobs.contains(reference);
    stager.write(&Entry::Directory(root.clone()), &known)?;
    stager.finish()
}

/// Refuses tree objects that refer to stored ones: a reference names no namespace whose rights
/// could be checked, so that only the instance owner may use it.
fn check_references(
    store: &Store,
    caller: Principal,
    transaction: &Transaction,
) -> Result<(), EngineError> {
    for operation in &transaction.operations {
        if let Operation::PutObject { object, .. } = operation
            && from_json(object).is_ok_and(|object| has_references(&object))
        {
            store
                .authority()
                .check_instance_owner(caller, "putting a tree object by reference")?;
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

/// Stages what `object` refers to, as far as it was shown to a client and is only in memory.
fn write_referenced(object: &TreeObject, stager: &mut Stager<'_>) -> Result<(), EngineError> {
    let (store, blobs) = (stager.store, stager.store.objects.store());
    let known = |reference: &Blobref| blobs.contains(reference);
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
                stager.write(&entry, &known)?;
            }
        }
    }
    Ok(())
}
