//! A near cache: reads the current values of a namespace without requests.
//!
//! A task follows the root (`setroot`), and keys are resolved below it in the client's cache. Only
//! the root changes; objects are immutable, so nothing has to be invalidated.

use crate::cache_answers::AnswerCache;
use crate::cache_snapshot::SnapshotState;
use crate::error::ClientError;
use crate::follow::{FollowOptions, FollowStream};
use crate::limits::{CACHE_BYTES, CACHED_READ_TRIES, PAST_INCARNATIONS};
use crate::link::current_runtime;
use crate::many::Values;
use crate::namespace::Namespace;
use crate::root_event::RootEvent;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use kvs_proto::{At, ErrorCode, Position};
use kvs_tree::Key;
use smol_str::SmolStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch as latest;

/// A namespace whose current values are read from the client's cache. Cheap to clone.
///
/// **Consistency.** A read sees one committed state of the namespace. Reads are *monotonic* over
/// all clones. You *read your own writes*: a read is no older than any commit that was acknowledged
/// to this client, and waits for that root if necessary. Commits of other clients become visible
/// when the root arrives, about as fast as a watch event. While the connection is lost, reads
/// continue from the last state. To observe commits acknowledged to other clients, call
/// [`sync`](Self::sync) first: a read after it is *linearizable* with that call.
///
/// **Cost.** No request if the key has been read since it, a key above it or a key below it last
/// changed (up to 4 MiB of answers and values up to 64 KiB are cached); otherwise usually one.
///
/// It ends when the namespace is removed or the right to read it is revoked: reads then fail as
/// requests would. A namespace that is recreated at once is followed.
#[derive(Debug, Clone)]
pub struct CachedNamespace {
    namespace: Namespace,
    newest: latest::Receiver<Newest>,
    publisher: Arc<Publisher>,
}

/// Where the newest state is made known, and the answers that hold in it.
#[derive(Debug)]
struct Publisher {
    newest: latest::Sender<Newest>,
    answers: Mutex<AnswerCache>,
}

/// The newest state, or why there will be none any more.
type Newest = Result<Arc<Current>, ClientError>;

/// The newest state that is known here.
#[derive(Debug)]
struct Current {
    position: Position,
    state: SnapshotState,
    /// Incarnations that were left, the last ones. They never come again.
    past: Vec<u64>,
}

impl Namespace {
    /// Follows the root of this namespace, so that its current values can be read without asking
    /// for them. They are kept in the client's cache
    /// ([`Client::with_cache`](crate::Client::with_cache)), or in one of 16 MiB of its own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// let primary = client.namespace("primary");
    /// let cached = primary.cached().await?;
    /// primary.put("doc.cached.a", "1").await?;
    /// assert!(cached.get("doc.cached.a").await?.is_some(), "one's own writes are seen");
    /// # Ok(()) }
    /// ```
    pub async fn cached(&self) -> Result<CachedNamespace, ClientError> {
        let runtime = current_runtime()?;
        let client = self.client();
        let namespace = match &client.cache {
            Some(_) => self.clone(),
            None => client.with_cache(CACHE_BYTES).namespace(self.name()),
        };
        let mut roots = client.follow(whole(self)).await?;
        let Some(Moved { position, root, .. }) = next(&namespace, &mut roots).await? else {
            return Err(malformed());
        };
        let (sender, newest) = latest::channel(Ok(Arc::new(Current {
            position,
            state: SnapshotState::of(self.name(), position.version, &root).ok_or_else(malformed)?,
            past: Vec::new(),
        })));
        let publisher = Arc::new(Publisher::new(sender, position));
        runtime.spawn(follow(
            namespace.clone(),
            roots,
            Follower(publisher.clone()),
        ));
        Ok(CachedNamespace {
            namespace,
            newest,
            publisher,
        })
    }
}

impl CachedNamespace {
    /// The value at a key; `None` if there is nothing, `EISDIR` if there is a directory.
    pub async fn get(&self, key: impl Into<SmolStr>) -> Result<Option<Bytes>, ClientError> {
        let key = key.into();
        for _ in 0..CACHED_READ_TRIES {
            let current = self.current().await?;
            match self.get_in(&current, &key).await {
                Err(error) if is_gone(&error) => self.sync().await.map(drop)?,
                done => return done,
            }
        }
        self.namespace.get(key).await
    }

    async fn get_in(&self, current: &Current, key: &SmolStr) -> Result<Option<Bytes>, ClientError> {
        let kept = self.publisher.answers().get(current.position, key);
        let found = match kept {
            Some(found) => found,
            None => {
                let (found, way) = self.namespace.find_in(&current.state, key).await?;
                if let Some(way) = way {
                    let mut answers = self.publisher.answers();
                    answers.put(current.position, key.clone(), &found, way);
                }
                found
            }
        };
        self.namespace
            .told(found, &current.state, key.clone())
            .await
    }

