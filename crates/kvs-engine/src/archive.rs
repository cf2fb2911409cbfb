//! Reads the past of namespaces: records from memory or the journal, and old roots, rebuilt from
//! the nearest earlier checkpoint by replaying the journal.
//!
//! Everything here may read the disk and belongs on a blocking thread. Rebuilt roots are kept in a
//! bounded cache; rebuilding a later version starts from them.

mod rebuild;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kvs_tree::Directory;

use crate::bulk::Effort;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::journal::{JournalError, JournalReader};
use crate::limits::{JOURNAL_READ_BYTES, REPLAY_STEP, WATCH_BATCH, WATCH_LOOK_BYTES};
use crate::namespace::Namespace;
use crate::objects::Objects;
use crate::skim::{Filter, skim};
use crate::state::{Group, VersionRecord};

#[derive(Default)]
struct Rebuilt {
    /// By incarnation and version: root, weight in bytes, and time of last use.
    roots: BTreeMap<(u64, u64), (RootAt, usize, u64)>,
    bytes: usize,
    uses: u64,
}

/// The result of scanning a stretch of the journal.
pub(crate) struct Scan {
    /// The records that concern the filter, in order.
    pub(crate) records: Vec<Arc<VersionRecord>>,
    /// Every version up to this one was examined.
    pub(crate) reached: u64,
    /// The group to continue at.
    pub(crate) group: u64,
}

impl Scan {
    /// Scans a group; returns whether to continue with the next.
    fn look_through(
        &mut self,
        number: u64,
        payload: &[u8],
        namespace: &Namespace,
        (from, published): (u64, u64),
        filter: &Filter,
    ) -> Result<bool, EngineError> {
        let skimmed = skim(number, payload, &namespace.name, from, filter)?;
        if skimmed.concerns {
            for record in Group::decode(number, payload)?.versions_of(&namespace.name) {
                if (from..=published).contains(&record.version) && filter.concerns(&record) {
                    self.records.push(record);
                }
            }
        }
        self.reached = self.reached.max(skimmed.newest.unwrap_or(0).min(published));
        // A group with versions that are not published yet is read again later.
        if skimmed.newest.is_some_and(|newest| newest > published) {
            return Ok(false);
        }
        self.group = number + 1;
        Ok(self.reached < published && self.records.len() < WATCH_BATCH)
    }
}

/// The root of an old version, or a rebuild in progress.
pub(crate) enum Rebuild {
    Done(RootAt),
    Going(Rebuilding),
}

/// A rebuild in progress.
pub(crate) struct Rebuilding {
    /// The version to rebuild.
    version: u64,
    /// The version that the rebuild started from.
    base: u64,
    /// The version reached so far.
    at: u64,
    /// The group to continue at, if the last step found no record.
    group: Option<u64>,
    /// The state at version `at`.
    directory: Directory,
    weight: usize,
    /// The last record replayed.
    reached: Option<Arc<VersionRecord>>,
}

/// The past of all namespaces of a store.
pub(crate) struct Archive {
    objects: Arc<Objects>,
    journal: Arc<dyn JournalReader>,
    rebuilt: Mutex<Rebuilt>,
}

pub(crate) fn compacted(namespace: &Namespace, version: u64, oldest: u64) -> EngineError {
    EngineError::new(
        ErrorKind::Compacted,
        format!(
            "version {version} of namespace {} is older than the oldest retained version {oldest}",
            namespace.name
        ),
    )
}

/// Whether the first version of a namespace in a group is a later one than `from`.
fn begins_after(from: u64, number: u64, payload: &[u8], namespace: &Namespace) -> bool {
    let group = Group::decode(number, payload);
    let first = group.map(|group| group.versions_of(&namespace.name).next());
    first.is_ok_and(|first| first.is_some_and(|first| first.version > from))
}

impl Archive {
    pub(crate) fn new(objects: Arc<Objects>, journal: Arc<dyn JournalReader>) -> Self {
        Self {
            objects,
            journal,
            rebuilt: Mutex::default(),
        }
    }

