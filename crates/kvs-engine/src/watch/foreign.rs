//! What is behind a link into another namespace: its newest state, under that namespace's own version.
//!
//! Every version is promised within one namespace. Abroad a watch is woken when the other namespace
//! moves at the key in question, is removed, or is made again, and then looks at what stands there.

use std::sync::Arc;

use kvs_tree::{Entry, Fault, Key, Resolved, Scope, TreeErrorKind, lookup};
use smol_str::SmolStr;

use super::route::{End, Route, scope_at};
use crate::dispatch::{Wake, WatchId};
use crate::error::{EngineError, ErrorKind};
use crate::event::Behind;
use crate::feed::FeedGuard;
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::Caller;
use crate::store::Store;

/// A place in another namespace that a watch is registered at.
struct Hop {
    namespace: Arc<Namespace>,
    id: WatchId,
    scopes: Vec<Scope>,
    version: u64,
}

impl Drop for Hop {
    fn drop(&mut self) {
        self.namespace.unsubscribe(self.id, &self.scopes);
    }
}

/// What a route into another namespace was last seen to lead to.
pub(super) struct Foreign {
    pub(super) scope: Scope,
    hops: Vec<Hop>,
    missing: Option<(SmolStr, FeedGuard)>,
    pub(super) seen: Option<Entry>,
    pub(super) behind: Behind,
    pub(super) time_ms: u64,
    /// What was seen is to be told though it did not change.
    untold: bool,
}

impl Foreign {
    /// Looks where the route leads now, and registers for whatever may change that.
    ///
    /// # Errors
    /// `Permission` if it leads where the caller may not read, `Limit`, `Corrupt`.
    pub(super) async fn look(
        store: &Arc<Store>,
        caller: Caller,
        route: &Route,
        wake: &Wake,
    ) -> Result<Option<Self>, EngineError> {
        let End::Elsewhere {
            namespace,
            key,
            followed,
        } = &route.end
        else {
            return Ok(None);
        };
        let (mut name, mut key, mut followed) = (namespace.clone(), key.clone(), *followed);
        let mut found = Self {
            scope: route.scope.clone(),
            hops: Vec::new(),
            missing: None,
            seen: None,
            behind: nowhere(&name),
            time_ms: 0,
            untold: false,
        };
        loop {
            found.behind = nowhere(&name);
            let namespace = match store.readable(caller, &name) {
                Ok(namespace) => namespace,
                Err(error) if error.kind == ErrorKind::NoNamespace => {
                    if found.missing.is_none() {
                        // Registered first and looked again, so that its making is not missed.
                        found.missing = Some((name.clone(), store.feed.on_created(wake.clone())?));
                        continue;
                    }
                    return Ok(Some(found));
                }
                Err(error) => return Err(error),
            };
            found.missing = None;
            let now = namespace.published();
            found.behind = Behind {
                namespace: name.clone(),
                position: namespace.at(now.version),
                root: Some(now.root),
            };
            found.time_ms = now.time_ms;
            let (root, wanted) = (now.directory.clone(), key.clone());
            let step = move |source: &dyn kvs_tree::NodeSource, _: &_| match lookup(
                &root, source, &wanted, true, followed,
            ) {
                Err(Fault::Tree(error)) if error.kind == TreeErrorKind::LinkLoop => Ok(None),
                other => other.map(Some),
            };
            let resolved = store.step(step).await?;
            let (links, end) = match &resolved {
                Some(Resolved::Found { key, links, .. } | Resolved::Absent { key, links }) => {
                    (links.clone(), Some(scope_at(&found.scope, key)))
                }
                Some(Resolved::Elsewhere { links, .. }) => (links.clone(), None),
                None => (Vec::new(), Some(Scope::Directory(Key::ROOT))),
            };
            let links = links.into_iter().map(Scope::Key);
            let mut scopes: Vec<Scope> = links.chain(end).collect();
            scopes.dedup();
            let (id, _) = namespace.subscribe(&scopes, Some(now.version), wake.clone())?;
            found.hops.push(Hop {
                namespace,
                id,
                scopes,
                version: now.version,
            });
            match resolved {
                Some(Resolved::Found { entry, .. }) => {
                    found.seen = Some(entry);
                    return Ok(Some(found));
                }
                Some(Resolved::Elsewhere {
                    namespace,
                    key: next,
                    followed: links,
                    ..
                }) => (name, key, followed) = (namespace, next, links),
                Some(Resolved::Absent { .. }) | None => return Ok(Some(found)),
            }
        }
    }

    /// Takes what was seen as not told.
    pub(super) fn forget(&mut self) {
        self.seen = None;
        self.untold = true;
    }

    /// Whether something there may have changed since.
    pub(super) fn stirred(&self, store: &Store) -> bool {
        let made = |(name, _): &(SmolStr, FeedGuard)| store.namespace(name).is_ok();
        self.untold
            || self.missing.as_ref().is_some_and(made)
            || self.hops.iter().any(|hop| {
                hop.namespace.is_removed() || hop.namespace.next_hit(hop.id, hop.version).is_some()
            })
    }
}

fn nowhere(name: &SmolStr) -> Behind {
    Behind {
        namespace: name.clone(),
        position: Position {
            incarnation: 0,
            version: 0,
        },
        root: None,
    }
}
