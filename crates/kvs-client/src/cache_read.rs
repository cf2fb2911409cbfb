//! Values of one state out of what the client keeps, and from the daemon where that does not do.

use crate::cache::{Found, Way};
use crate::cache_resolve;
use crate::cache_snapshot::SnapshotState;
use crate::error::ClientError;
use crate::namespace::Namespace;
use bytes::Bytes;
use kvs_proto::{At, ErrorCode};
use smol_str::SmolStr;

impl Namespace {
    /// The value at a key of a state of this namespace, looked up in what the client keeps if it
    /// does.
    pub(crate) async fn get_in(
        &self,
        state: &SnapshotState,
        key: SmolStr,
    ) -> Result<Option<Bytes>, ClientError> {
        let (found, _) = self.find_in(state, &key).await?;
        self.told(found, state, key).await
    }

    /// What the client can tell of a key of a state, with its way.
    pub(crate) async fn find_in(
        &self,
        state: &SnapshotState,
        key: &SmolStr,
    ) -> Result<(Found, Option<Way>), ClientError> {
        match &self.client().cache {
            Some(cache) => cache_resolve::find(self.client(), cache, state, key).await,
            None => Ok((Found::Ask, None)),
        }
    }

    /// The value, by what the client could tell of it.
    pub(crate) async fn told(
        &self,
        found: Found,
        state: &SnapshotState,
        key: SmolStr,
    ) -> Result<Option<Bytes>, ClientError> {
        match found {
            Found::Value(bytes) => Ok(Some(bytes)),
            Found::Absent => Ok(None),
            Found::Directory => Err(ClientError::new(ErrorCode::IsDirectory, key)),
            Found::Ask => self.ask(key, At::Snapshot(state.snapshot.clone())).await,
        }
    }
}
