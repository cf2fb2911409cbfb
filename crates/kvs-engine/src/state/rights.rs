//! Permissions: checked by commands that change a store and by all reads.

use super::terms::Terms;
use crate::error::{EngineError, ErrorKind};
use crate::request::{Principal, Tenant};

/// The user who owns the store, and the permissions that follow. `root` counts as the same user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority {
    instance_owner: u32,
}

impl Authority {
    pub(crate) fn new(instance_owner: u32) -> Self {
        Self { instance_owner }
    }

    /// The instance owner.
    pub(crate) fn instance_owner(self) -> Principal {
        Principal::Uid(self.instance_owner)
    }

    pub(crate) fn is_instance_owner(self, caller: Principal) -> bool {
        caller.uid() == self.instance_owner || caller.uid() == 0
    }

    /// The tenant whose account the caller's work is charged to.
    pub(crate) fn tenant(self, caller: Principal) -> Tenant {
        Tenant::of(caller, self.instance_owner)
    }

    /// Whether the caller may use what belongs to `owner`.
    pub(crate) fn may_use(self, caller: Principal, owner: Principal) -> bool {
        self.is_instance_owner(caller) || caller == owner
    }

    /// Whether the caller may read a namespace under these terms.
    pub(crate) fn may_read(self, caller: Principal, terms: &Terms) -> bool {
        self.may_use(caller, terms.owner) || terms.readers.contains(&caller)
    }

    /// Refuses callers that may not change the namespace `name`, which belongs to `owner`.
    pub(crate) fn check_use(
        self,
        caller: Principal,
        owner: Principal,
        name: &str,
    ) -> Result<(), EngineError> {
        if self.may_use(caller, owner) {
            return Ok(());
        }
        Err(not_allowed(caller, name))
    }

    /// Refuses everyone but the instance owner. `what` completes "… is for the instance owner".
    pub(crate) fn check_instance_owner(
        self,
        caller: Principal,
        what: &str,
    ) -> Result<(), EngineError> {
        if self.is_instance_owner(caller) {
            return Ok(());
        }
        let owner = self.instance_owner;
        Err(EngineError::new(
            ErrorKind::Permission,
            format!("{what} is for the instance owner (uid {owner})"),
        ))
    }

    /// The error for a namespace that does not exist. A guest gets the same error as for one that
    /// it may not use, so that names in use are not revealed.
    pub(crate) fn no_namespace(self, caller: Principal, name: &str) -> EngineError {
        if self.is_instance_owner(caller) {
            EngineError::no_namespace(name)
        } else {
            not_allowed(caller, name)
        }
    }
}

/// The error for a namespace that the caller may not use.
pub(crate) fn not_allowed(caller: Principal, name: &str) -> EngineError {
    EngineError::new(
        ErrorKind::Permission,
        format!("{caller} may not use namespace {name}"),
    )
}