    /// The values at many keys, all of one state. If not all of them can be looked up here, they
    /// are asked for in one request.
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<SmolStr>>,
    ) -> Result<Values, ClientError> {
        let keys: Vec<SmolStr> = keys.into_iter().map(Into::into).collect();
        let current = self.current().await?;
        if let Some(values) = self.namespace.get_kept(&current.state, &keys) {
            return Ok(Values {
                values,
                position: current.position,
                snapshot: current.state.snapshot.clone(),
            });
        }
        let at = At::Snapshot(current.state.snapshot.clone());
        match self.namespace.get_many(keys.clone(), at).await {
            Err(error) if is_gone(&error) => self.namespace.get_many(keys, At::Current).await,
            done => done,
        }
    }

    /// The snapshot that a `get` would read now.
    pub async fn snapshot(&self) -> Result<Snapshot, ClientError> {
        let current = self.current().await?;
        let at = At::Snapshot(current.state.snapshot.clone());
        Ok(Snapshot::new(&self.namespace, at, Some(current.position)))
    }

    /// Asks the daemon for its newest state: reads after this see that one or a later one. One
    /// round trip.
    pub async fn sync(&self) -> Result<Position, ClientError> {
        let info = self.namespace.info(At::Current).await?;
        let known = self.position()?;
        if known.incarnation == info.position.incarnation {
            self.reach(info.position).await?;
        } else {
            let moved = Moved {
                position: info.position,
                root: info.root,
                touched: None,
            };
            self.publisher.advance(self.namespace.name(), moved);
        }
        Ok(info.position)
    }

    /// The position of the newest known state. It may be older than a commit of this client that
    /// was just acknowledged; a read would wait for that.
    pub fn position(&self) -> Result<Position, ClientError> {
        self.newest
            .borrow()
            .as_ref()
            .map(|current| current.position)
            .map_err(Clone::clone)
    }

    /// The namespace, for whatever is not a read of current values.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Waits until the stream of moves, or somebody else, has told of a position.
    async fn reach(&self, position: Position) -> Result<(), ClientError> {
        let reached = |newest: &Newest| match newest {
            Ok(current) => {
                current.covers(&position) || current.position.incarnation != position.incarnation
            }
            Err(_) => true,
        };
        let mut newest = self.newest.clone();
        let newest = newest.wait_for(reached).await.map_err(|_| ended())?;
        newest.as_ref().map(drop).map_err(Clone::clone)
    }

    /// The newest state, not older than anything that this client was answered.
    async fn current(&self) -> Result<Arc<Current>, ClientError> {
        loop {
            let known = self.namespace.known();
            let current = self.newest.borrow().clone()?;
            let Some(known) = known.filter(|known| !current.covers(known)) else {
                return Ok(current);
            };
            if current.position.incarnation == known.incarnation {
                self.reach(known).await?;
            } else {
                // The namespace was recreated; the daemon knows the new incarnation.
                self.sync().await?;
            }
        }
    }
}

impl Current {
    /// Whether this is not older than a position.
    fn covers(&self, known: &Position) -> bool {
        if known.incarnation == self.position.incarnation {
            return known.version <= self.position.version;
        }
        self.past.contains(&known.incarnation)
    }
}

/// Where the root has gone.
struct Moved {
    position: Position,
    root: SmolStr,
    /// The keys that this version touched, if it is known what they are.
    touched: Option<Vec<Key>>,
}

impl Publisher {
    fn new(newest: latest::Sender<Newest>, position: Position) -> Self {
        let mut answers = AnswerCache::default();
        answers.restart(position);
        Publisher {
            newest,
            answers: Mutex::new(answers),
        }
    }

    fn answers(&self) -> MutexGuard<'_, AnswerCache> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a state if it is newer than the one that is known.
    fn advance(&self, namespace: &str, moved: Moved) {
        self.newest.send_if_modified(|newest| {
            let Ok(current) = newest else { return false };
            let to = moved.position;
            if current.covers(&to) {
                return false;
            }
            let Some(state) = SnapshotState::of(namespace, to.version, &moved.root) else {
                return false;
            };
            let mut past = current.past.clone();
            if to.incarnation != current.position.incarnation {
                past.push(current.position.incarnation);
                let old = past.len().saturating_sub(PAST_INCARNATIONS);
                past.drain(..old);
            }
            let next = Position {
                version: current.position.version.saturating_add(1),
                ..current.position
            };
            match moved.touched {
                Some(touched) if to == next => self.answers().advance(to, touched),
                _ => self.answers().restart(to),
            }
            *newest = Ok(Arc::new(Current {
                position: to,
                state,
                past,
            }));
            true
        });
    }
}

