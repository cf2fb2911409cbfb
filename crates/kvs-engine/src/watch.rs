//! A watch: a cursor into the journal and a scope. No queue, no task: whoever holds it asks for the
//! next event when its client has credit, and is woken when there may be one.
//!
//! Events are made from the journal's records, so a watch that lags costs the daemon nothing while
//! it waits; a watch whose next version is no longer retained gets a gap and then the state.

use std::collections::VecDeque;
use std::sync::Arc;

use kvs_tree::{Directory, Fault, Key, NodeSource, Resolved, Scope, StoreParams, list, lookup};

use crate::changes::{KeyChange, entered};
use crate::dispatch::{Wake, WatchId};
use crate::error::{EngineError, ErrorKind};
use crate::event::{SharedEvent, WatchEvent};
use crate::history::RootAt;
use crate::limits::{EVENT_CHANGES, WATCH_BATCH};
use crate::namespace::Namespace;
use crate::record::VersionRecord;
use crate::reference::Position;
use crate::request::{Caller, Start, WatchRequest};
use crate::store::Store;
use crate::told::{changes_of, pages, transactions_of};

/// A state that is being listed, page by page.
struct Listing {
    root: RootAt,
    scope: usize,
    after: Option<Key>,
}

/// A registered watch. Dropping it unregisters it.
pub struct Watch {
    store: Arc<Store>,
    namespace: Arc<Namespace>,
    caller: Caller,
    scopes: Vec<Scope>,
    id: WatchId,
    /// Everything up to this version was delivered or does not concern the scopes.
    read: u64,
    listing: Option<Listing>,
    gap: Option<Position>,
    /// The rest of a version that is delivered in parts.
    parts: VecDeque<WatchEvent>,
    /// Records read ahead from the journal; bounded by `WATCH_BATCH`.
    batch: VecDeque<Arc<VersionRecord>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.namespace.unsubscribe(self.id, &self.scopes);
    }
}

impl Watch {
    pub(crate) fn open(
        store: &Arc<Store>,
        caller: Caller,
        name: &str,
        request: WatchRequest,
        wake: Wake,
    ) -> Result<Self, EngineError> {
        let namespace = store.readable(caller, name)?;
        let WatchRequest { scopes, start, .. } = request;
        let scopes = if scopes.is_empty() {
            vec![Scope::Directory(Key::ROOT)]
        } else {
            scopes
        };
        let read = match start {
            Start::Version { version, .. } => Some(version.saturating_sub(1)),
            Start::Now | Start::Initial => None,
        };
        let (id, now) = namespace.subscribe(&scopes, read, wake)?;
        let mut watch = Self {
            store: store.clone(),
            caller,
            scopes,
            id,
            read: read.unwrap_or(now.version),
            listing: None,
            gap: None,
            parts: VecDeque::new(),
            batch: VecDeque::new(),
            namespace,
        };
        match start {
            Start::Initial => watch.list_from((*now).clone()),
            Start::Version {
                incarnation: Some(incarnation),
                version,
            } if incarnation != watch.namespace.incarnation => {
                watch.gap = Some(Position {
                    incarnation,
                    version: version.saturating_sub(1),
                });
                watch.list_from((*now).clone());
            }
            Start::Version { .. } | Start::Now => {}
        }
        Ok(watch)
    }

    fn list_from(&mut self, root: RootAt) {
        self.batch.clear();
        self.listing = Some(Listing {
            root,
            scope: 0,
            after: None,
        });
    }

    /// The namespace that is watched.
    pub fn namespace(&self) -> &str {
        &self.namespace.name
    }

    /// Everything up to here was delivered, or does not concern the scopes.
    pub fn position(&self) -> Position {
        self.namespace.at(self.read)
    }

    /// The next event if there is one now; else `None`, and the watch's wake is called when there
    /// may be one.
    ///
    /// # Errors
    /// `NoNamespace` once the namespace was removed, `Permission` once the right to read it is gone,
    /// `Corrupt` for damaged data. Each ends the watch.
    pub async fn next(&mut self) -> Result<Option<Arc<SharedEvent>>, EngineError> {
        let event = self.advance().await?;
        Ok(event.map(|event| Arc::new(SharedEvent::new(event))))
    }

    /// The newest position up to which everything was delivered or does not concern the scopes.
    pub fn mark(&mut self) -> Position {
        self.position()
    }

