//! Reading one state of a namespace, such as the one that an event is about, whatever has happened
//! since.

use crate::answers::{InfoAnswer, ListAnswer, LookupAnswer, ReadAnswer};
use crate::cache_snapshot::SnapshotState;
use crate::error::ClientError;
use crate::event::Event;
use crate::many::Values;
use crate::namespace::Namespace;
use crate::read_options::{ListOptions, LookupOptions};
use bytes::Bytes;
use kvs_proto::{At, Position};
use smol_str::SmolStr;
use std::sync::Arc;

/// One state of a namespace, to be read. Cheap to clone; may be kept, and passed on by its
/// [`reference`](Self::reference).
///
/// All reads see the same state: a key that was changed since, or removed, reads as it was. That
/// lasts as long as the version is retained, or pinned; then reads fail with `compacted`.
///
/// Of a client that keeps what it reads ([`Client::with_cache`](crate::Client::with_cache)), `get`
/// asks the daemon only for what the client lacks.
#[derive(Debug, Clone)]
pub struct Snapshot {
    namespace: Namespace,
    at: At,
    position: Option<Position>,
    /// The state, if its reference is known and the client keeps what it reads.
    state: Option<Arc<SnapshotState>>,
}

impl Namespace {
    /// The state that a snapshot reference of this namespace names. Costs nothing; whether it can
    /// be read shows when it is.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// let primary = client.namespace("primary");
    /// let before = primary.put("doc.snapshot.a", "1").await?;
    /// primary.put("doc.snapshot.a", "2").await?;
    /// let then = primary.snapshot(before.snapshot());
    /// assert_eq!(then.get("doc.snapshot.a").await?.as_deref(), Some(&b"1"[..]));
    /// # Ok(()) }
    /// ```
    pub fn snapshot(&self, reference: impl Into<SmolStr>) -> Snapshot {
        Snapshot::new(self, At::Snapshot(reference.into()), None)
    }
}

impl Snapshot {
    /// The state that an event of a watch of that namespace is about. An event that has no snapshot
    /// is read at its version; and at the newest if it has none either.
    pub fn of(namespace: &Namespace, event: &Event) -> Self {
        let position = event.position();
        let at = match (event.snapshot(), position) {
            (Some(snapshot), _) => At::Snapshot(snapshot.into()),
            (None, Some(position)) => At::Version(position.version),
            (None, None) => At::Current,
        };
        Snapshot::new(namespace, at, position)
    }

    pub(crate) fn new(namespace: &Namespace, at: At, position: Option<Position>) -> Self {
        let state = match &at {
            At::Snapshot(snapshot) if namespace.client().cache.is_some() => {
                SnapshotState::parse(snapshot)
            }
            _ => None,
        };
        Snapshot {
            namespace: namespace.clone(),
            at,
            position,
            state: state
                .filter(|state| state.namespace == namespace.name())
                .map(Arc::new),
        }
    }

    /// What is read, as any read takes it.
    pub fn at(&self) -> &At {
        &self.at
    }

    /// The snapshot reference, `NAMESPACE@VERSION:BLOBREF`: text that can be passed to another
    /// service, which then reads the same. `None` if the event that it was made of has none.
    pub fn reference(&self) -> Option<&str> {
        match &self.at {
            At::Snapshot(snapshot) => Some(snapshot),
            At::Current | At::Version(_) | At::Root(_) => None,
        }
    }

    /// The position of the state.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The namespace, for whatever is not a read of this state: a commit, for example.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The value at a key; `None` if there is nothing.
    pub async fn get(&self, key: impl Into<SmolStr>) -> Result<Option<Bytes>, ClientError> {
        match &self.state {
            Some(state) => self.namespace.get_in(state, key.into()).await,
            None => self.namespace.get_at(key, self.at.clone()).await,
        }
    }

    /// The values at many keys, in one request.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<SmolStr>>,
    ) -> Result<Values, ClientError> {
        self.namespace.get_many(keys, self.at.clone()).await
    }

    /// What is at a key, links followed.
    pub async fn lookup(&self, key: impl Into<SmolStr>) -> Result<LookupAnswer, ClientError> {
        let options = LookupOptions {
            at: self.at.clone(),
            ..LookupOptions::default()
        };
        self.namespace.lookup(key, options).await
    }

    /// A whole directory; `options.at` is ignored. The entries are held in memory.
    pub async fn list(
        &self,
        key: impl Into<SmolStr>,
        options: ListOptions,
    ) -> Result<ListAnswer, ClientError> {
        let at = self.at.clone();
        self.namespace
            .list_all(key, ListOptions { at, ..options })
            .await
    }

    /// A range of a value.
    pub async fn read(
        &self,
        key: impl Into<SmolStr>,
        offset: u64,
        length: u64,
    ) -> Result<ReadAnswer, ClientError> {
        self.namespace
            .read(key, self.at.clone(), offset, length)
            .await
    }

    /// The root and time of the state.
    pub async fn info(&self) -> Result<InfoAnswer, ClientError> {
        self.namespace.info(self.at.clone()).await
    }
}
