//! The verbs of a namespace.

use crate::answers::{Committed, ListAnswer, LookupAnswer, ReadAnswer};
use crate::cache_snapshot::SnapshotState;
use crate::client::Client;
use crate::error::ClientError;
use crate::inbox::inbox;
use crate::limits::READ_RANGE_BYTES;
use crate::pending::{Asked, Open, Pending};
use crate::read_options::{ListOptions, LookupOptions};
use crate::receiver::EventReceiver;
use crate::stream::Kind;
use crate::transaction::Transaction;
use crate::watch::WatchStream;
use crate::watch_options::WatchOptions;
use crate::watching::WatchState;
use bytes::{Bytes, BytesMut};
use kvs_proto as wire;
use kvs_proto::{At, Commit, CommitAnswer, Entry, ErrorCode, List, Lookup, Mode, Position, Read};
use smol_str::SmolStr;
use tokio::sync::oneshot;

/// A namespace of a daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Namespace {
    pub(crate) client: Client,
    pub(crate) name: SmolStr,
}

impl Client {
    /// A handle of a namespace. Costs nothing; whether the namespace exists shows when it is used.
    pub fn namespace(&self, name: impl Into<SmolStr>) -> Namespace {
        Namespace::new(self.clone(), name.into())
    }
}

impl Namespace {
    fn new(client: Client, name: SmolStr) -> Self {
        Namespace { client, name }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The newest position that any answer told this client.
    pub fn known(&self) -> Option<Position> {
        self.client.known.get(&self.name)
    }

    /// Commits a transaction; durable, in the daemon's mode, when it returns. It takes effect once
    /// even if the connection or the daemon is lost meanwhile; if that cannot be told the error is
    /// `outcome-unknown`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::{ErrorCode, Transaction};
    /// let primary = client.namespace("primary");
    /// let transaction = Transaction::new()
    ///     .if_absent("doc.commit.lock")
    ///     .put("doc.commit.lock", "me")
    ///     .put("doc.commit.since", "now");
    /// let committed = primary.commit(transaction.clone()).await?;
    /// println!("version {}: {}", committed.position.version, committed.snapshot());
    ///
    /// let refused = primary.commit(transaction).await.unwrap_err();
    /// assert_eq!(refused.code, ErrorCode::ConditionFailed);
    /// # primary.commit(Transaction::new().unlink("doc.commit")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, ClientError> {
        self.submit(transaction).await?.await
    }

    /// Queues a transaction and returns its answer as a future. Transactions queued one after the
    /// other are committed in that order. Waits only while too many requests are unanswered.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::Transaction;
    /// let primary = client.namespace("primary");
    /// let first = primary.submit(Transaction::new().put("doc.submit.a", "1")).await?;
    /// let second = primary.submit(Transaction::new().put("doc.submit.a", "2")).await?;
    /// assert!(first.await?.position.version <= second.await?.position.version);
    /// assert_eq!(primary.get("doc.submit.a").await?.as_deref(), Some(&b"2"[..]));
    /// # Ok(()) }
    /// ```
    pub async fn submit(
        &self,
        transaction: Transaction,
    ) -> Result<Pending<Committed>, ClientError> {
        let queue = &self.client.queue;
        let place = queue.place().await?;
        let commit = Commit {
            namespace: self.name.clone(),
            number: 0,
            acknowledged: 0,
            root: true,
            repeat: None,
            name: transaction.name,
            no_merge: transaction.no_merge,
            conditions: transaction.conditions,
            operations: transaction.operations,
        };
        let (_, receiver) = queue.request(place, commit.into());
        let asked = Asked {
            namespace: self.name.clone(),
            key: SmolStr::default(),
        };
        let decode = |body: &Bytes, asked: &Asked| {
            let answer = CommitAnswer::decode(body)?;
            Ok(Committed::new(answer, &asked.namespace))
        };
        let open = Open::with(decode, asked).and_learn(&self.client.known, |answer| {
            (&answer.namespace, answer.position)
        });
        Ok(Pending::new(receiver, open))
    }

    /// Puts one value.
    pub async fn put(
        &self,
        key: impl Into<SmolStr>,
        value: impl Into<Bytes>,
    ) -> Result<Committed, ClientError> {
        self.commit(Transaction::new().put(key, value)).await
    }

