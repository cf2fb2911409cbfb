//! Stages objects that must be in a pack before a record may name them: values too large for a
//! record, and objects in memory that a tree object refers to.
//!
//! Rights are checked first; then objects are staged, and then the transaction is evaluated. Once
//! it is accepted, its objects join a pack before its group is written. A refused transaction
//! leaves no trace.

use kvs_tree::{Blobref, Directory, Entry, Operation, Transaction, TreeObject, Value, from_json};

use crate::error::EngineError;
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

/// Refuses a transaction that its caller may not commit, before it costs anything.
pub(crate) fn check_rights(store: &Store, request: &CommitRequest) -> Result<(), EngineError> {
    check_writer(store, request.caller, &request.namespace)?;
    check_references(store, request.caller, &request.transaction)
}

/// Refuses a caller who may not change the namespace, so that its data need not be stored.
pub(crate) fn check_writer(
    store: &Store,
    caller: Principal,
    name: &str,
) -> Result<(), EngineError> {
    let namespace = store.namespace(name);
    let namespace = namespace.map_err(|_| store.authority().no_namespace(caller, name))?;
    store.check_owner(caller, &namespace)
}

/// Collects objects to stage: in memory, or in a file if there are many.
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

    /// Adds the objects of an entry that are in memory and not `known`.
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

/// Reserves disk space for objects that will be copied to a pack, until they are copied. So a full
/// disk fails the transaction that needs the space, not all transactions of its group.
pub(crate) fn set_space_aside(store: &Store, staged: Staged) -> Result<Staged, EngineError> {
    match staged.bytes_to_copy() {
        0 => Ok(staged),
        bytes => Ok(staged.with(store.objects.store().claim(bytes)?)),
    }
}

/// Stages what the transaction needs, and rewrites large puts to refer to staged values.
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

/// Stages all objects under a root that are only in memory, so that a pin or copy of it does not
/// depend on the journal.
pub(crate) fn stage_root(store: &Store, root: &Directory) -> Result<Staged, EngineError> {
    let mut stager = Stager::new(store);
    let blobs = store.objects.store();
    let known = |reference: &Blobref| blobs.contains(reference);
    stager.write(&Entry::Directory(root.clone()), &known)?;
    stager.finish()
}

/// Refuses tree objects that refer to stored ones, except from the instance owner: a reference
/// names no namespace whose rights could be checked.
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

/// Stages the targets of `object` that were shown to a client and are only in memory.
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
