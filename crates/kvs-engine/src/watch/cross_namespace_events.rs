//! Events of other namespaces, reached through links. They are delivered when the watch has caught
//! up with its own namespace.

use kvs_tree::{Entry, NodeSource};

use super::cross_namespace_target::Foreign;
use super::route::Route;
use super::state::{EventBuilder, EventHeader, WatchState};
use super::step::{ChangeSource, Compare, Pieces, Show};
use crate::error::EngineError;
use crate::event_cache::ModeKind;
use crate::history::RootAt;
use crate::roots::root_of;

impl WatchState {
    /// Queues the state behind links into other namespaces where the client's knowledge is unknown;
    /// later events build on it. False if there is none.
    ///
    /// # Errors
    /// `Compacted` if the root of the last version read is no longer retained; `Permission`.
    pub(super) async fn tell_untold(&mut self) -> Result<bool, EngineError> {
        let Some(at) = self.abroad(|foreign| foreign.unreported) else {
            return Ok(false);
        };
        let root = root_of(&self.store, &self.namespace, self.read).await?;
        self.tell_foreign(at, &root).await
    }

    /// Queues the changes of another namespace, if there may be any; false if not. Versions of the
    /// watch's own namespace that were published meanwhile are delivered first.
    ///
    /// # Errors
    /// `Permission` if the caller may no longer read the other namespace.
    pub(super) async fn tell_abroad(&mut self) -> Result<bool, EngineError> {
        let Some(at) = self.abroad(|foreign| foreign.has_changed(&self.store)) else {
            return Ok(false);
        };
        // Versions published meanwhile go first, even if they have not been matched yet.
        let Some(now) = self.namespace.up_to_date(self.id, self.read) else {
            return Ok(true);
        };
        self.read = self.read.max(now.version);
        self.tell_foreign(at, &now).await
    }

    fn abroad(&self, is_due: impl Fn(&Foreign) -> bool) -> Option<usize> {
        self.routes_ref().foreign.iter().position(is_due)
    }

    async fn tell_foreign(&mut self, at: usize, root: &RootAt) -> Result<bool, EngineError> {
        let Some(busy) = self.busy.as_ref() else {
            return Ok(false);
        };
        let of = |route: &&Route| {
            let foreign = busy.foreign.get(at);
            foreign.is_some_and(|foreign| foreign.scope == route.scope)
        };
        let route = busy.routes.iter().find(of).cloned();
        let (Some(route), Some(wake)) = (route, self.namespace.wake_of(self.id)) else {
            return Ok(false);
        };
        let found = Foreign::look(&self.store, self.caller, &route, &wake).await?;
        let position = self.namespace.at(root.version);
        let Some(found) = found else {
            return Ok(false);
        };
        let grown = self.grown(at, &found, &route).await?;
        let busy = self.busy();
        let Some(place) = busy.foreign.get_mut(at) else {
            return Ok(false);
        };
        let old = std::mem::replace(place, found);
        let head = EventHeader::Changes {
            transactions: Vec::new(),
            skipped: 0,
            behind: Some(place.behind.clone()),
        };
        let mut work = EventBuilder::new(head, position, root.root, place.time_ms);
        let differences = || {
            ChangeSource::Compare(Compare {
                before: old.seen.clone(),
                after: place.seen.clone(),
                listing: false,
                anew: old.unreported,
                below: !matches!(place.scope, kvs_tree::Scope::Key(_)),
                show: Show::Under(route.shown()),
                from: None,
            })
        };
        work.steps.push_back(grown.unwrap_or_else(differences));
        busy.work = Some(work);
        Ok(true)
    }

    /// In append mode, the bytes appended to the value since it was last seen; `None` if it did not
    /// grow, or not only by appends.
    async fn grown(
        &self,
        at: usize,
        found: &Foreign,
        route: &Route,
    ) -> Result<Option<ChangeSource>, EngineError> {
        let seen = self
            .routes_ref()
            .foreign
            .get(at)
            .filter(|seen| !seen.unreported);
        let (Some(Entry::Value(old)), Some(Entry::Value(new))) =
            (seen.and_then(|seen| seen.seen.clone()), found.seen.clone())
        else {
            return Ok(None);
        };
        if self.shape.kind != ModeKind::Append || !self.shape.values || new.len() <= old.len() {
            return Ok(None);
        }
        let (from, value) = (old.len(), new.clone());
        let begins =
            move |source: &dyn NodeSource, params: &_| new.begins_with(&old, source, params);
        let grew = self.store.step(begins).await?;
        Ok(grew.then(|| ChangeSource::Pieces(Pieces::of_one(route.shown(), value, from))))
    }
}
