//! Pins and namespaces: create, list, remove.

use std::sync::Arc;

use kvs_tree::{Blobref, Directory};
use smol_str::SmolStr;

use super::Engine;
use crate::commit::Command;
use crate::error::{EngineError, ErrorKind};
use crate::limits::LEASE_MS;
use crate::namespace::Namespace;
use crate::pack::Staged;
use crate::reference::{At, PRIMARY, SnapshotRef, check_namespace_name};
use crate::request::{NamespaceInfo, PinInfo, Principal};
use crate::stage;
use crate::store::Store;

/// The user id that systems reserve for "no user".
const NO_USER: u32 = u32::MAX;

/// Refuses a lease that is zero or too long.
fn check_lease(lease_ms: Option<u64>) -> Result<(), EngineError> {
    match lease_ms {
        Some(0) => Err(EngineError::new(
            ErrorKind::Invalid,
            "a lease must be longer than 0",
        )),
        Some(ms) if ms > LEASE_MS => {
            let days = LEASE_MS / (24 * 3600 * 1000);
            let message = format!("a lease of {ms} ms; the limit is {days} days ({LEASE_MS} ms)");
            Err(EngineError::new(ErrorKind::Limit, message))
        }
        _ => Ok(()),
    }
}

impl Engine {
    /// Refuses a caller who may not change the namespace now.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`.
    pub fn may_write(&self, caller: Principal, namespace: &str) -> Result<(), EngineError> {
        stage::check_writer(&self.store, caller, namespace)
    }

    /// Refuses a caller who may not read the namespace now.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`.
    pub fn may_read(&self, caller: Principal, namespace: &str) -> Result<(), EngineError> {
        self.store.readable(caller, namespace).map(drop)
    }

    /// Keeps a snapshot readable until it is unpinned or its lease (in milliseconds) expires.
    ///
    /// # Errors
    /// `Limit` if the lease is longer than [`LEASE_MS`] or there are too many pins, `Invalid` if it
    /// is 0, since the pin would expire before its first use; `NoSpace`; those of reading the
    /// snapshot.
    pub async fn pin(
        &self,
        caller: Principal,
        snapshot: SnapshotRef,
        lease_ms: Option<u64>,
    ) -> Result<PinInfo, EngineError> {
        check_lease(lease_ms)?;
        let name = snapshot.namespace.clone();
        let view = self
            .view(caller, &name, At::Snapshot(snapshot.clone()))
            .await?;
        let root = view.root_at();
        let staged = self.stage_root(root.directory.clone()).await?;
        self.ask(caller, |reply| Command::Pin {
            snapshot,
            root,
            caller,
            lease_ms,
            staged,
            reply,
        })
        .await
    }

    /// Stages the objects of a state that are not in packs yet.
    async fn stage_root(&self, directory: Directory) -> Result<Vec<Arc<Staged>>, EngineError> {
        let work = move |store: &Arc<Store>| stage::stage_root(store, &directory);
        Ok(vec![Arc::new(self.store.offload_write(work).await?)])
    }

    /// Releases a pin.
    ///
    /// # Errors
    /// `NotFound`, `Permission`.
    pub async fn unpin(&self, caller: Principal, id: u64) -> Result<(), EngineError> {
        self.ask(caller, |reply| Command::Unpin { caller, id, reply })
            .await
    }

    /// The pins on namespaces that the caller may read.
    pub fn pins(&self, caller: Principal) -> Vec<PinInfo> {
        let pins: Vec<PinInfo> = self
            .store
            .pins()
            .values()
            .map(|pinned| self.store.pin_info(&pinned.pin, pinned.deadline))
            .collect();
        let readable = |info: &PinInfo| {
            let namespace = &info.snapshot.namespace;
            self.store.readable(caller, namespace).is_ok()
        };
        pins.into_iter().filter(readable).collect()
    }

    /// Creates a namespace: empty, at version 0, under a new incarnation. Only for the instance
    /// owner.
    ///
    /// # Errors
    /// `Exists`, `Permission`, `Invalid` for an invalid name, `Limit`.
    pub async fn create_namespace(
        &self,
        caller: Principal,
        name: &str,
        owner: Option<Principal>,
    ) -> Result<(), EngineError> {
        self.store
            .authority()
            .check_instance_owner(caller, "making a namespace")?;
        check_namespace_name(name)?;
        let (name, owner) = (SmolStr::new(name), owner.unwrap_or(caller));
        self.ask(caller, |reply| Command::Create {
            name,
            owner,
            root: None,
            staged: Vec::new(),
            reply,
        })
        .await
    }

