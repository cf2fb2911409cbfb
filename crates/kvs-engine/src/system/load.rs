//! Loads the state and everything else that is stored outside the trees of namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kvs_tree::{Blobref, Directory, Entry, Missing, NodeSource, ObjectKind, StoreParams, Value};
use smol_str::SmolStr;

use super::{Loaded, PACKS, PAGE, PASTS, System, SystemRoot};
use crate::error::{EngineError, ErrorKind};
use crate::pack::{BlobStore, PackId};
use crate::state::{Area, Restore, STORE, State, decode, namespace_name};

impl System {
    /// Reads everything back. `blobs` holds the packs of `root`. Cost: linear in the size of the
    /// state.
    ///
    /// # Errors
    /// `Corrupt` if anything is missing or damaged.
    pub(crate) fn load(
        blobs: Arc<dyn BlobStore>,
        params: StoreParams,
        root: SystemRoot,
    ) -> Result<(Self, Loaded), EngineError> {
        let read = Self::read_all(blobs, params, root);
        // Here a missing object is not a caller's mistake.
        read.map_err(|error| match error.kind {
            ErrorKind::BadObject => {
                let message = error.message;
                EngineError::corrupt(format!("cannot read the state of the store: {message}"))
            }
            _ => error,
        })
    }

    fn read_all(
        blobs: Arc<dyn BlobStore>,
        params: StoreParams,
        root: SystemRoot,
    ) -> Result<(Self, Loaded), EngineError> {
        let mut system = Self::new(blobs, params);
        let state = system.directory(root.state)?;
        let mut restore = Restore::new(&params, &system.value(&state, STORE)?)?;
        for area in Area::ALL {
            let directory = system.inner(&state, area.name())?;
            system.each(&directory, |name, entry| match entry {
                Entry::Value(value) => restore.value(area, name, &system.read(value)?),
                Entry::Directory(client) => restore.client(name, system.values(client)?),
                Entry::Symlink(_) => Err(unexpected(name)),
            })?;
            *system.trees.area(area) = directory;
        }
        let local = system.directory(root.local)?;
        let packs: Vec<PackId> = decode(PACKS, &system.value(&local, PACKS)?)?;
        let pasts = system.inner(&local, PASTS)?;
        let mut found = BTreeMap::new();
        for (name, bytes) in system.values(&pasts)? {
            found.insert(namespace_name(&name), decode("a past", &bytes)?);
        }
        system.trees.pasts = pasts;
        let state = restore.finish();
        system.written = state.clone();
        system.root = Some(root);
        Ok((
            system,
            Loaded {
                state,
                pasts: found,
                packs,
            },
        ))
    }

    /// The packs of trees that another root record names: that of the other slot.
    ///
    /// # Errors
    /// `Corrupt` if anything is missing or damaged.
    pub(crate) fn packs_of(&self, root: &SystemRoot) -> Result<Vec<PackId>, EngineError> {
        self.objects.store().adopt(&root.packs)?;
        let local = self.directory(root.local)?;
        decode(PACKS, &self.value(&local, PACKS)?)
    }

    /// The state that a root record names.
    ///
    /// # Errors
    /// `Corrupt` if anything is missing or damaged.
    pub(crate) fn state_of(&self, root: &SystemRoot) -> Result<State, EngineError> {
        let store = self.objects.store().clone();
        store.adopt(&root.packs)?;
        let (_, loaded) = Self::load(store, *self.objects.params(), root.clone())?;
        Ok(loaded.state)
    }

    fn directory(&self, name: Blobref) -> Result<Directory, EngineError> {
        let node = self.objects.read_node(&Missing {
            blobref: name,
            kind: ObjectKind::Node,
        })?;
        Ok(Directory::load_root(name, &node))
    }

    fn entry(&self, directory: &Directory, name: &str) -> Result<Entry, EngineError> {
        let entry = self.objects.pass(|source| directory.get(source, name))?;
        entry.ok_or_else(|| EngineError::corrupt(format!("the state has no entry {name}")))
    }

    fn inner(&self, directory: &Directory, name: &str) -> Result<Directory, EngineError> {
        match self.entry(directory, name)? {
            Entry::Directory(inner) => Ok(inner),
            _ => Err(unexpected(name)),
        }
    }

    fn value(&self, directory: &Directory, name: &str) -> Result<Bytes, EngineError> {
        match self.entry(directory, name)? {
            Entry::Value(value) => self.read(&value),
            _ => Err(unexpected(name)),
        }
    }

    fn read(&self, value: &Value) -> Result<Bytes, EngineError> {
        let read = |source: &dyn NodeSource| value.read(source, 0..value.len());
        self.objects.pass(read)
    }

    fn values(&self, directory: &Directory) -> Result<Vec<(SmolStr, Bytes)>, EngineError> {
        let mut found = Vec::new();
        self.each(directory, |name, entry| match entry {
            Entry::Value(value) => {
                found.push((name.clone(), self.read(value)?));
                Ok(())
            }
            _ => Err(unexpected(name)),
        })?;
        Ok(found)
    }

    fn each(
        &self,
        directory: &Directory,
        mut see: impl FnMut(&SmolStr, &Entry) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut after: Option<SmolStr> = None;
        loop {
            let page = |source: &dyn NodeSource| directory.page(source, after.as_deref(), PAGE);
            let page = self.objects.pass(page)?;
            for (name, entry) in &page {
                see(name, entry)?;
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(()),
            }
        }
    }
}

fn unexpected(name: &str) -> EngineError {
    EngineError::corrupt(format!("entry {name:?} of the state is of another kind"))
}
