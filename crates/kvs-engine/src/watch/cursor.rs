//! Finds the next record that may concern a watch: from the index, memory or the journal.

use std::collections::VecDeque;
use std::sync::Arc;

use super::state::WatchState;
use crate::error::EngineError;
use crate::limits::{WATCH_BATCH, WATCH_LOOK, WATCH_LOOK_COST};
use crate::skim::Filter;
use crate::state::VersionRecord;

impl WatchState {
    /// The first version after the last one read that may concern the watch.
    pub(super) fn next_hit(&mut self) -> Option<u64> {
        let hit = self.namespace.next_hit(self.id, self.read)?;
        self.read = self.read.max(hit - 1);
        Some(hit)
    }

    /// The next record that may concern the watch; the same one is returned until `read` passes it.
    /// `None` if there is none now.
    ///
    /// # Errors
    /// `Compacted` if versions in between are no longer retained.
    pub(super) async fn next_record(&mut self) -> Result<Option<Arc<VersionRecord>>, EngineError> {
        let mut looks = 0_u32;
        while self.next_hit().is_some() {
            let read = self.read;
            let busy = self.busy();
            while busy.batch.front().is_some_and(|r| r.version <= read) {
                busy.batch.pop_front();
            }
            if let Some(record) = busy.batch.front() {
                return Ok(Some(record.clone()));
            }
            if busy.scanned > read {
                self.read = busy.scanned;
                continue;
            }
            if looks > 0 {
                // The task that drives this watch drives others too.
                tokio::task::yield_now().await;
            }
            looks += 1;
            self.read_ahead().await?;
        }
        Ok(None)
    }

    async fn read_ahead(&mut self) -> Result<(), EngineError> {
        let (from, filter) = (self.read + 1, self.filter());
        let published = self.namespace.published().version;
        // Filtered without the history's lock, which commits need.
        let recent = self.namespace.history().recent_records(from, WATCH_LOOK);
        if let Some(records) = recent {
            let (batch, reached) = matching(records, published, &filter);
            let busy = self.busy();
            busy.batch = batch;
            busy.scanned = reached.unwrap_or(from - 1);
            busy.group = None;
            busy.have = None;
            return Ok(());
        }
        let group = self.busy().group.filter(|(_, version)| *version == from);
        let (namespace, group) = (self.namespace.clone(), group.map(|(group, _)| group));
        let work = move |store: &Arc<crate::store::Store>| {
            store.archive.scan(&namespace, from, group, &filter)
        };
        let scan = self.store.offload(work).await?;
        let busy = self.busy();
        busy.batch = scan.records.into();
        busy.scanned = scan.reached;
        busy.group = Some((scan.group, scan.reached + 1));
        busy.have = None;
        Ok(())
    }
}

/// The published records that concern `filter`, and the last version examined. Stops early at the
/// limits on matches and cost.
fn matching(
    records: Vec<Arc<VersionRecord>>,
    published: u64,
    filter: &Filter,
) -> (VecDeque<Arc<VersionRecord>>, Option<u64>) {
    let (mut found, mut reached, mut cost) = (VecDeque::new(), None, 0);
    // The newest record may not be published yet.
    for record in records
        .into_iter()
        .take_while(|one| one.version <= published)
    {
        reached = Some(record.version);
        cost += filter.cost(&record);
        if filter.concerns(&record) {
            found.push_back(record);
        }
        if found.len() >= WATCH_BATCH || cost >= WATCH_LOOK_COST {
            break;
        }
    }
    (found, reached)
}
