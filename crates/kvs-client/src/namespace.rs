//! The verbs of a namespace.

use crate::answers::{Committed, InfoAnswer, ListAnswer, LookupAnswer, ReadAnswer};
use crate::client::Client;
use crate::error::ClientError;
use crate::inbox::inbox;
use crate::limits::READ_RANGE_BYTES;
use crate::pending::{Open, Pending};
use crate::read_options::{ListOptions, LogOptions, LookupOptions};
use crate::records::LogAnswer;
use crate::state::State;
use crate::stream::Kind;
use crate::taker::Taker;
use crate::transaction::Transaction;
use crate::watch::WatchStream;
use crate::watch_options::WatchOptions;
use crate::watching::WatchState;
use bytes::{Bytes, BytesMut};
use kvs_proto as wire;
use kvs_proto::{
    At, Commit, CommitAnswer, Entry, ErrorCode, Info, List, Log, Lookup, Mode, Position, Read,
    Wait, WaitAnswer,
};
use smol_str::SmolStr;
use tokio::sync::oneshot;

/// A namespace of a daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Namespace {
    client: Client,
    name: SmolStr,
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

    /// Commits a transaction; durable, in the daemon's mode, when it returns. It takes effect once even if the connection or
    /// the daemon is lost meanwhile; if that cannot be told the error is `outcome-unknown`.
    pub async fn commit(&self, transaction: Transaction) -> Result<Committed, ClientError> {
        self.submit(transaction).await?.await
    }

    /// Queues a transaction and returns its answer as a future. Transactions queued one after the other are committed in that
    /// order. Waits only while too many requests are unanswered.
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
            repeat: None,
            name: transaction.name,
            no_merge: transaction.no_merge,
            conditions: transaction.conditions,
            operations: transaction.operations,
        };
        let (_, receiver) = queue.request(place, commit.into());
        let decode = |body: &Bytes| CommitAnswer::decode(body).map(Committed::new);
        let open = Open::with(decode).and_learn(&self.client.known, &self.name, |answer, asked| {
            answer.namespace = asked.clone();
            (asked, answer.position)
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

    /// The value at a key, of any length; `None` if there is nothing, `EISDIR` if there is a directory.
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
            && let Some(state) = State::parse(snapshot)
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
    pub async fn lookup(
        &self,
        key: impl Into<SmolStr>,
        options: LookupOptions,
    ) -> Result<LookupAnswer, ClientError> {
        self.submit_lookup(key, options).await?.await
    }

    /// Queues a lookup and returns its answer as a future, so that many can be under way. Answers may come in any order.
    /// Waits only while too many requests are unanswered.
    pub async fn submit_lookup(
        &self,
        key: impl Into<SmolStr>,
        options: LookupOptions,
    ) -> Result<Pending<LookupAnswer>, ClientError> {
        let queue = &self.client.queue;
        let place = queue.place().await?;
        let current = options.at == At::Current;
        let lookup = Lookup {
            namespace: self.name.clone(),
            key: key.into(),
            at: options.at,
            follow: options.follow,
            treeobj: options.treeobj,
            inline_max: options.inline_max,
        };
        // `Client::submit` does the same, but moves the request once more: 8% of the rate of gets.
        let (_, receiver) = queue.request(place, lookup.into());
        let open = Open::with(|body: &Bytes| wire::LookupAnswer::decode(body).map(Into::into));
        let open = if current {
            open.and_learn(
                &self.client.known,
                &self.name,
                |answer: &mut LookupAnswer, _| (&answer.namespace, answer.position),
            )
        } else {
            open
        };
        Ok(Pending::new(receiver, open))
    }

    /// One page of a directory. For the next, set `after` to the last key and `at` to the first page's snapshot.
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
        };
        self.client.answer::<wire::ListAnswer, _>(list).await
    }

    /// A whole directory, page after page from one snapshot. The entries are held in memory.
    pub async fn list_all(
        &self,
        key: impl Into<SmolStr>,
        options: ListOptions,
    ) -> Result<ListAnswer, ClientError> {
        let key = key.into();
        let mut options = options;
        let mut all = self.list(key.clone(), options.clone()).await?;
        while all.more {
            if !all.snapshot.is_empty() {
                options.at = At::Snapshot(all.snapshot.clone());
            }
            options.after = all.entries.last().map(|entry| entry.key.clone());
            let home = Namespace::new(self.client.clone(), all.namespace.clone());
            let page = home.list(all.key.clone(), options.clone()).await?;
            all.more = page.more && !page.entries.is_empty();
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

    /// The root: version, blobref, owner, time.
    pub async fn info(&self, at: At) -> Result<InfoAnswer, ClientError> {
        let current = at == At::Current;
        let info = Info {
            namespace: self.name.clone(),
            at,
        };
        let answer: InfoAnswer = self.client.answer::<wire::InfoAnswer, _>(info).await?;
        if current {
            self.client.known.learn(&self.name, answer.position);
        }
        Ok(answer)
    }

    /// Returns when the namespace has reached a version of the incarnation, or of the current one. Dropping the future ends
    /// the wait on the daemon as well.
    pub async fn wait(
        &self,
        version: u64,
        incarnation: Option<u64>,
    ) -> Result<Position, ClientError> {
        let wait = Wait {
            namespace: self.name.clone(),
            version,
            incarnation,
        };
        let body = self.client.queue.cancellable(wait.into()).await?;
        let answer: WaitAnswer = kvs_proto::decode_body(&body)?;
        self.client.known.learn(&self.name, answer.position);
        Ok(answer.position)
    }

    /// Opens a watch; it stands, or waits for its namespace, when this returns.
    pub async fn watch(&self, options: WatchOptions) -> Result<WatchStream, ClientError> {
        let (watch, manner) = options.split(self.name.clone(), self.client.server());
        let lazy = watch.mode == Mode::Latest;
        let (sender, receiver) = inbox();
        let (opened, standing) = oneshot::channel();
        let state = WatchState::new(watch, manner, sender, opened);
        let kind = Kind::Watch(Box::new(state));
        let queue = &self.client.queue;
        let (id, started) = queue.stream(kind, standing).await?;
        let taker = Taker::new(id, queue.clone(), receiver, manner.prefetch, lazy);
        let known = self.client.known.clone();
        Ok(WatchStream::new(taker, known, self.name.clone(), started))
    }

    /// A page of versions, oldest first.
    pub async fn log(&self, options: LogOptions) -> Result<LogAnswer, ClientError> {
        let log = Log {
            namespace: self.name.clone(),
            from: options.from,
            to: options.to,
            scopes: options.scopes,
            limit: options.limit,
        };
        self.client.answer::<wire::LogAnswer, _>(log).await
    }
}
