//! The next record that may concern a watch: from the index, memory, or the journal.

use std::sync::Arc;

use super::state::State;
use crate::error::EngineError;
use crate::limits::WATCH_LOOK;
use crate::record::VersionRecord;

impl State {
    /// The first version after what was read that may concern the watch.
    pub(super) fn next_hit(&mut self) -> Option<u64> {
        let hit = self.namespace.next_hit(self.id, self.read)?;
        self.read = self.read.max(hit - 1);
        Some(hit)
    }

    /// The next record that may concern the watch, which stays the next until `read` has passed it;
    /// `None` if there is none now.
    ///
    /// # Errors
    /// `Compacted` if versions in between are not retained any more.
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
                // Whoever drives the watch has others to drive.
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
        let recent = self
            .namespace
            .history()
            .recent_matching(from, WATCH_LOOK, &filter);
        if let Some((mut records, reached)) = recent {
            // The newest may be on its way to be published at this moment.
            records.retain(|record| record.version <= published);
            let busy = self.busy();
            busy.batch = records.into();
            busy.scanned = reached.min(published);
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
