//! How a watch starts, and how it continues after a gap.

use kvs_tree::Scope;

use super::collect::Context;
use super::direct::missing_part;
use super::route::may_have_routes;
use super::state::{EventBuilder, EventHeader, Routes, StartState, WatchState};
use super::step::{ChangeSource, List};
use crate::error::EngineError;
use crate::history::RootAt;
use crate::reference::Position;
use crate::roots::root_of;

impl WatchState {
    /// Resolves the routes of the scopes and queues the initial event, if one is due.
    ///
    /// # Errors
    /// `Compacted` if the version before the start is no longer retained.
    pub(super) async fn begin(&mut self, beginning: StartState) -> Result<(), EngineError> {
        let StartState {
            root,
            list,
            offset,
            resumed,
            opened,
        } = beginning;
        let routed = may_have_routes(self.scopes.as_slice());
        if !routed && !list && offset.is_none() {
            return Ok(());
        }
        let root = match root {
            Some(root) => root,
            None => root_of(&self.store, &self.namespace, self.read).await?,
        };
        let routes = self.routes_at(&root).await?;
        let only = match self.scopes.as_slice() {
            // Across namespaces it is unknown whether the client's bytes belong to the current
            // value.
            [scope] if routes.foreign.is_empty() => Some(scope.clone()),
            _ => None,
        };
        if let (Some(offset), Some(scope)) = (offset, only)
            && self.grows(&scope, &root, offset, list, &routes).await?
        {
            self.set_routes_if_any(routes, root.version);
            return Ok(());
        }
        if list {
            self.list(root, routes).await?;
        } else {
            self.set_routes_if_any(routes, root.version);
            let store = self.store.clone();
            for foreign in self.busy.iter_mut().flat_map(|busy| &mut busy.foreign) {
                // What the client knows of other namespaces is unknown: report their current state.
                if resumed || foreign.moved_since(opened, &store) {
                    foreign.forget();
                }
            }
        }
        Ok(())
    }

    pub(super) fn set_routes_if_any(&mut self, routes: Routes, version: u64) {
        if !routes.routes.is_empty() || !self.routes().is_empty() {
            drop(self.set_routes(routes, version));
        }
    }

    /// In append mode, queues the bytes that the client does not have. False if the scope is to be
    /// started in the ordinary way, such as for a directory.
    async fn grows(
        &mut self,
        scope: &Scope,
        root: &RootAt,
        offset: u64,
        list: bool,
        routes: &Routes,
    ) -> Result<bool, EngineError> {
        let scope = scope.clone();
        let shown = scope.literal_prefix();
        if matches!(scope, Scope::Glob(_)) {
            return Ok(false);
        }
        let ChangeSource::Compare(found) =
            self.turned(&scope, None, root, routes.routes_ref()).await?
        else {
            return Ok(false);
        };
        match found.after {
            Some(kvs_tree::Entry::Directory(_)) => return Ok(false),
            Some(kvs_tree::Entry::Value(_)) => {}
            // There is nothing that could grow, and the client, which has no byte, misses none.
            _ if list || offset == 0 => return Ok(false),
            _ => {}
        }
        let (entry, shape) = (found.after, self.shape);
        let (told, step) = self
            .store
            .step(move |source, params| {
                let context = Context {
                    source,
                    params,
                    shape,
                };
                missing_part(&shown, entry.as_ref(), offset, &context)
            })
            .await?;
        if told.is_empty() && step.is_none() && !list {
            return Ok(true);
        }
        let head = if list {
            EventHeader::Initial {
                differences: offset > 0,
            }
        } else {
            EventHeader::Changes {
                transactions: Vec::new(),
                skipped: 0,
                behind: None,
            }
        };
        let position = self.namespace.at(root.version);
        let mut work = EventBuilder::new(head, position, root.root, root.time_ms);
        work.direct
            .extend(told.into_iter().map(|one| (one.key.clone(), one)));
        work.steps.extend(step);
        self.busy().work = Some(work);
        Ok(true)
    }

    /// Queues a listing of all scopes.
    async fn list(&mut self, root: RootAt, routes: Routes) -> Result<(), EngineError> {
        let position = self.namespace.at(root.version);
        let head = EventHeader::Initial { differences: false };
        let mut work = EventBuilder::new(head, position, root.root, root.time_ms);
        let scopes = self.scopes.as_slice();
        let is_routed = |scope: &Scope| routes.routes.iter().any(|route| route.scope == *scope);
        for (at, scope) in scopes.iter().enumerate() {
            work.steps.push_back(if is_routed(scope) {
                self.turned(scope, None, &root, routes.routes_ref()).await?
            } else {
                let top = scope.literal_prefix();
                // A listing through links may turn out empty, so keys are checked against it later.
                let told = scopes.iter().take(at).filter(|one| !is_routed(one));
                ChangeSource::List(List {
                    root: root.directory.clone(),
                    shown: top.clone(),
                    top,
                    scope: scope.clone(),
                    told: told.cloned().collect(),
                    after: None,
                })
            });
        }
        self.whole(work, root, routes);
        Ok(())
    }

    fn whole(&mut self, mut work: EventBuilder, root: RootAt, routes: Routes) {
        let version = root.version;
        work.whole = Some(root);
        self.follow(routes.routes, version);
        let busy = self.busy();
        busy.foreign = routes.foreign;
        busy.work = Some(work);
    }

    /// Queues a gap for versions after `from` that are no longer retained, and then the current
    /// state: as differences if the state at `from` is still readable, else as a listing.
    pub(super) async fn lost(&mut self, from: Position) -> Result<(), EngineError> {
        let now = self.namespace.published();
        self.busy().work = None;
        let routes = self.routes_at(&now).await?;
        let before = if from.incarnation == self.namespace.incarnation {
            self.at_hand(from.version)
        } else {
            None
        };
        let to = self.namespace.at(now.version);
        let busy = self.busy();
        // Versions suppressed before the gap do not count after it.
        (busy.gap, busy.suppressed) = (Some((from, to)), 0);
        match before {
            Some(before) => {
                let (from, to) = ((&before, self.routes_ref()), (&*now, routes.routes_ref()));
                let steps = self.differences(from, to).await?;
                let position = self.namespace.at(now.version);
                let head = EventHeader::Initial { differences: true };
                let mut work = EventBuilder::new(head, position, now.root, now.time_ms);
                work.steps = steps.into();
                self.whole(work, (*now).clone(), routes);
            }
            None => self.list((*now).clone(), routes).await?,
        }
        Ok(())
    }

    /// The root of `version`, if it can be read without the journal.
    fn at_hand(&self, version: u64) -> Option<RootAt> {
        let have = self.busy.as_ref().and_then(|busy| busy.have.clone());
        have.filter(|root| root.version == version)
            .or_else(|| self.store.pinned_root(&self.namespace.name, version))
            .or_else(|| self.namespace.history().root_at_hand(version))
    }
}
