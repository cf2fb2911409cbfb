//! The target of a link into another namespace: its current state, with that namespace's version.
//!
//! Only the watch's own namespace is delivered version by version. For another namespace, the watch
//! is woken when a version touches the target, or when the namespace is removed or recreated, and
//! then reads the current entry.

use std::sync::Arc;

use kvs_tree::{Entry, Fault, Key, Resolved, Scope, lookup};
use smol_str::SmolStr;

use super::route::{End, Route, is_dead_end, scope_at};
use crate::dispatch::Wake;
use crate::error::{EngineError, ErrorKind};
use crate::event::Behind;
use crate::lanes::WatchId;
use crate::namespace::Namespace;
use crate::notifier::NotifierGuard;
use crate::reference::Position;
use crate::request::Principal;
use crate::store::Store;

/// The point at which a watch was opened.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    /// The newest group published by then.
    pub(super) group: u64,
    /// The number of namespaces removed by then.
    pub(super) removals: u64,
}

/// A registration in another namespace's watch index. Dropping it unregisters.
struct Subscription {
    namespace: Arc<Namespace>,
    id: WatchId,
    scopes: Vec<Scope>,
    version: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.namespace.unsubscribe(self.id, &self.scopes);
    }
}

/// The target of a route into another namespace, as last seen.
#[derive(Clone)]
pub(super) struct Foreign {
    pub(super) scope: Scope,
    hops: Vec<Arc<Subscription>>,
    missing: Option<(SmolStr, Arc<NotifierGuard>)>,
    pub(super) seen: Option<Entry>,
    pub(super) behind: Behind,
    pub(super) time_ms: u64,
    /// Whether the client's knowledge of it is unknown: the entry is reported in any case.
    pub(super) unreported: bool,
}

impl Foreign {
    /// Resolves the route now, and registers for every change that may affect it.
    ///
    /// # Errors
    /// `Permission` if it leads where the caller may not read, `Limit`, `Corrupt`.
    pub(super) async fn look(
        store: &Arc<Store>,
        caller: Principal,
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
            behind: absent(&name),
            time_ms: 0,
            unreported: false,
        };
        loop {
            // An absent target has no time, not even that of the link that leads to it.
            found.time_ms = 0;
            found.behind = absent(&name);
            let namespace = match store.readable(caller, &name) {
                Ok(namespace) => namespace,
                Err(error) if error.kind == ErrorKind::NoNamespace => {
                    if found.missing.is_none() {
                        // Register first and look again, so that a creation in between is not
                        // missed.
                        let place = store.feed.on_created(store.tenant(caller), wake.clone())?;
                        found.missing = Some((name.clone(), Arc::new(place)));
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
                Err(Fault::Tree(error)) if is_dead_end(error.kind) => Ok(None),
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
            let read = Some(now.version);
            let (id, _) = namespace.subscribe(store.tenant(caller), &scopes, read, wake.clone())?;
            found.hops.push(Arc::new(Subscription {
                namespace,
                id,
                scopes,
                version: now.version,
            }));
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

    /// Fails if the caller may no longer read a namespace on the route.
    pub(super) fn check(&self, store: &Store, caller: Principal) -> Result<(), EngineError> {
        let mut there = self.hops.iter().filter(|hop| !hop.namespace.is_removed());
        there.try_for_each(|hop| store.may_read(caller, &hop.namespace))
    }

    /// Whether the target may have changed since the watch was opened.
    pub(super) fn moved_since(&self, opened: Opened, store: &Store) -> bool {
        let gone = self.missing.is_some() && store.removals() != opened.removals;
        let moved = |hop: &Arc<Subscription>| hop.namespace.moved() > opened.group;
        gone || self.hops.iter().any(moved)
    }

    /// Marks the target as unreported.
    pub(super) fn forget(&mut self) {
        self.seen = None;
        self.unreported = true;
    }

    /// Whether the target may have changed since it was last seen.
    pub(super) fn has_changed(&self, store: &Store) -> bool {
        let made = |(name, _): &(SmolStr, Arc<NotifierGuard>)| store.namespace(name).is_ok();
        self.unreported
            || self.missing.as_ref().is_some_and(made)
            || self.hops.iter().any(|hop| {
                hop.namespace.is_removed() || hop.namespace.next_hit(hop.id, hop.version).is_some()
            })
    }
}

fn absent(name: &SmolStr) -> Behind {
    Behind {
        namespace: name.clone(),
        position: Position {
            incarnation: 0,
            version: 0,
        },
        root: None,
    }
}
