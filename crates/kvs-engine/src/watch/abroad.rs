//! Events of other namespaces, behind links: told once everything of the watch's own namespace is.

use super::foreign::Foreign;
use super::route::Route;
use super::state::{Head, State, Work};
use super::step::{Compare, Show, Step};
use crate::error::EngineError;

impl State {
    /// Sets out to tell what changed in another namespace, if anything may have; false if not.
    pub(super) async fn tell_abroad(&mut self) -> Result<bool, EngineError> {
        let Some(busy) = self.busy.as_ref().filter(|busy| !busy.foreign.is_empty()) else {
            return Ok(false);
        };
        let stirred = |foreign: &Foreign| foreign.stirred(&self.store);
        let Some(at) = busy.foreign.iter().position(stirred) else {
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
        let read = self.read;
        let root = self.namespace.published().root;
        let position = self.namespace.at(read);
        let busy = self.busy();
        let (Some(found), Some(place)) = (found, busy.foreign.get_mut(at)) else {
            return Ok(false);
        };
        let old = std::mem::replace(place, found);
        let head = Head::Changes {
            transactions: Vec::new(),
            skipped: 0,
            behind: Some(place.behind.clone()),
        };
        let mut work = Work::new(head, position, root, place.time_ms);
        work.steps.push_back(Step::Compare(Compare {
            before: old.seen.clone(),
            after: place.seen.clone(),
            listing: false,
            below: !matches!(place.scope, kvs_tree::Scope::Key(_)),
            show: Show::Under(route.shown()),
            from: None,
        }));
        busy.work = Some(work);
        Ok(true)
    }
}