    /// The records of versions from `from` on, in order: at least one if `from` is published, at
    /// most `limit`; fewer if that saves a read.
    ///
    /// # Errors
    /// `Compacted` if `from` is not retained, `Corrupt` if the journal is damaged.
    pub(crate) fn records(
        &self,
        namespace: &Namespace,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<VersionRecord>>, EngineError> {
        let (records, _) = self.read(namespace, from, None, (limit, usize::MAX))?;
        Ok(records)
    }

    /// Like [`records`](Self::records), starting at `group` if given. Stops after `enough` bytes,
    /// even if nothing was found. Also returns the group to continue at.
    fn read(
        &self,
        namespace: &Namespace,
        from: u64,
        group: Option<u64>,
        (limit, enough): (usize, usize),
    ) -> Result<(Vec<Arc<VersionRecord>>, u64), EngineError> {
        if from > namespace.position().version {
            return Ok((Vec::new(), 0));
        }
        let (oldest, start, recent_from) = {
            let history = namespace.history();
            let oldest = history.oldest();
            let recent = history.recent_records(from, limit);
            if let Some(records) = recent.filter(|_| from > oldest) {
                return Ok((records, 0));
            }
            let start = group.or_else(|| history.group_of(from));
            (oldest, start, history.first_recent())
        };
        let gone = || compacted(namespace, from, oldest + 1);
        if from <= oldest {
            return Err(gone());
        }
        let mut group = start.ok_or_else(gone)?;
        let (mut found, mut bytes) = (Vec::<Arc<VersionRecord>>::new(), 0);
        let mut damage = None;
        loop {
            let page = match self.journal.read(group, JOURNAL_READ_BYTES) {
                Ok(page) => page,
                Err(JournalError::Trimmed { .. }) => return Err(gone()),
                // Return what was found before reporting the damage.
                Err(JournalError::Corrupt { .. }) if !found.is_empty() => {
                    return Ok((found, group));
                }
                // The damage may affect only versions before the wanted one.
                Err(error @ JournalError::Corrupt { .. }) if group < self.journal.newest() => {
                    damage.get_or_insert(error);
                    group += 1;
                    continue;
                }
                Err(other) => return Err(other.into()),
            };
            let Some((last, _)) = page.last() else {
                return Err(EngineError::corrupt(format!(
                    "version {from} of namespace {} is not in the journal from group {group} on",
                    namespace.name
                )));
            };
            let next = last + 1;
            for (number, payload) in &page {
                bytes += payload.len();
                for record in Group::decode(*number, payload)?.versions_of(&namespace.name) {
                    if record.version >= from && found.len() < limit {
                        found.push(record);
                    }
                }
            }
            if found.first().is_some_and(|first| first.version > from)
                && let Some(damage) = damage
            {
                return Err(damage.into());
            }
            let reached = found.last().map_or(from, |r| r.version + 1);
            let met = reached > from && recent_from.is_none_or(|r| r <= reached);
            if found.len() >= limit || bytes >= enough || met {
                return Ok((found, next));
            }
            if !found.is_empty() && next > self.journal.newest() {
                return Ok((found, next));
            }
            group = next;
        }
    }

    /// Scans the journal for records that concern `filter`, from version `from` on, starting at
    /// `group` if given. Stops once some are found or `WATCH_LOOK_BYTES` were examined.
    ///
    /// # Errors
    /// `Compacted` if `from` is not retained, `Corrupt` if the journal is damaged.
    pub(crate) fn scan(
        &self,
        namespace: &Namespace,
        from: u64,
        group: Option<u64>,
        filter: &Filter,
    ) -> Result<Scan, EngineError> {
        let published = namespace.position().version;
        let (oldest, start) = {
            let history = namespace.history();
            (history.oldest(), group.or_else(|| history.group_of(from)))
        };
        let gone = || compacted(namespace, from, oldest + 1);
        if from <= oldest {
            return Err(gone());
        }
        let mut scan = Scan {
            records: Vec::new(),
            reached: from - 1,
            group: start.ok_or_else(gone)?,
        };
        let (mut looked, mut damage) = (0, None::<EngineError>);
        // The same memory again and again: what is read stays where the processor has it at hand,
        // and none of it is asked from or given back to the system, which those who write would
        // notice.
        let mut buffer = Vec::new();
        loop {
            let (mut more, before) = (Ok(true), looked);
            let start = scan.group;
            let page = self.journal.look(
                start,
                JOURNAL_READ_BYTES,
                &mut buffer,
                &mut |number, payload| {
                    looked += payload.len();
                    if let Some(error) = &damage
                        && scan.reached < from
                        && begins_after(from, number, payload, namespace)
                    {
                        more = Err(error.clone());
                        return false;
                    }
                    more = scan.look_through(number, payload, namespace, (from, published), filter);
                    matches!(more, Ok(true))
                },
            );
            match page {
                Ok(()) => {}
                // Return what was found before reporting the loss.
                Err(JournalError::Trimmed { .. }) if looked > 0 => return Ok(scan),
                Err(JournalError::Trimmed { .. }) => return Err(gone()),
                // Return what was found before reporting the damage.
                Err(JournalError::Corrupt { .. }) if scan.reached >= from && looked > 0 => {
                    return Ok(scan);
                }
                // The damage may affect only versions before the wanted one.
                Err(error @ JournalError::Corrupt { .. })
                    if scan.reached < from && scan.group < self.journal.newest() =>
                {
                    damage.get_or_insert(error.into());
                    scan.group += 1;
                    continue;
                }
                Err(other) => return Err(other.into()),
            }
            if looked == before && scan.reached < published {
                return Err(EngineError::corrupt(format!(
                    "version {} of namespace {} is not in the journal from group {} on",
                    scan.reached + 1,
                    namespace.name,
                    scan.group
                )));
            }
            if !more? || !scan.records.is_empty() || looked >= WATCH_LOOK_BYTES {
                return Ok(scan);
            }
        }
    }

    /// The groups from `from` to `newest`: as many as fit in `bytes`, but at least one.
    ///
    /// # Errors
    /// `Compacted` if `from` is not retained, `Corrupt` if the journal is damaged.
    pub(crate) fn groups(
        &self,
        from: u64,
        newest: u64,
        bytes: usize,
    ) -> Result<Vec<(u64, Group)>, EngineError> {
        let page = self.journal.read(from, bytes)?;
        let wanted = page.iter().filter(|(number, _)| *number <= newest);
        wanted
            .map(|(number, payload)| Ok((*number, Group::decode(*number, payload)?)))
            .collect()
    }

    /// The root of `version`; rebuilds it without a pause if necessary.
    ///
    /// # Errors
    /// As [`find_root`](Self::find_root) and [`rebuild`](Self::rebuild).
    pub(crate) fn root(&self, namespace: &Namespace, version: u64) -> Result<RootAt, EngineError> {
        let mut found = self.find_root(namespace, version)?;
        loop {
            match found {
                Rebuild::Done(root) => return Ok(root),
                Rebuild::Going(rest) => found = self.rebuild(namespace, rest)?,
            }
        }
    }

    /// Replays `records` on `directory`, in steps of bounded length.
    pub(crate) fn replay<'a>(
        &self,
        directory: &Directory,
        records: impl IntoIterator<Item = &'a VersionRecord>,
        effort: Effort,
    ) -> Result<Directory, EngineError> {
        let effects = records.into_iter().flat_map(VersionRecord::effects);
        let effects: Vec<_> = effects.cloned().collect();
        let mut directory = directory.clone();
        for effects in effects.chunks(REPLAY_STEP) {
            directory = self.objects.replay(&directory, effects, effort)?;
        }
        Ok(directory)
    }
}