    /// The value at a key, of any length; `None` if there is nothing, `EISDIR` if there is a
    /// directory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// let primary = client.namespace("primary");
    /// primary.put("doc.get.a", "1").await?;
    /// assert_eq!(primary.get("doc.get.a").await?.as_deref(), Some(&b"1"[..]));
    /// assert_eq!(primary.get("doc.get.none").await?, None);
    /// # Ok(()) }
    /// ```
    pub async fn get(&self, key: impl Into<SmolStr>) -> Result<Option<Bytes>, ClientError> {
        self.get_at(key, At::Current).await
    }

    /// The same, from another state than the newest.
    pub async fn get_at(
        &self,
        key: impl Into<SmolStr>,
        at: At,
    ) -> Result<Option<Bytes>, ClientError> {
        if let (At::Snapshot(snapshot), true) = (&at, self.client.cache.is_some())
            && let Some(state) = SnapshotState::parse(snapshot)
            && state.namespace == self.name
        {
            return self.get_in(&state, key.into()).await;
        }
        self.ask(key.into(), at).await
    }

    /// The same, from the daemon.
    pub(crate) async fn ask(&self, key: SmolStr, at: At) -> Result<Option<Bytes>, ClientError> {
        let options = LookupOptions {
            at,
            ..LookupOptions::default()
        };
        let found = self.lookup(key.clone(), options.clone()).await?;
        match &found.entry {
            None => Ok(None),
            Some(Entry::Value(value)) => match &value.bytes {
                Some(bytes) => Ok(Some(bytes.clone())),
                None => self.fetch(&found, value.size, options.at).await.map(Some),
            },
            Some(Entry::Directory(_)) => Err(ClientError::new(ErrorCode::IsDirectory, key)),
            Some(Entry::Link(_)) => Err(ClientError::new(ErrorCode::Invalid, key)),
        }
    }

    /// Reads a long value in ranges, all at the state where it was found.
    async fn fetch(&self, found: &LookupAnswer, size: u64, at: At) -> Result<Bytes, ClientError> {
        let at = if found.snapshot.is_empty() {
            at
        } else {
            At::Snapshot(found.snapshot.clone())
        };
        let home = Namespace::new(self.client.clone(), found.namespace.clone());
        let mut value = BytesMut::new();
        while (value.len() as u64) < size {
            let offset = value.len() as u64;
            let part = home
                .read(found.key.clone(), at.clone(), offset, READ_RANGE_BYTES)
                .await?;
            if part.bytes.is_empty() {
                let message = format!("{}: the value ends before its length", found.key);
                return Err(ClientError::new(ErrorCode::BadRequest, message));
            }
            value.extend_from_slice(&part.bytes);
        }
        Ok(value.freeze())
    }

    /// What is at a key, and at which position that was read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::{Entry, LookupOptions, Transaction};
    /// let primary = client.namespace("primary");
    /// let transaction = Transaction::new().put("doc.lookup.a", "1").link("doc.lookup.l", "doc.lookup.a");
    /// primary.commit(transaction).await?;
    /// let found = primary.lookup("doc.lookup.l", LookupOptions::new().no_follow()).await?;
    /// assert!(matches!(found.entry, Some(Entry::Link(_))));
    /// # Ok(()) }
    /// ```
    pub async fn lookup(
        &self,
        key: impl Into<SmolStr>,
        options: LookupOptions,
    ) -> Result<LookupAnswer, ClientError> {
        self.submit_lookup(key, options).await?.await
    }

    /// Queues a lookup and returns its answer as a future, so that many can be under way. Answers
    /// may come in any order. Waits only while too many requests are unanswered.
    pub async fn submit_lookup(
        &self,
        key: impl Into<SmolStr>,
        options: LookupOptions,
    ) -> Result<Pending<LookupAnswer>, ClientError> {
        let queue = &self.client.queue;
        let place = queue.place().await?;
        let current = options.at == At::Current;
        let asked = Asked {
            namespace: self.name.clone(),
            key: key.into(),
        };
        let lookup = Lookup {
            namespace: asked.namespace.clone(),
            key: asked.key.clone(),
            at: options.at,
            follow: options.follow,
            treeobj: options.treeobj,
            root: options.root,
            inline_max: options.inline_max,
        };
        // `Client::submit` does the same, but moves the request once more: 8% of the rate of gets.
        let (_, receiver) = queue.request(place, lookup.into());
        let decode = |body: &Bytes, asked: &Asked| {
            let answer = wire::LookupAnswer::decode(body)?;
            Ok(LookupAnswer::new(answer, &asked.namespace, &asked.key))
        };
        let open = Open::with(decode, asked);
        let open = if current {
            open.and_learn(&self.client.known, |answer: &LookupAnswer| {
                (&answer.namespace, answer.position)
            })
        } else {
            open
        };
        Ok(Pending::new(receiver, open))
    }

