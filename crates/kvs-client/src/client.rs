//! The handle that users hold.

use crate::address::Address;
use crate::cache::Cache;
use crate::connection::ConnectionEvents;
use crate::error::ClientError;
use crate::link::{self, Queue};
use crate::options::Options;
use crate::pending::{Open, Pending};
use crate::positions::KnownPositions;
use crate::records::{NamespaceInfo, PinInfo, ServerInfo, StatusAnswer};
use crate::time::milliseconds;
use crate::transport::{Connector, UnixConnector};
use kvs_proto as wire;
use kvs_proto::{
    Empty, ErrorCode, NamespaceChown, NamespaceCreate, NamespaceRemove, NamespaceShare, Namespaces,
    NamespacesAnswer, Pin, PinAnswer, Pins, PinsAnswer, Request, StatusRequest,
    Sync as SyncRequest, Unpin,
};
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use std::sync::Arc;
use std::time::Duration;

/// A client of one daemon. Clones share the connection, which is closed when the last clone,
/// namespace handle and watch is gone. Must be made within a Tokio runtime that has I/O and time
/// enabled, where the connection's task runs; outside of one that is an error. (In a runtime that
/// was built without `enable_all` Tokio panics: it offers no way to ask first.) Its handles may be
/// used anywhere while that runtime runs.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) queue: Arc<Queue>,
    pub(crate) known: Arc<KnownPositions>,
    server: Arc<ServerInfo>,
    pub(crate) cache: Option<Arc<Cache>>,
}

impl Client {
    /// Connects with default options. Fails at once, and says why, if nobody listens.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// use kvs_client::Client;
    /// # let address = uri.parse()?;
    /// let client = Client::connect(&address).await?;
    /// println!("kvs as user {}", client.server().uid);
    /// # Ok(()) }
    /// ```
    pub async fn connect(address: &Address) -> Result<Client, ClientError> {
        Client::connect_with(UnixConnector::new(address.clone()), Options::default()).await
    }

