//! Mode `latest`: one event for everything since the last one.

use std::collections::BTreeSet;
use std::sync::Arc;

use kvs_tree::{Effort, Key};

use super::route::ScopeMapping;
use super::state::{Coalescing, Routes, WatchState};
use super::step::{ChangeSource, Keys};
use crate::changes::tells_below;
use crate::error::EngineError;
use crate::limits::EVENT_CHANGES;
use crate::roots::root_of;
use crate::slices::Pace;
use crate::state::VersionRecord;

/// The keys that several versions changed, without values.
#[derive(Default)]
struct Sum {
    versions: u64,
    keys: BTreeSet<Key>,
    /// Whether the two states must be compared: links moved, or there are too many keys.
    compare: bool,
}

impl WatchState {
    /// Queues one event with the newest state. `first` is the first record that may concern the
    /// watch.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub(super) async fn tell_newest(
        &mut self,
        first: Arc<VersionRecord>,
    ) -> Result<(), EngineError> {
        let now = self.namespace.published();
        let (read, mut aim) = (self.read, self.aim());
        let mut sum = Sum {
            compare: self.shape.previous,
            ..Sum::default()
        };
        self.busy().coalescing = Some(Coalescing { read, routes: None });
        let (mut record, mut newest) = (first, None);
        let mut pace = self.store.slices.pace(self.caller);
        loop {
            let mut concerns = sum.take(&record, &aim, &mut pace).await;
            if let Some(routes) = self.routes_after(&record, &mut pace).await? {
                // Later versions are matched against the new targets of the links.
                (concerns, sum.compare) = (true, true);
                let before = self.set_routes(routes, record.version);
                if let Some(coalescing) = &mut self.busy().coalescing {
                    coalescing.routes.get_or_insert(before);
                }
                aim = self.aim();
            }
            self.read = record.version;
            if concerns {
                sum.versions += 1;
                newest = Some(record);
            }
            match self.next_record().await? {
                Some(next) if next.version <= now.version => record = next,
                _ => break,
            }
        }
        let Some(newest) = newest else {
            self.read = now.version;
            self.busy().coalescing = None;
            return Ok(());
        };
        let suppressed = self.busy().suppressed;
        let mut work = self.event_of(&newest, suppressed + sum.versions - 1);
        work.reached = now.version;
        if sum.compare {
            // The client has seen none of it yet, so compare with the state it has.
            let before = root_of(&self.store, &self.namespace, read).await?;
            let coalescing = self.busy.as_ref().and_then(|busy| busy.coalescing.as_ref());
            let routes = coalescing.and_then(|coalescing| coalescing.routes.as_ref());
            let from = routes.map_or(self.routes_ref(), Routes::routes_ref);
            let differences = self.differences((&before, from), (&now, self.routes_ref()));
            work.steps = differences.await?.into();
        } else {
            work.steps.push_back(ChangeSource::Keys(Keys {
                root: now.directory.clone(),
                keys: sum.keys.into_iter().collect(),
                next: 0,
                aim: Arc::new(aim),
            }));
            if suppressed + sum.versions == 1 && self.routes().is_empty() {
                work.share = Some(self.event_key(newest.version));
            }
        }
        self.read = read;
        let busy = self.busy();
        (busy.coalescing, busy.suppressed) = (None, 0);
        busy.work = Some(work);
        Ok(())
    }
}

impl Sum {
    /// Adds a version; returns whether it changed the watched keys.
    async fn take(&mut self, record: &VersionRecord, aim: &ScopeMapping, pace: &mut Pace) -> bool {
        let (scopes, mut concerns) = (aim.scopes(), false);
        let effort = Effort::of(scopes);
        for effect in record.effects() {
            pace.spend(effort.visits(effect.key())).await;
            if !scopes.is_empty() && tells_below(effect, scopes) {
                (concerns, self.compare) = (true, true);
            }
            if scopes.iter().any(|scope| scope.matches(effect.key())) {
                concerns = true;
                self.keys.insert(effect.key().clone());
            }
        }
        if self.keys.len() > EVENT_CHANGES {
            self.compare = true;
            self.keys.clear();
        }
        concerns
    }
}