    /// One page of a directory. For the next, set `after` to its `next` and `at` to the first
    /// page's snapshot.
    pub async fn list(
        &self,
        key: impl Into<SmolStr>,
        options: ListOptions,
    ) -> Result<ListAnswer, ClientError> {
        let list = List {
            namespace: self.name.clone(),
            key: key.into(),
            at: options.at,
            after: options.after,
            limit: options.limit,
            recursive: options.recursive,
            scope: options.scope,
            inline_max: options.inline_max,
            bounded: options.bounded,
        };
        self.client.answer::<wire::ListAnswer, _>(list).await
    }

    /// A whole directory, page after page from one snapshot. The entries are held in memory.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::{ListOptions, Transaction};
    /// let primary = client.namespace("primary");
    /// primary.commit(Transaction::new().put("doc.list.a", "1").put("doc.list.b.c", "2")).await?;
    /// let all = primary.list_all("doc.list", ListOptions::new().recursive()).await?;
    /// let keys: Vec<&str> = all.entries.iter().map(|entry| entry.key.as_str()).collect();
    /// assert_eq!(keys, ["doc.list.a", "doc.list.b", "doc.list.b.c"]);
    /// # Ok(()) }
    /// ```
    pub async fn list_all(
        &self,
        key: impl Into<SmolStr>,
        options: ListOptions,
    ) -> Result<ListAnswer, ClientError> {
        let key = key.into();
        let mut options = options;
        options.bounded = true;
        let mut all = self.list(key.clone(), options.clone()).await?;
        while all.more {
            if !all.snapshot.is_empty() {
                options.at = At::Snapshot(all.snapshot.clone());
            }
            options.after = all.next.clone();
            let home = Namespace::new(self.client.clone(), all.namespace.clone());
            let page = home.list(all.key.clone(), options.clone()).await?;
            // A page that does not go on would be the same again for ever.
            all.more = page.more && page.next.is_some() && page.next != options.after;
            all.next = page.next.filter(|_| all.more);
            all.entries.extend(page.entries);
        }
        Ok(all)
    }

    /// A range of a value.
    pub async fn read(
        &self,
        key: impl Into<SmolStr>,
        at: At,
        offset: u64,
        length: u64,
    ) -> Result<ReadAnswer, ClientError> {
        let read = Read {
            namespace: self.name.clone(),
            key: key.into(),
            at,
            offset,
            length,
        };
        self.client.answer::<wire::ReadAnswer, _>(read).await
    }

    /// Opens a watch; it stands, or waits for its namespace, when this returns.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::{Event, WatchOptions};
    /// let primary = client.namespace("primary");
    /// let mut watch = primary.watch(WatchOptions::new().scope("doc.watch.*.state")).await?;
    /// primary.put("doc.watch.17.state", "running").await?;
    /// if let Event::Changes(version) = watch.recv().await? {
    ///     assert_eq!(version.changes[0].key, "doc.watch.17.state");
    ///     let then = primary.snapshot(version.snapshot);
    ///     assert!(then.get("doc.watch.17.state").await?.is_some());
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn watch(&self, options: WatchOptions) -> Result<WatchStream, ClientError> {
        let (watch, manner) = options.split(self.name.clone(), self.client.server());
        let lazy = watch.mode == Mode::Latest;
        let (sender, receiver) = inbox();
        let (opened, standing) = oneshot::channel();
        let state = WatchState::new(watch, manner, sender, opened);
        let kind = Kind::Watch(Box::new(state));
        let queue = &self.client.queue;
        let (id, started) = queue.stream(kind, standing).await?;
        let taker = EventReceiver::new(id, queue.clone(), receiver, manner.prefetch, lazy);
        let known = self.client.known.clone();
        Ok(WatchStream::new(taker, known, self.name.clone(), started))
    }
}