    /// Connects through any connector, with options.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// use kvs_client::{Client, Options, UnixConnector};
    /// use std::time::Duration;
    /// # let address = uri.parse()?;
    /// let options = Options::new()
    ///     .keep_trying()
    ///     .reconnect_time(Duration::from_secs(5))
    ///     .software("job-status 1.0");
    /// let client = Client::connect_with(UnixConnector::new(address), options).await?;
    /// # client.sync().await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect_with(
        connector: impl Connector,
        options: Options,
    ) -> Result<Client, ClientError> {
        let known = Arc::new(KnownPositions::default());
        let (queue, server) = link::open(Arc::new(connector), options, known.clone()).await?;
        Ok(Client {
            queue,
            known,
            server: Arc::new(server.into()),
            cache: None,
        })
    }

    /// The same client, over the same connection, that keeps about so many bytes of what it reads.
    /// Handles and clones made from it share that.
    ///
    /// With it `get`s of a snapshot are looked up in what is there, and the daemon is asked for
    /// objects that are missing only: in less than a microsecond, where a request takes ten or
    /// more. The first `get`s of a state transfer more than they would without. What has been read
    /// can be read again when the daemon does not retain it any more, or would refuse it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// let primary = client.with_cache(16 << 20).namespace("primary");
    /// let committed = primary.put("doc.cache.a", "1").await?;
    /// let snapshot = primary.snapshot(committed.snapshot());
    /// let first = snapshot.get("doc.cache.a").await?;
    /// assert_eq!(snapshot.get("doc.cache.a").await?, first, "without a request");
    /// # Ok(()) }
    /// ```
    pub fn with_cache(&self, bytes: u64) -> Client {
        Client {
            cache: Some(Arc::new(Cache::new(bytes))),
            ..self.clone()
        }
    }

    /// What the daemon said about itself at the first connect: protocol version, user id, hash
    /// algorithm, limits.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// What happens to the connection from now on: that it is lost, and that there is one again.
    pub fn connection_events(&self) -> ConnectionEvents {
        self.queue.connection_events()
    }

    /// This client's identity, as watchers see it in transactions.
    pub fn id(&self) -> [u8; 16] {
        self.queue.client_id()
    }

    /// Keeps a snapshot, which a reference names, readable until it is unpinned or its lease is
    /// over; without a lease until it is unpinned. The daemon counts whole milliseconds, rounded
    /// up; a lease of no time is `EINVAL`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use std::time::Duration;
    /// let committed = client.namespace("primary").put("doc.pin.a", "1").await?;
    /// let pin = client.pin(committed.snapshot(), Some(Duration::from_secs(60))).await?;
    /// assert_eq!(pin.lease, Some(Duration::from_secs(60)));
    /// client.unpin(pin.id).await?;
    /// # Ok(()) }
    /// ```
    pub async fn pin(
        &self,
        snapshot: impl Into<SmolStr>,
        lease: Option<Duration>,
    ) -> Result<PinInfo, ClientError> {
        if lease == Some(Duration::ZERO) {
            let message = "a pin's lease must be longer than 0";
            return Err(ClientError::new(ErrorCode::Invalid, message));
        }
        let answer: PinAnswer = self
            .call(Pin {
                snapshot: snapshot.into(),
                lease_ms: lease.map(milliseconds),
            })
            .await?;
        Ok(answer.pin.into())
    }

    /// Releases a pin.
    pub async fn unpin(&self, id: u64) -> Result<(), ClientError> {
        self.call::<Empty>(Unpin { id }).await.map(drop)
    }

    /// All pins that this user may see.
    pub async fn pins(&self) -> Result<Vec<PinInfo>, ClientError> {
        let answer: PinsAnswer = self.call(Pins {}).await?;
        Ok(answer.pins.into_iter().map(Into::into).collect())
    }

    /// Makes a namespace; its owner is the caller unless told otherwise.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::NamespaceCreate;
    /// client.create_namespace(NamespaceCreate::named("doc-create")).await?;
    /// assert!(client.namespaces().await?.iter().any(|one| one.name == "doc-create"));
    /// client.remove_namespace("doc-create").await?;
    /// # Ok(()) }
    /// ```
    pub async fn create_namespace(
        &self,
        create: NamespaceCreate,
    ) -> Result<NamespaceInfo, ClientError> {
        self.answer::<wire::NamespaceInfo, _>(create).await
    }

    /// Removes a namespace; an unknown one is no error.
    pub async fn remove_namespace(&self, name: impl Into<SmolStr>) -> Result<(), ClientError> {
        self.call::<Empty>(NamespaceRemove { name: name.into() })
            .await
            .map(drop)
    }

    /// Lets a user read a namespace of others, or takes that right back.
    pub async fn share_namespace(
        &self,
        name: impl Into<SmolStr>,
        uid: u32,
        read: bool,
    ) -> Result<(), ClientError> {
        let name = name.into();
        self.call::<Empty>(NamespaceShare { name, uid, read })
            .await
            .map(drop)
    }

    /// Makes another user the owner of a namespace; for the instance owner. Who owned it before
    /// keeps no right on it.
    pub async fn chown_namespace(
        &self,
        name: impl Into<SmolStr>,
        owner: u32,
    ) -> Result<(), ClientError> {
        let name = name.into();
        self.call::<Empty>(NamespaceChown { name, owner })
            .await
            .map(drop)
    }

    /// All namespaces that this user may see, by name.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, ClientError> {
        let answer: NamespacesAnswer = self.call(Namespaces {}).await?;
        Ok(answer.namespaces.into_iter().map(Into::into).collect())
    }

    /// Returns when all that was committed before is on disk.
    pub async fn sync(&self) -> Result<(), ClientError> {
        self.call::<Empty>(SyncRequest {}).await.map(drop)
    }

    /// How the daemon is.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// let status = client.status().await?;
    /// for (name, count) in &status.counters {
    ///     println!("{name} {count}");
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn status(&self) -> Result<StatusAnswer, ClientError> {
        self.answer::<wire::StatusAnswer, _>(StatusRequest {}).await
    }

    /// Queues a request, after waiting for a place among the unanswered ones.
    pub(crate) async fn submit<T>(
        &self,
        request: impl Into<Request>,
        open: Open<T>,
    ) -> Result<Pending<T>, ClientError> {
        let place = self.queue.place().await?;
        let (_, receiver) = self.queue.request(place, request.into());
        Ok(Pending::new(receiver, open))
    }

    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        request: impl Into<Request>,
    ) -> Result<T, ClientError> {
        self.submit(request, Open::new()).await?.await
    }

    /// Makes a request, and of the wire's answer the one of this library.
    pub(crate) async fn answer<W: DeserializeOwned, T: From<W>>(
        &self,
        request: impl Into<Request>,
    ) -> Result<T, ClientError> {
        self.call::<W>(request).await.map(T::from)
    }
}
