//! Mode `latest`: one event for everything that happened since the last one.

use std::collections::BTreeSet;
use std::sync::Arc;

use kvs_tree::Key;

use super::route::may_move;
use super::state::State;
use super::step::{Keys, Step};
use crate::changes::tells_below;
use crate::error::EngineError;
use crate::limits::EVENT_CHANGES;
use crate::record::VersionRecord;
use crate::view::root_of;

/// What some versions did to a watch's keys, without their values.
#[derive(Default)]
struct Sum {
    versions: u64,
    keys: BTreeSet<Key>,
    /// Only the differences between the two states tell: links moved, or too many keys.
    compare: bool,
}

impl State {
    /// Sets out to tell the newest state, `first` being the first record that may concern the watch.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub(super) async fn tell_newest(
        &mut self,
        first: Arc<VersionRecord>,
    ) -> Result<(), EngineError> {
        let now = self.namespace.published();
        let (read, aim) = (self.read, self.aim());
        let mut sum = Sum {
            compare: self.shape.previous,
            ..Sum::default()
        };
        self.busy().summing = Some(read);
        let (mut record, mut newest) = (first, None);
        loop {
            let scopes = aim.scopes();
            let inside = |key: &Key| scopes.iter().any(|scope| scope.matches(key));
            let mut concerns = false;
            if may_move(self.scopes.as_slice(), self.routes(), &record) {
                (concerns, sum.compare) = (true, true);
            }
            for effect in record.effects() {
                if !scopes.is_empty() && tells_below(effect, scopes) {
                    (concerns, sum.compare) = (true, true);
                }
                if inside(effect.key()) {
                    concerns = true;
                    sum.keys.insert(effect.key().clone());
                }
            }
            if sum.keys.len() > EVENT_CHANGES {
                sum.compare = true;
                sum.keys.clear();
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
        let reached = now.version;
        let silent = reached < self.busy().from;
        let Some(newest) = newest.filter(|_| !silent) else {
            if sum.compare {
                let ways = self.ways(&now).await?;
                self.go(ways, reached);
            }
            self.read = reached;
            self.busy().summing = None;
            return Ok(());
        };
        let mut work = self.event_of(&newest, sum.versions - 1);
        work.reached = reached;
        if sum.compare {
            // All of it is untold until the event is.
            let before = root_of(&self.store, &self.namespace, read).await?;
            let ways = self.ways(&now).await?;
            work.steps = self.differences(&before, &now, &ways).await?.into();
            if ways.routes != self.routes() {
                self.go(ways, reached);
            }
        } else {
            work.steps.push_back(Step::Keys(Keys {
                root: now.directory.clone(),
                keys: sum.keys.into_iter().collect(),
                next: 0,
                aim: Arc::new(aim),
            }));
            if sum.versions == 1 && self.routes().is_empty() {
                work.share = Some(self.event_key(newest.version));
            }
        }
        self.read = read;
        let busy = self.busy();
        (busy.summing, busy.work) = (None, Some(work));
        Ok(())
    }
}
