//! Differences between two states as a watch sees them, where links may lead elsewhere in the second
//! than in the first.

use std::sync::Arc;

use kvs_tree::{Entry, Scope};

use super::foreign::Foreign;
use super::route::{Aim, End, resolve, standing};
use super::state::{Leads, State, Ways};
use super::step::{Compare, Show, Step};
use crate::error::EngineError;
use crate::history::RootAt;

impl State {
    /// Where the scopes lead in `root`.
    pub(super) async fn ways(&self, root: &RootAt) -> Result<Ways, EngineError> {
        let (scopes, directory) = (self.scopes.clone(), root.directory.clone());
        let routes = self
            .store
            .step(move |source, _| resolve(scopes.as_slice(), &directory, source))
            .await?;
        let mut foreign = Vec::new();
        if let Some(wake) = self.namespace.wake_of(self.id) {
            for route in &routes {
                foreign.extend(Foreign::look(&self.store, self.caller, route, &wake).await?);
            }
        }
        Ok(Ways { routes, foreign })
    }

    /// What stands behind a scope in `root`.
    async fn behind(
        &self,
        scope: &Scope,
        root: &RootAt,
        leads: Leads<'_>,
    ) -> Result<Option<Entry>, EngineError> {
        let route = leads.routes.iter().find(|route| route.scope == *scope);
        if route.is_some_and(|route| matches!(route.end, End::Elsewhere { .. })) {
            let found = leads.foreign.iter().find(|foreign| foreign.scope == *scope);
            if let Some(entry) = found.and_then(|foreign| foreign.seen.clone()) {
                return Ok(Some(entry));
            }
        }
        let (key, directory) = (scope.literal_prefix(), root.directory.clone());
        self.store
            .step(move |source, _| standing(&directory, source, &key))
            .await
    }

    /// The differences behind one scope that is told as a whole; `before` none: a listing.
    pub(super) async fn turned(
        &self,
        scope: &Scope,
        before: Option<(&RootAt, Leads<'_>)>,
        after: &RootAt,
        to: Leads<'_>,
    ) -> Result<Step, EngineError> {
        let listing = before.is_none();
        let before = match before {
            Some((root, from)) => self.behind(scope, root, from).await?,
            None => None,
        };
        let after = self.behind(scope, after, to).await?;
        Ok(Step::Compare(Compare {
            before,
            after,
            listing,
            below: !matches!(scope, Scope::Key(_)),
            show: Show::Under(scope.literal_prefix()),
            from: None,
        }))
    }

    /// All differences between two states, whatever became of links between them.
    pub(super) async fn differences(
        &self,
        (before, from): (&RootAt, Leads<'_>),
        (after, to): (&RootAt, Leads<'_>),
    ) -> Result<Vec<Step>, EngineError> {
        let mut apart = from.routes.to_vec();
        apart.extend(to.routes.iter().cloned());
        let aim = Aim::new(self.scopes.as_slice(), &[], &apart);
        let mut steps = vec![compare(before, after, aim)];
        for scope in self.scopes.as_slice() {
            if apart.iter().any(|route| route.scope == *scope) {
                steps.push(self.turned(scope, Some((before, from)), after, to).await?);
            }
        }
        Ok(steps)
    }
}

/// The differences between two roots, in the tree's own keys.
pub(super) fn compare(before: &RootAt, after: &RootAt, aim: Aim) -> Step {
    Step::Compare(Compare {
        before: Some(Entry::Directory(before.directory.clone())),
        after: Some(Entry::Directory(after.directory.clone())),
        listing: false,
        below: true,
        show: Show::Aim(Arc::new(aim)),
        from: None,
    })
}
