//! Compares two states as a watch sees them, when links may have moved in between.

use std::sync::Arc;

use kvs_tree::{Entry, Scope};

use super::cross_namespace_target::Foreign;
use super::route::{End, Route, ScopeMapping, resolve, standing};
use super::state::{Routes, RoutesRef, WatchState};
use super::step::{ChangeSource, Compare, Show};
use crate::error::EngineError;
use crate::history::RootAt;

impl WatchState {
    /// The routes of the scopes in `root`, with the current targets in other namespaces.
    pub(super) async fn routes_at(&self, root: &RootAt) -> Result<Routes, EngineError> {
        let routes = self.routes_in(root).await?;
        self.look(routes, &[]).await
    }

    /// The routes of the scopes in `root`, if they differ from the current ones. Unchanged routes
    /// into other namespaces keep the target as last seen, so that changes since then are still
    /// reported.
    pub(super) async fn new_ways(&self, root: &RootAt) -> Result<Option<Routes>, EngineError> {
        let routes = self.routes_in(root).await?;
        if routes == self.routes() {
            return Ok(None);
        }
        let stay = |route: &&Route| routes.contains(route);
        let staying: Vec<Route> = self.routes().iter().filter(stay).cloned().collect();
        Ok(Some(self.look(routes, &staying).await?))
    }

    /// The routes of the scopes in `root`, without targets in other namespaces.
    pub(super) async fn routes_in(&self, root: &RootAt) -> Result<Vec<Route>, EngineError> {
        let (scopes, directory) = (self.scopes.clone(), root.directory.clone());
        let resolved = move |source: &dyn kvs_tree::NodeSource, _: &_| {
            resolve(scopes.as_slice(), &directory, source)
        };
        self.store.step(resolved).await
    }

    async fn look(&self, routes: Vec<Route>, staying: &[Route]) -> Result<Routes, EngineError> {
        let mut foreign = Vec::new();
        if let Some(wake) = self.namespace.wake_of(self.id) {
            for route in &routes {
                let seen = self.routes_ref().foreign.iter();
                let mut seen = seen.filter(|foreign| foreign.scope == route.scope);
                match seen.next().filter(|_| staying.contains(route)) {
                    Some(seen) => foreign.push(seen.clone()),
                    None => {
                        let found = Foreign::look(&self.store, self.caller, route, &wake).await?;
                        foreign.extend(found);
                    }
                }
            }
        }
        Ok(Routes { routes, foreign })
    }

    /// The entry at the scope's key in `root`, with links followed.
    async fn behind(
        &self,
        scope: &Scope,
        root: &RootAt,
        routes_ref: RoutesRef<'_>,
    ) -> Result<Option<Entry>, EngineError> {
        let route = routes_ref.routes.iter().find(|route| route.scope == *scope);
        if route.is_some_and(|route| matches!(route.end, End::Elsewhere { .. })) {
            let found = routes_ref
                .foreign
                .iter()
                .find(|foreign| foreign.scope == *scope);
            if let Some(entry) = found.and_then(|foreign| foreign.seen.clone()) {
                return Ok(Some(entry));
            }
        }
        let (key, directory) = (scope.literal_prefix(), root.directory.clone());
        self.store
            .step(move |source, _| standing(&directory, source, &key))
            .await
    }

    /// The differences of one scope that is reported as a whole; a listing if `before` is `None`.
    pub(super) async fn turned(
        &self,
        scope: &Scope,
        before: Option<(&RootAt, RoutesRef<'_>)>,
        after: &RootAt,
        to: RoutesRef<'_>,
    ) -> Result<ChangeSource, EngineError> {
        let listing = before.is_none();
        let before = match before {
            Some((root, from)) => self.behind(scope, root, from).await?,
            None => None,
        };
        let after = self.behind(scope, after, to).await?;
        Ok(ChangeSource::Compare(Compare {
            before,
            after,
            listing,
            anew: false,
            below: !matches!(scope, Scope::Key(_)),
            show: Show::Under(scope.literal_prefix()),
            from: None,
        }))
    }

    /// All differences between two states, including those from links that moved.
    pub(super) async fn differences(
        &self,
        (before, from): (&RootAt, RoutesRef<'_>),
        (after, to): (&RootAt, RoutesRef<'_>),
    ) -> Result<Vec<ChangeSource>, EngineError> {
        let mut apart = from.routes.to_vec();
        apart.extend(to.routes.iter().cloned());
        let aim = ScopeMapping::new(self.scopes.as_slice(), &[], &apart);
        let mut steps = vec![compare(before, after, aim)];
        for scope in self.scopes.as_slice() {
            if apart.iter().any(|route| route.scope == *scope) {
                steps.push(self.turned(scope, Some((before, from)), after, to).await?);
            }
        }
        Ok(steps)
    }
}

/// The differences between two roots, by keys of the tree.
pub(super) fn compare(before: &RootAt, after: &RootAt, aim: ScopeMapping) -> ChangeSource {
    ChangeSource::Compare(Compare {
        before: Some(Entry::Directory(before.directory.clone())),
        after: Some(Entry::Directory(after.directory.clone())),
        listing: false,
        anew: false,
        below: true,
        show: Show::ScopeMapping(Arc::new(aim)),
        from: None,
    })
}
