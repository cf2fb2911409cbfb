//! Waiting for a version or a namespace.

use std::sync::Arc;

use super::Engine;
use crate::dispatch::{Wake, WakeSink};
use crate::error::{EngineError, ErrorKind};
use crate::reference::Position;
use crate::request::Principal;

/// Wakes a wait for a namespace.
#[derive(Default)]
struct Made(tokio::sync::Notify);

impl WakeSink for Made {
    fn wake(&self, _token: u64) {
        self.0.notify_one();
    }
}

impl Engine {
    /// Waits until a namespace reaches `version`. Dropping the future ends the wait.
    ///
    /// # Errors
    /// `NoNamespace`, also if the namespace is removed meanwhile; `Permission`, also if read access
    /// is revoked meanwhile; `StaleSnapshot` if `incarnation` is not the current one.
    pub async fn wait_version(
        &self,
        caller: Principal,
        namespace: &str,
        version: u64,
        incarnation: Option<u64>,
    ) -> Result<Position, EngineError> {
        let namespace = self.store.readable(caller, namespace)?;
        if incarnation.is_some_and(|wanted| wanted != namespace.incarnation) {
            return Err(EngineError::new(
                ErrorKind::StaleSnapshot,
                format!("namespace {} has a new incarnation", namespace.name),
            ));
        }
        loop {
            let reached = namespace.wait(self.store.tenant(caller), version).await?;
            self.store.may_read(caller, &namespace)?;
            if reached.version >= version {
                return Ok(reached);
            }
        }
    }

    /// Waits until a namespace exists that the caller may read. Dropping the future ends the wait.
    ///
    /// # Errors
    /// `Permission` if it exists and the caller may not read it, `Limit` for too many waits.
    pub async fn wait_namespace(&self, caller: Principal, name: &str) -> Result<(), EngineError> {
        let made = Arc::new(Made::default());
        let wake = Wake {
            sink: made.clone(),
            token: 0,
        };
        let _place = self
            .store
            .feed
            .on_created(self.store.tenant(caller), wake)?;
        loop {
            // Checked after registering, so that no creation is missed.
            match self.store.readable(caller, name) {
                Err(error) if error.kind == ErrorKind::NoNamespace => made.0.notified().await,
                other => return other.map(drop),
            }
        }
    }
}
