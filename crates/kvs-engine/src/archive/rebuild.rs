//! Rebuilds roots of old versions, in steps, from the nearest earlier checkpoint or rebuilt root.

use std::sync::{Arc, PoisonError};

use super::{Archive, Rebuild, Rebuilding, compacted};
use crate::bulk::Effort;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::limits::{REBUILD_STEP_BYTES, REBUILT_BYTES, REPLAY_BATCH};
use crate::namespace::Namespace;

impl Archive {
    /// The root of `version`, or a rebuild ready to start.
    ///
    /// # Errors
    /// `Compacted` if the version is not retained; `StaleSnapshot` if it does not exist yet.
    pub(crate) fn find_root(
        &self,
        namespace: &Namespace,
        version: u64,
    ) -> Result<Rebuild, EngineError> {
        let published = namespace.published();
        if published.version == version {
            return Ok(Rebuild::Done((*published).clone()));
        }
        if version > published.version {
            return Err(EngineError::new(
                ErrorKind::StaleSnapshot,
                format!(
                    "namespace {} is at version {}, {version} does not exist yet",
                    namespace.name, published.version
                ),
            ));
        }
        let base = {
            let history = namespace.history();
            if let Some(root) = history.recent_root(version) {
                return Ok(Rebuild::Done(root));
            }
            let base = history.base(version);
            base.ok_or_else(|| compacted(namespace, version, history.oldest()))?
        };
        let base = self.nearest_rebuilt(namespace, version, base);
        if base.version == version {
            return Ok(Rebuild::Done(base));
        }
        Ok(Rebuild::Going(Rebuilding {
            version,
            base: base.version,
            at: base.version,
            group: None,
            directory: base.directory,
            weight: 0,
            reached: None,
        }))
    }

    fn nearest_rebuilt(&self, namespace: &Namespace, version: u64, base: RootAt) -> RootAt {
        let mut rebuilt = self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner);
        rebuilt.uses += 1;
        let uses = rebuilt.uses;
        let low = (namespace.incarnation, base.version);
        let range = rebuilt
            .roots
            .range_mut(low..=(namespace.incarnation, version));
        match range.last() {
            Some((_, (root, _, used))) => {
                *used = uses;
                root.clone()
            }
            None => base,
        }
    }

    /// Continues a rebuild by up to [`REPLAY_BATCH`] versions or [`REBUILD_STEP_BYTES`] of journal.
    ///
    /// # Errors
    /// `Compacted` if the version is no longer retained, `Corrupt` if replay does not produce the
    /// recorded root.
    pub(crate) fn rebuild(
        &self,
        namespace: &Namespace,
        mut going: Rebuilding,
    ) -> Result<Rebuild, EngineError> {
        let version = going.version;
        if going.at < version {
            let left = usize::try_from(version - going.at).unwrap_or(usize::MAX);
            let limit = left.min(REPLAY_BATCH);
            let bounds = (limit, REBUILD_STEP_BYTES);
            let (records, next) = self.read(namespace, going.at + 1, going.group, bounds)?;
            let records_of = records.iter().map(Arc::as_ref);
            going.directory = self.replay(&going.directory, records_of, Effort::BESIDE)?;
            going.weight += 4096 * records.iter().map(|r| r.effects().count()).sum::<usize>();
            if records.is_empty() && next <= going.group.unwrap_or(0) {
                return Err(compacted(namespace, version, going.at));
            }
            going.group = records.is_empty().then_some(next);
            going.reached = records.into_iter().last().or(going.reached);
            let reached = going.reached.as_ref();
            going.at = reached.map_or(going.at, |record| record.version);
            if going.at < version {
                return Ok(Rebuild::Going(going));
            }
        }
        let gone = || compacted(namespace, version, going.base);
        let record = going.reached.ok_or_else(gone)?;
        let root = going.directory.seal(self.objects.params());
        if root != record.root {
            return Err(EngineError::corrupt(format!(
                "version {version} of namespace {} was rebuilt as {root}, but was committed as {}",
                namespace.name, record.root
            )));
        }
        let root = RootAt {
            version,
            time_ms: record.time_ms,
            directory: going.directory,
            root,
        };
        self.keep(namespace, root.clone(), going.weight);
        Ok(Rebuild::Done(root))
    }

    fn keep(&self, namespace: &Namespace, root: RootAt, weight: usize) {
        let mut rebuilt = self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner);
        rebuilt.uses += 1;
        let (key, uses) = ((namespace.incarnation, root.version), rebuilt.uses);
        rebuilt.bytes += weight;
        if let Some((_, old, _)) = rebuilt.roots.insert(key, (root, weight, uses)) {
            rebuilt.bytes -= old;
        }
        while rebuilt.bytes > REBUILT_BYTES && rebuilt.roots.len() > 1 {
            let oldest = rebuilt.roots.iter().min_by_key(|(_, (_, _, used))| *used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            if let Some((_, weight, _)) = rebuilt.roots.remove(&key) {
                rebuilt.bytes -= weight;
            }
        }
    }
}
