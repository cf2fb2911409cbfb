//! The engine's public handle, cheap to clone. Reads access published state directly; all changes
//! go through the commit task. Pins and namespaces are in `admin`, waits in `waiting`.

mod admin;
mod glimpse;
mod waiting;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kvs_storage::{LocalStorage, Storage};
use kvs_tree::{Operation, Scope};
use tokio::sync::{mpsc, oneshot, watch as latest};

use crate::answers::{Answers, Token};
use crate::busy_poll::BusyPoll;
use crate::checkpoint_counts::CheckpointCounts;
use crate::commit::{Command, CommitTask, Inbox, Life, Parts, Writer, inbox};
use crate::config::EngineConfig;
use crate::dispatch::{Wake, WakeSink};
use crate::env::Environment;
use crate::error::{EngineError, Stopped};
use crate::follow::Follower;
use crate::limits::OWN_PACK_BYTES;
use crate::log::{self, LogPage};
use crate::matched::MatchCounts;
use crate::recovery;
use crate::reference::At;
use crate::request::{CommitRequest, Committed, FollowStart, Principal, WatchRequest};
use crate::slices::Slices;
use crate::stage;
use crate::store::Store;
use crate::upload::{Upload, Uploaded};
use crate::view::View;
use crate::watch::Watch;
use crate::workers::Threads;

pub use glimpse::Glimpse;

/// The pending result of a transaction that was queued by itself. Dropping it does not cancel the
/// transaction.
#[derive(Debug)]
#[must_use = "it is the only way to know what became of the transaction"]
pub struct Submitted(Answers);

impl Future for Submitted {
    type Output = Result<Committed, EngineError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut taken = VecDeque::new();
        ready!(self.0.poll_take(cx, &mut taken));
        let answer = taken.pop_front().map(|(_, answer)| answer);
        Poll::Ready(answer.unwrap_or_else(|| Err(EngineError::stopped())))
    }
}

/// A handle to an open store, shared by its clones. The store closes when the last one is dropped,
/// or at [`Engine::shutdown`].
#[derive(Clone)]
pub struct Engine {
    store: Arc<Store>,
    inbox: Inbox,
    life: latest::Receiver<Life>,
}

impl Engine {
    /// Opens the store of `config`, creates it if it does not exist, and starts its commit task on
    /// the current runtime. Cost: replay of the journal after the last checkpoint.
    ///
    /// # Errors
    /// `Busy` if another daemon has the store open or the system refuses a thread, `Corrupt` for
    /// damage (naming the file), `Invalid` for a configuration that does not fit the store.
    pub async fn open(config: EngineConfig, env: Environment) -> Result<Self, EngineError> {
        let storage = Arc::new(LocalStorage::new(&env, config.local()));
        Self::open_on(storage, config, env).await
    }