    async fn advance(&mut self) -> Result<Option<WatchEvent>, EngineError> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Ok(Some(part));
            }
            if self.namespace.is_removed() {
                return Err(EngineError::no_namespace(&self.namespace.name));
            }
            self.store.check_owner(self.caller, &self.namespace)?;
            if let (Some(from), Some(listing)) = (self.gap, &self.listing) {
                self.gap = None;
                let to = self.namespace.at(listing.root.version);
                return Ok(Some(WatchEvent::Gap { from, to }));
            }
            if let Some(listing) = self.listing.take() {
                return self.list_page(listing).await.map(Some);
            }
            let Some(record) = self.next_record().await? else {
                return Ok(None);
            };
            let Some(record) = record else { continue };
            self.deliver(&record).await?;
            self.read = record.version;
        }
    }

    /// The next record that may concern the watch; `Some(None)` after a gap was noted.
    async fn next_record(&mut self) -> Result<Option<Option<Arc<VersionRecord>>>, EngineError> {
        let Some(hit) = self.namespace.next_hit(self.id, self.read) else {
            return Ok(None);
        };
        while self.batch.front().is_some_and(|r| r.version < hit) {
            self.batch.pop_front();
        }
        self.read = self.read.max(hit - 1);
        if self.batch.is_empty() {
            match self.fetch(hit).await {
                Ok(records) => self.batch = records.into(),
                Err(error) if error.kind == ErrorKind::Compacted => {
                    self.gap = Some(self.position());
                    let now = self.namespace.published();
                    self.list_from((*now).clone());
                    return Ok(Some(None));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.batch.pop_front().map(Some))
    }

    async fn fetch(&self, from: u64) -> Result<Vec<Arc<VersionRecord>>, EngineError> {
        if let Some(records) = self.namespace.history().recent_records(from, WATCH_BATCH) {
            return Ok(records);
        }
        let namespace = self.namespace.clone();
        let work = move |store: &Arc<Store>| store.archive.records(&namespace, from, WATCH_BATCH);
        self.store.offload(work).await
    }

    /// Turns a record into events, if it concerns the scopes.
    async fn deliver(&mut self, record: &Arc<VersionRecord>) -> Result<(), EngineError> {
        let found = changes_of(&self.store, &self.namespace, record, &self.scopes).await?;
        let position = self.namespace.at(record.version);
        let mut transactions = transactions_of(record);
        let mut parts = pages(found).into_iter().peekable();
        while let Some(changes) = parts.next() {
            self.parts.push_back(WatchEvent::Changes {
                position,
                root: record.root,
                time_ms: record.time_ms,
                transactions: std::mem::take(&mut transactions),
                changes,
                skipped: 0,
                behind: None,
                last: parts.peek().is_none(),
            });
        }
        Ok(())
    }

    async fn list_page(&mut self, listing: Listing) -> Result<WatchEvent, EngineError> {
        let Listing { root, scope, after } = listing;
        let mut entries = Vec::new();
        let mut next = None;
        let mut at = (scope, after);
        while let Some(current) = self.scopes.get(at.0).cloned() {
            let (page, more) = self
                .scope_page(&root.directory, &current, at.1.take())
                .await?;
            let earlier = self.scopes.get(..at.0).unwrap_or_default();
            entries.extend(
                page.into_iter()
                    .filter(|e| !earlier.iter().any(|scope| scope.matches(&e.key))),
            );
            at = match more {
                Some(after) => (at.0, Some(after)),
                None => (at.0 + 1, None),
            };
            if at.0 < self.scopes.len() && entries.len() >= EVENT_CHANGES {
                next = Some(at);
                break;
            }
            if at.1.is_some() {
                next = Some(at);
                break;
            }
        }
        let (position, last) = (self.namespace.at(root.version), next.is_none());
        let (hash, time_ms) = (root.root, root.time_ms);
        match next {
            Some((scope, after)) => self.listing = Some(Listing { root, scope, after }),
            None => self.read = root.version,
        }
        Ok(WatchEvent::Initial {
            position,
            root: hash,
            time_ms,
            entries,
            differences: false,
            last,
        })
    }

    /// A page of what stands in one scope, and the key to go on after.
    async fn scope_page(
        &self,
        root: &Directory,
        scope: &Scope,
        after: Option<Key>,
    ) -> Result<(Vec<KeyChange>, Option<Key>), EngineError> {
        let (root, scope) = (root.clone(), scope.clone());
        let step = move |source: &dyn NodeSource, params: &StoreParams| {
            scope_page(&root, source, params, &scope, after.as_ref())
        };
        let params = *self.store.objects.params();
        if let Some(done) = self.store.objects.at_once(|source| step(source, &params)) {
            return done;
        }
        self.store
            .offload(move |store| store.objects.complete(|source| step(source, &params)))
            .await
    }
}

fn scope_page(
    root: &Directory,
    source: &dyn NodeSource,
    params: &StoreParams,
    scope: &Scope,
    after: Option<&Key>,
) -> Result<(Vec<KeyChange>, Option<Key>), Fault> {
    let top = scope.literal_prefix();
    let Resolved::Found { entry, .. } = lookup(root, source, &top, false, 0)? else {
        return Ok((Vec::new(), None));
    };
    let mut found = Vec::new();
    if after.is_none() && !top.is_root() && scope.matches(&top) {
        found.push(entered(&top, &entry, source, params)?);
    }
    let below = !matches!(scope, Scope::Key(_));
    if !below || !matches!(entry, kvs_tree::Entry::Directory(_)) {
        return Ok((found, None));
    }
    let page = list(root, source, &top, after, EVENT_CHANGES, true, Some(scope))?;
    let more = if page.len() >= EVENT_CHANGES {
        page.last().map(|(k, _)| k.clone())
    } else {
        None
    };
    for (key, entry) in &page {
        found.push(entered(key, entry, source, params)?);
    }
    Ok((found, more))
}
