//! Reading a namespace's past: records out of memory or the journal, and roots that are rebuilt
//! from the nearest checkpoint at or before them plus the journal between.
//!
//! Everything here may read the disk and belongs on a blocking thread. Rebuilt roots are kept in a
//! bounded table, from which neighbouring versions advance.

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
    /// By incarnation and version; the number tells the order of use.
    roots: BTreeMap<(u64, u64), (RootAt, usize, u64)>,
    bytes: usize,
    uses: u64,
}

/// A stretch of the journal that was looked through.
pub(crate) struct Scan {
    /// What concerns the filter, in order.
    pub(crate) records: Vec<Arc<VersionRecord>>,
    /// Every version up to this one was looked at.
    pub(crate) reached: u64,
    /// Where to go on.
    pub(crate) group: u64,
}

impl Scan {
    /// Looks through a group; whether to go on to the next.
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
        // A group that holds what is not published yet is read again.
        if skimmed.newest.is_some_and(|newest| newest > published) {
            return Ok(false);
        }
        self.group = number + 1;
        Ok(self.reached < published && self.records.len() < WATCH_BATCH)
    }
}

/// The root of an old version, or how far its rebuild is.
pub(crate) enum Rebuild {
    Done(RootAt),
    Going(Rebuilding),
}

/// A rebuild that is under way.
pub(crate) struct Rebuilding {
    /// The version whose root is wanted.
    version: u64,
    /// Where the rebuild began.
    base: u64,
    /// How far it is.
    at: u64,
    /// Where in the journal to go on, if nothing was found so far behind that.
    group: Option<u64>,
    /// The state there.
    directory: Directory,
    weight: usize,
    /// The last record that was performed.
    reached: Option<Arc<VersionRecord>>,
}

/// The past of every namespace of a store.
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
    /// most `limit`, fewer where that saves a read.
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

    /// The same from `group` on if the caller knows how far it has read, but no more once `enough`
    /// bytes were looked at, be it with nothing found; and the group at which to go on.
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
                // What is before the damage is told before it is.
                Err(JournalError::Corrupt { .. }) if !found.is_empty() => {
                    return Ok((found, group));
                }
                // Perhaps only versions before the one that is wanted are lost by it.
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

    /// Looks for records that concern `filter` in the journal, from version `from` on, beginning at
    /// `group` if the caller knows how far it has read; until it has found some or has looked through
    /// `WATCH_LOOK_BYTES`.
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
        // The same memory again and again: what is read stays where the processor has it at hand, and none of it is
        // asked from or given back to the system, which those who write would notice.
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
                // What was found so far is told before the loss.
                Err(JournalError::Trimmed { .. }) if looked > 0 => return Ok(scan),
                Err(JournalError::Trimmed { .. }) => return Err(gone()),
                // What is before the damage is told before it is.
                Err(JournalError::Corrupt { .. }) if scan.reached >= from && looked > 0 => {
                    return Ok(scan);
                }
                // Perhaps only versions before the one that is wanted are lost by it.
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

    /// The groups from `from` up to `newest`, as many as fit in `bytes` but at least one.
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

    /// The root of `version`, rebuilt in one go if need be.
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

    /// What `records` did, done to `directory`, in steps of bounded length.
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