    /// The same for a store on any medium. The directory and file options in `config` are ignored.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(
        storage: Arc<dyn Storage>,
        config: EngineConfig,
        env: Environment,
    ) -> Result<Self, EngineError> {
        config.check()?;
        let recovered = if env.inline {
            recovery::open(&*storage, &config, &env, None)?
        } else {
            let threads = Threads::start()?;
            let background = threads.background.clone();
            let (config, env) = (config.clone(), env.clone());
            let open = move || recovery::open(&*storage, &config, &env, Some(threads));
            background.run(open).await?
        };
        let (to_reports, reports) = mpsc::unbounded_channel();
        let wait = (!env.inline).then(|| BusyPoll::new(config.busy_poll));
        let (store, term) = (recovered.store, recovered.ownership.term());
        let writer = Writer::start(recovered.journal, store.clone(), term, wait, to_reports)?;
        let (inbox, queue) = inbox();
        let (life, watch_life) = latest::channel(Life::Running);
        store.feed.published(recovered.state.group());
        let parts = Parts {
            epoch: recovered.epoch,
            config,
            store: store.clone(),
            state: recovered.state,
            checkpoints: recovered.checkpoints,
            target: recovered.target,
            ownership: recovered.ownership,
            writer,
            reports,
            queue,
            resubmit: inbox.downgrade(),
            life,
            trimmed_to: recovered.trimmed_to,
            replayed: recovered.replayed,
        };
        #[expect(clippy::disallowed_methods, reason = "the one task of the store")]
        tokio::spawn(CommitTask::run(parts));
        Ok(Self {
            store,
            inbox,
            life: watch_life,
        })
    }

    /// Commits a transaction: [`stage`](Self::stage), then [`submit`](Self::submit).
    ///
    /// # Errors
    /// See [`submit`](Self::submit).
    pub async fn commit(&self, request: CommitRequest) -> Result<Committed, EngineError> {
        let request = self.stage(request).await?;
        self.submit(request).await
    }

    /// Stages what cannot be part of the transaction's record: large values, and objects that a
    /// tree object refers to. Returns at once if there are none. Must precede
    /// [`submit`](Self::submit), which makes the staged objects durable once the transaction is
    /// accepted; until then they leave no trace. A transaction that cannot be staged, or that its
    /// caller may not commit, is only marked as refused, since [`submit`](Self::submit) may find
    /// that it repeats one that took effect.
    ///
    /// # Errors
    /// `Unavailable` when the store is closing.
    pub async fn stage(&self, mut request: CommitRequest) -> Result<CommitRequest, EngineError> {
        if request.is_refused() || !stage::needed(&request.transaction) {
            return Ok(request);
        }
        if let Err(error) = stage::check_rights(&self.store, &request) {
            request.refuse(error);
            return Ok(request);
        }
        let work = move |store: &Arc<Store>| {
            match stage::stage(store, &mut request.transaction) {
                Ok(staged) => request.prepared.staged.push(Arc::new(staged)),
                Err(error) => request.refuse(error),
            }
            Ok(request)
        };
        self.store.offload_write(work).await
    }

    /// Starts an upload for a namespace: a value of up to `limit` bytes that arrives in pieces.
    ///
    /// # Errors
    /// As [`may_write`](Self::may_write).
    pub fn upload(
        &self,
        caller: Principal,
        namespace: &str,
        limit: u64,
    ) -> Result<Upload, EngineError> {
        self.may_write(caller, namespace)?;
        Upload::begin(&self.store, limit)
    }

    /// Makes an upload the value of operation `index` of a request, which is a put. If that fails
    /// or the caller may not change the namespace, the request is refused and the upload discarded.
    pub async fn take_upload(&self, upload: Upload, request: &mut CommitRequest, index: usize) {
        let taken = async {
            stage::check_rights(&self.store, request)?;
            let alone = request.bytes_to_copy() + upload.len() >= OWN_PACK_BYTES;
            upload.finish(alone).await
        };
        let (value, staged) = match taken.await {
            Ok(taken) => taken,
            Err(error) => return request.refuse(error),
        };
        request.prepared.staged.push(Arc::new(staged));
        if let Some(operation) = request.transaction.operations.get_mut(index)
            && let Operation::Put { key, .. } = operation
        {
            let key = key.clone();
            *operation = match value {
                Uploaded::Short(value) => Operation::Put { key, value },
                Uploaded::Stored(value) => Operation::PutStored { key, value },
            };
        }
    }

    /// Answers a transaction that cannot be evaluated any more but may have been committed before:
    /// with its first result if it was, else with `refusal`.
    pub fn settle(
        &self,
        request: CommitRequest,
        refusal: EngineError,
        answers: &Answers,
        token: Token,
    ) {
        let tenant = self.store.tenant(request.caller);
        let command = Command::Settle {
            request: Box::new(request),
            refusal,
            reply: answers.reply(token),
        };
        // If this fails, the receiver reports that the store has stopped.
        let _ = self.inbox.send(tenant, command);
    }

    /// Queues a [staged](Self::stage) transaction and returns its pending result. Transactions are
    /// queued in the order of the calls. Possible errors: `Busy` if too much is queued, `NoSpace`
    /// if the disk is full, `OutcomeUnknown` if only a restart can tell the outcome, and those of
    /// the transaction itself.
    pub fn submit(&self, request: CommitRequest) -> Submitted {
        let answers = Answers::default();
        self.submit_all(request.caller, &answers, [(Token::default(), request)]);
        Submitted(answers)
    }

    /// The same for several transactions of one caller. Their answers go into one queue, in the
    /// order in which they are ready: a transaction that has to wait for the disk holds back only
    /// later ones of its client in its namespace.
    pub fn submit_all(
        &self,
        caller: Principal,
        answers: &Answers,
        requests: impl IntoIterator<Item = (Token, CommitRequest)>,
    ) {
        let command = |(token, request)| Command::Commit {
            request: Box::new(request),
            reply: answers.reply(token),
        };
        let commands = requests.into_iter().map(command).collect();
        self.inbox.send_all(self.store.tenant(caller), commands);
    }

    /// Whether the transaction needs [`stage`](Self::stage).
    pub fn must_stage(request: &CommitRequest) -> bool {
        stage::needed(&request.transaction)
    }

    /// Opens a state of a namespace for reading. The namespace in a snapshot reference takes
    /// precedence over `namespace`.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`, `Compacted`, `StaleSnapshot`.
    pub async fn view(
        &self,
        caller: Principal,
        namespace: &str,
        at: At,
    ) -> Result<View, EngineError> {
        View::open(&self.store, caller, namespace, at).await
    }

    /// Starts a watch. `sink` is woken with `token` when there may be events to read.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`, `Limit`; `Invalid` for conflicting options.
    pub fn watch(
        &self,
        caller: Principal,
        namespace: &str,
        request: WatchRequest,
        sink: Arc<dyn WakeSink>,
        token: u64,
    ) -> Result<Watch, EngineError> {
        let wake = Wake { sink, token };
        Watch::open(&self.store, caller, namespace, request, wake)
    }

    /// Follows the roots of one namespace, or of all that the caller may read, including those
    /// created later. `Start::Initial` begins with the current state; `Start::Version` requires a
    /// namespace; from a `Place`, no event is missed or repeated, even across restarts.
    ///
    /// # Errors
    /// `NoNamespace`, `Permission`, `Limit`, `Invalid`.
    pub fn follow(
        &self,
        caller: Principal,
        namespace: Option<&str>,
        start: impl Into<FollowStart>,
        sink: Arc<dyn WakeSink>,
        token: u64,
    ) -> Result<Follower, EngineError> {
        let wake = Wake { sink, token };
        Follower::open(&self.store, caller, namespace, start.into(), wake)
    }

    /// A page of the log: versions `from` (0: the oldest retained) to `to`, both included, that
    /// touched `scopes` (none: all).
    ///
    /// # Errors
    /// `Compacted` if `from` is not retained any more.
    pub async fn log(
        &self,
        caller: Principal,
        namespace: &str,
        from: u64,
        to: u64,
        scopes: &[Scope],
        limit: usize,
    ) -> Result<LogPage, EngineError> {
        let namespace = self.store.readable(caller, namespace)?;
        log::page(&self.store, caller, &namespace, (from, to), scopes, limit).await
    }

    /// Costs of checkpoints so far.
    pub fn checkpoint_counts(&self) -> CheckpointCounts {
        self.store.checkpoints.counts()
    }

    /// Costs of matching versions with watches so far.
    pub fn match_counts(&self) -> MatchCounts {
        self.store.matched.counts()
    }

    /// Waits until all earlier commits are on disk.
    ///
    /// # Errors
    /// If the sync fails.
    pub async fn sync(&self, caller: Principal) -> Result<(), EngineError> {
        self.ask(caller, |reply| Command::Sync { reply }).await
    }

    /// Writes a checkpoint now. Checkpoints are also written automatically.
    ///
    /// # Errors
    /// `NoSpace`, `Unavailable`.
    pub async fn checkpoint(&self) -> Result<(), EngineError> {
        self.ask(self.owner(), |reply| Command::Checkpoint { reply })
            .await
    }

    /// Finishes accepted work, writes a checkpoint, and closes the store. When this returns, the
    /// store can be opened again.
    ///
    /// # Errors
    /// `Unavailable` if it was closed already. No error leaves work unfinished.
    pub async fn shutdown(&self) -> Result<(), EngineError> {
        self.ask(self.owner(), |reply| Command::Shutdown { reply })
            .await
    }

    /// Waits until the store stops by itself: after a failure that rules out continuing, or because
    /// its commit task ended other than by [`shutdown`](Self::shutdown). The daemon should then
    /// exit. Never returns after a shutdown.
    pub async fn failed(&self) -> Stopped {
        let mut life = self.life.clone();
        let over = life.wait_for(|life| !matches!(life, Life::Running)).await;
        let over = over.map(|life| life.clone());
        match over {
            Ok(Life::Stopped(stopped)) => stopped,
            Ok(Life::Running | Life::Closed) => std::future::pending().await,
            Err(_) => Stopped::internal("the commit task has ended"),
        }
    }

    /// The hash algorithm of the store's blobrefs.
    pub fn algorithm(&self) -> kvs_tree::HashAlgorithm {
        self.store.objects.params().algorithm
    }

    /// The instance owner.
    fn owner(&self) -> Principal {
        self.store.authority().instance_owner()
    }

    /// How long work is cut into slices, for callers that do further work for a request.
    pub fn slices(&self) -> &Arc<Slices> {
        &self.store.slices
    }

    async fn ask<T>(
        &self,
        caller: Principal,
        command: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Command,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(self.store.tenant(caller), command(reply))?;
        answer.await.map_err(|_| EngineError::stopped())?
    }
}