    /// Creates a namespace as a copy of a state, at version 0, under a new incarnation. Only for
    /// the instance owner, who must be able to read that state. The cost depends only on the part
    /// of the state that is not in packs yet.
    ///
    /// # Errors
    /// Those of [`create_namespace`](Self::create_namespace), and of reading the state: `Compacted`
    /// for an unknown root.
    pub async fn fork_namespace(
        &self,
        caller: Principal,
        name: &str,
        owner: Option<Principal>,
        from: At,
    ) -> Result<(), EngineError> {
        self.store
            .authority()
            .check_instance_owner(caller, "making a namespace")?;
        check_namespace_name(name)?;
        let view = self.view(caller, PRIMARY, from).await?;
        let directory = view.directory();
        let root = Some((view.root(), directory.stats()));
        let (name, owner) = (SmolStr::new(name), owner.unwrap_or(caller));
        let staged = self.stage_root(directory).await?;
        self.ask(caller, |reply| Command::Create {
            name,
            owner,
            root,
            staged,
            reply,
        })
        .await
    }

    /// Grants a user read access to a namespace, or revokes it, which ends the user's watches. For
    /// the owners of the namespace and of the instance. Durable on return.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`, `Limit`.
    pub async fn share_namespace(
        &self,
        caller: Principal,
        name: &str,
        principal: Principal,
        may_read: bool,
    ) -> Result<(), EngineError> {
        let name = SmolStr::new(name);
        self.ask(caller, |reply| Command::Share {
            caller,
            name,
            principal,
            may_read,
            reply,
        })
        .await
    }

    /// Changes the owner of a namespace. The previous owner keeps no access, and its watches end;
    /// readers keep theirs. Only for the instance owner. Durable on return.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`, `Invalid` for an invalid user id.
    pub async fn chown_namespace(
        &self,
        caller: Principal,
        name: &str,
        owner: Principal,
    ) -> Result<(), EngineError> {
        self.store
            .authority()
            .check_instance_owner(caller, "changing the owner of a namespace")?;
        if owner == Principal::Uid(NO_USER) {
            let message = format!("{NO_USER} is not a valid user id");
            return Err(EngineError::new(ErrorKind::Invalid, message));
        }
        let name = SmolStr::new(name);
        self.ask(caller, |reply| Command::Chown { name, owner, reply })
            .await
    }

    /// Removes a namespace with all its contents; a missing one is not an error. Only for the
    /// instance owner. Complete on return.
    ///
    /// # Errors
    /// `NoNamespace` for `primary`, which cannot be removed; `Permission`.
    pub async fn remove_namespace(&self, caller: Principal, name: &str) -> Result<(), EngineError> {
        self.store
            .authority()
            .check_instance_owner(caller, "removing a namespace")?;
        if name == PRIMARY {
            let message = "the primary namespace cannot be removed";
            return Err(EngineError::new(ErrorKind::NoNamespace, message));
        }
        let name = SmolStr::new(name);
        self.ask(caller, |reply| Command::Remove { name, reply })
            .await
    }

    /// Verifies that replaying the journal leads to the published state, and returns the root of
    /// that state. For simulated runs. Cost: linear in the state.
    ///
    /// # Errors
    /// `Corrupt` if it does not.
    pub async fn check_state(&self, caller: Principal) -> Result<Blobref, EngineError> {
        self.ask(caller, |reply| Command::Check { reply }).await
    }

    /// The namespaces that the caller may read, by name. Cost: linear in the number of all
    /// namespaces.
    pub fn namespaces(&self, caller: Principal) -> Vec<NamespaceInfo> {
        let all = self.store.namespaces();
        let info = |namespace: &Arc<Namespace>| self.info(caller, namespace);
        all.iter().filter_map(info).collect()
    }

    /// One namespace.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`.
    pub fn namespace(&self, caller: Principal, name: &str) -> Result<NamespaceInfo, EngineError> {
        let namespace = self.store.readable(caller, name)?;
        let info = self.info(caller, &namespace);
        info.ok_or_else(|| self.store.authority().no_namespace(caller, name))
    }

    /// What the caller may know of a namespace; `None` if it may not read it.
    fn info(&self, caller: Principal, namespace: &Namespace) -> Option<NamespaceInfo> {
        self.store.may_read(caller, namespace).ok()?;
        // Only owners see the list of readers.
        let owned = self.store.check_owner(caller, namespace).is_ok();
        let terms = namespace.terms();
        let readers = terms.readers.iter().copied().filter(|_| owned);
        let published = namespace.published();
        Some(NamespaceInfo {
            name: namespace.name.clone(),
            owner: terms.owner,
            flags: 0,
            position: namespace.at(published.version),
            root: published.root,
            readers: readers.collect(),
        })
    }
}