/// Held by the task that follows the root: when the task ends, with its runtime too, waiters fail.
struct Follower(Arc<Publisher>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.newest.send_if_modified(|newest| {
            let followed = newest.is_ok();
            if followed {
                *newest = Err(ended());
            }
            followed
        });
    }
}

/// Where a namespace stands, and all its moves from there.
fn whole(namespace: &Namespace) -> FollowOptions {
    FollowOptions::new().namespace(namespace.name()).initial()
}

/// Publishes the moves of a root until nobody reads them any more.
async fn follow(namespace: Namespace, mut roots: FollowStream, follower: Follower) {
    let publisher = &follower.0;
    loop {
        let moved = tokio::select! {
            moved = next(&namespace, &mut roots) => moved,
            () = publisher.newest.closed() => return,
        };
        match moved {
            Ok(Some(moved)) => publisher.advance(namespace.name(), moved),
            Ok(None) => {}
            // Perhaps it was made again meanwhile, and that life of it is the newest state.
            Err(error) if error.code == ErrorCode::NoNamespace => {
                match namespace.client().follow(whole(&namespace)).await {
                    Ok(again) => roots = again,
                    Err(error) => return drop(publisher.newest.send_replace(Err(error))),
                }
            }
            Err(error) => return drop(publisher.newest.send_replace(Err(error))),
        }
    }
}

/// The next move that the stream tells; `None` for what is about none.
async fn next(
    namespace: &Namespace,
    roots: &mut FollowStream,
) -> Result<Option<Moved>, ClientError> {
    Ok(match roots.recv().await? {
        RootEvent::State(state) => state
            .namespaces
            .into_iter()
            .find(|one| one.namespace == namespace.name())
            .map(|one| Moved {
                position: one.position,
                root: one.root,
                touched: None,
            }),
        RootEvent::Moved(moved) => {
            let touched = moved.changes.iter();
            // A copy may put things where no key can be written down.
            let touched = touched.map(|change| Key::parse(&change.key).ok()).collect();
            Some(Moved {
                position: moved.position,
                root: moved.root,
                // Of one that comes in parts more keys follow, after its root was taken.
                touched: if moved.last { touched } else { None },
            })
        }
        RootEvent::Created(_) | RootEvent::Reincarnated(_) => {
            let info = namespace.info(At::Current).await?;
            Some(Moved {
                position: info.position,
                root: info.root,
                touched: None,
            })
        }
        RootEvent::OwnerChanged(_) | RootEvent::Removed(_) | RootEvent::Restart(_) => None,
    })
}

/// Whether a state cannot be read any more, so that there must be a newer one.
fn is_gone(error: &ClientError) -> bool {
    matches!(error.code, ErrorCode::Compacted | ErrorCode::StaleSnapshot)
}

fn malformed() -> ClientError {
    ClientError::new(
        ErrorCode::BadRequest,
        "the daemon told no root to begin with",
    )
}

fn ended() -> ClientError {
    ClientError::disconnected("the root is not followed any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(incarnation: u64, version: u64) -> Position {
        Position {
            incarnation,
            version,
        }
    }

    #[test]
    fn the_newest_state_never_goes_back_within_a_life_nor_to_an_earlier_one() {
        let root = format!("blake3-{}", "ab".repeat(32));
        let (sender, newest) = latest::channel(Ok(Arc::new(Current {
            position: at(1, 5),
            state: SnapshotState::of("a", 5, &root).unwrap(),
            past: Vec::new(),
        })));
        let publisher = Publisher::new(sender, at(1, 5));
        let to = |position| Moved {
            position,
            root: root.as_str().into(),
            touched: None,
        };
        for (told, expected) in [
            (at(1, 4), at(1, 5)),
            (at(1, 5), at(1, 5)),
            (at(1, 7), at(1, 7)),
            (at(2, 0), at(2, 0)),
            (at(1, 9), at(2, 0)),
            (at(2, 1), at(2, 1)),
            (at(3, 0), at(3, 0)),
            (at(2, 9), at(3, 0)),
            (at(1, 9), at(3, 0)),
        ] {
            publisher.advance("a", to(told));
            let current = newest.borrow().clone().unwrap();
            assert_eq!(current.position, expected);
            let snapshot = format!("a@{}:{root}", expected.version);
            assert_eq!(current.state.snapshot, snapshot);
            assert!(current.covers(&told));
        }
        for incarnation in 4..100 {
            publisher.advance("a", to(at(incarnation, 0)));
        }
        let current = newest.borrow().clone().unwrap();
        assert_eq!(current.past.len(), PAST_INCARNATIONS);
    }
}
