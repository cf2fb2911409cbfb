//! Recovery: finds the end of a journal after a crash.
//!
//! The last segment that begins with a group is the active one. Only there may the chain end early,
//! and only if nothing proves that more of it was durable. Everything after the end is zeroed.
//! Groups that may never have been synced are written again, because a page whose writeback failed
//! reads fine but is not on disk. Then everything is synced, and only then is it trusted.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{GroupHash, Invalid, find_any, find_next, find_proof, parse};
use super::segment::{Segment, Walk};
use super::segment_file::{GROUPS_AT, SegmentFile, file_name, parse_file_name, to_len};
use super::spare::{FREE, NEW, zero};
use crate::disk::{Disk, DiskError, DiskFile, FileCache, write_all};
use crate::journal::{GroupNumber, JournalError};
use crate::limits::RECYCLED_SEGMENTS;

/// A recovered journal. Its end is clean and durable.
pub(super) struct Recovered {
    /// Oldest first; the last is the active one. Empty if there are no groups.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) newest: GroupNumber,
    pub(super) last_hash: GroupHash,
    /// The highest epoch in the last segment, and thus of all groups.
    pub(super) epoch: u64,
    /// Offset of the next group in the last segment.
    pub(super) end: u64,
    pub(super) next_id: u64,
    /// Files available for reuse.
    pub(super) free: Vec<PathBuf>,
    /// The last segment is not written to any more: its end is damaged, and the root record has
    /// what was there.
    pub(super) sealed: bool,
}

/// Finds the end of the journal in `dir`, which will be replayed from the group after
/// `replay_from`.
pub(super) fn recover(
    cache: &FileCache,
    dir: &Path,
    segment_bytes: u64,
    replay_from: GroupNumber,
) -> Result<Recovered, JournalError> {
    let disk = &**cache.disk();
    let (ids, mut free) = look(disk, dir, segment_bytes)?;
    let mut files = Vec::new();
    let mut headless = None;
    for id in &ids {
        let path = dir.join(file_name(*id));
        let file = cache.file(path.clone());
        match SegmentFile::open(path, file, *id) {
            Ok(file) => files.push(file),
            Err(error @ JournalError::Corrupt { .. }) if headless.is_none() => {
                headless = Some((*id, error));
            }
            Err(error) => return Err(error),
        }
    }
    let incomplete = |what: String| JournalError::Incomplete {
        place: dir.display().to_string(),
        what,
    };
    if let Some((id, _)) = ids
        .iter()
        .zip(ids.iter().skip(1))
        .find(|(a, b)| **a + 1 != **b)
    {
        return Err(incomplete(format!("segment {} is missing", id + 1)));
    }
    let next_id = ids.last().map_or(1, |id| id + 1);

    let unused = split_unused(&mut files)?;
    if let Some((id, error)) = &headless
        && (files.last().is_some_and(|last| last.identity.id > *id)
            || holds_groups(cache, dir, *id)?)
    {
        return Err(error.clone());
    }
    let mut recovered = Recovered {
        segments: Vec::new(),
        newest: replay_from,
        last_hash: GroupHash::default(),
        epoch: 0,
        end: GROUPS_AT,
        next_id: next_id - unused.len() as u64 - u64::from(headless.is_some()),
        free: Vec::new(),
        sealed: false,
    };
    let last = files.pop();
    let expected = match last {
        Some(last) => {
            close_chain(&mut recovered, files, last)?;
            Some(recovered.newest + 1)
        }
        None => None,
    };
    // Nothing is changed before it is certain that nothing is missing.
    let oldest = recovered
        .segments
        .first()
        .map_or(replay_from + 1, |segment| segment.info().first);
    if oldest > replay_from + 1 {
        return Err(incomplete(format!(
            "it begins at group {oldest}, not {}",
            replay_from + 1
        )));
    }
    if recovered.newest < replay_from {
        let newest = recovered.newest;
        return Err(incomplete(format!(
            "it ends at group {newest}, not {replay_from} or later"
        )));
    }
    if recovered.segments.is_empty() && replay_from > 0 && !unused.is_empty() {
        let dir = dir.display();
        tracing::warn!(
            "the journal in {dir} has no whole group: versions up to those of the root record \
             (group {replay_from}) cannot be watched or read any more"
        );
    }
    for id in ids.iter().rev() {
        if let Some(file) = unused.iter().find(|file| file.identity.id == *id) {
            set_aside(disk, dir, segment_bytes, expected, file, &mut free)?;
        } else if let Some((_, error)) = headless.as_ref().filter(|(one, _)| one == id) {
            tracing::warn!("{error}; it holds no group and is removed");
            let path = dir.join(file_name(*id));
            disk.remove(&path).map_err(DiskError::at(&path, "remove"))?;
            disk.sync_dir(dir).map_err(DiskError::at(dir, "sync"))?;
        }
    }
    disk.sync_dir(dir).map_err(DiskError::at(dir, "sync"))?;
    recovered.free = free;
    Ok(recovered)
}

/// Returns the segment ids in ascending order and the files available for reuse; removes temporary
/// and surplus files.
fn look(
    disk: &dyn Disk,
    dir: &Path,
    segment_bytes: u64,
) -> Result<(Vec<u64>, Vec<PathBuf>), JournalError> {
    let mut ids = Vec::new();
    let mut free = Vec::new();
    for name in disk.list(dir).map_err(DiskError::at(dir, "list"))? {
        if let Some(id) = parse_file_name(&name) {
            ids.push(id);
            continue;
        }
        let path = dir.join(&name);
        if name.starts_with(FREE) && free.len() < RECYCLED_SEGMENTS {
            let file = disk.open(&path).map_err(DiskError::at(&path, "open"))?;
            if file.len().map_err(DiskError::at(&path, "measure"))? == segment_bytes {
                free.push(path);
                continue;
            }
        }
        if name.starts_with(FREE) || name.starts_with(NEW) {
            disk.remove(&path).map_err(DiskError::at(&path, "remove"))?;
        }
    }
    ids.sort_unstable();
    Ok((ids, free))
}

/// Splits off the segments after the last one that begins with a group.
fn split_unused(files: &mut Vec<SegmentFile>) -> Result<Vec<SegmentFile>, JournalError> {
    let mut used = files.len();
    while let Some(file) = used.checked_sub(1).and_then(|last| files.get(last)) {
        if parse(&file.read_group(GROUPS_AT)?, file.identity).is_ok() {
            break;
        }
        // A group behind it may prove that the first one was durable, and so is damaged.
        if find_proof(&file.read_groups()?, 0, file.identity, None).is_some() {
            break;
        }
        used -= 1;
    }
    Ok(files.split_off(used))
}

/// Links the sealed segments, and finds, cleans and syncs the end of the last segment.
fn close_chain(
    recovered: &mut Recovered,
    sealed: Vec<SegmentFile>,
    last: SegmentFile,
) -> Result<(), JournalError> {
    let (mut next_first, mut next_previous) = first_of_sealed(&last, GroupNumber::MAX)?;
    let active = close(recovered, last, next_first)?;
    recovered.segments.push(active);
    for file in sealed.into_iter().rev() {
        let (first, previous) = first_of_sealed(&file, next_first)?;
        if first >= next_first {
            return Err(file.corrupt(GROUPS_AT, "the next segment begins with an older group"));
        }
        let segment = Segment::sealed(file, first, next_first - 1, next_previous);
        recovered.segments.push(Arc::new(segment));
        (next_first, next_previous) = (first, previous);
    }
    recovered.segments.reverse();
    Ok(())
}

/// Like [`first_group`], but for a sealed segment whose first group may be damaged; the hash of its
/// predecessor is then unknown. If more groups than the first are damaged, the previous segment
/// seems to lack its last groups. That is reported as damage, so no group is mistaken for another.
fn first_of_sealed(
    file: &SegmentFile,
    next_first: GroupNumber,
) -> Result<(GroupNumber, Option<GroupHash>), JournalError> {
    let damaged = match first_group(file) {
        Ok((first, previous)) => return Ok((first, Some(previous))),
        Err(damaged @ JournalError::Corrupt { .. }) => damaged,
        Err(error) => return Err(error),
    };
    let bytes = file.read_groups()?;
    let second = find_next(&bytes, 1, file.identity, 2..=next_first.saturating_sub(1));
    match second.map_or(next_first, |(_, number)| number) {
        0 | 1 => Err(damaged),
        second => Ok((second - 1, None)),
    }
}

/// Returns the number of a segment's first group and the hash of its predecessor.
fn first_group(file: &SegmentFile) -> Result<(GroupNumber, GroupHash), JournalError> {
    let bytes = file.read_group(GROUPS_AT)?;
    match parse(&bytes, file.identity) {
        Ok(frame) if frame.number > 0 => Ok((frame.number, frame.previous)),
        Ok(_) => Err(file.corrupt(GROUPS_AT, "the group has number 0")),
        Err(invalid) => Err(file.corrupt(GROUPS_AT, invalid.reason())),
    }
}

/// Finds the end of the last segment, whose first group is `first`, and makes it clean and durable.
fn close(
    recovered: &mut Recovered,
    file: SegmentFile,
    first: GroupNumber,
) -> Result<Arc<Segment>, JournalError> {
    // From now on the segment is written to.
    file.file
        .hold()
        .map_err(|error| file.failed("open", error))?;
    let bytes = file.read_groups()?;
    let segment = Segment::empty(file, first);
    let file = &segment.file;
    let mut walk = Walk::new(&bytes, file.identity, first);
    let mut starts = Vec::new();
    let mut durable = 0;
    // What is damaged up to here is needed by nobody but readers of the past.
    let covered = recovered.newest;
    let (end, invalid) = loop {
        let invalid = match walk.step() {
            Ok((at, frame)) => {
                segment.push(
                    frame.number,
                    GROUPS_AT + at as u64,
                    GROUPS_AT + walk.at as u64,
                );
                starts.push((frame.number, at));
                durable = frame.durable;
                recovered.epoch = recovered.epoch.max(frame.epoch);
                recovered.last_hash = frame.hash();
                continue;
            }
            Err(invalid) => invalid,
        };
        let end = GROUPS_AT + walk.at as u64;
        if walk.is_whole() {
            return Err(file.corrupt(end, "the group does not follow the one before it"));
        }
        let Some((at, later)) = find_proof(&bytes, walk.at, file.identity, Some(walk.next)) else {
            break (end, invalid);
        };
        let (at, number) = walk.find_next(later).unwrap_or((at, later));
        if number > covered + 1 {
            let what = format!(
                "group {} is damaged, but group {later} is behind it",
                walk.next
            );
            return Err(file.corrupt(end, what));
        }
        let next = Some((number, GROUPS_AT + at as u64));
        lost(file, &segment, walk.next..=number - 1, (end, invalid), next);
        (walk.at, walk.next, walk.previous) = (at, number, None);
    };
    let rest = bytes.get(walk.at..).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        // After a clean stop the root record names the last group.
        if walk.next <= covered {
            lost(file, &segment, walk.next..=covered, (end, invalid), None);
            recovered.sealed = true;
            file.file
                .sync_data()
                .map_err(|error| file.failed("sync", error))?;
            return Ok(Arc::new(segment));
        }
        zero(&*file.file, end, file.capacity).map_err(|error| file.failed("zero", error))?;
    }
    let unsynced = starts
        .iter()
        .find(|(number, _)| *number > durable)
        .map(|(_, at)| *at);
    if let Some(again) = unsynced.and_then(|at| Some((at, bytes.get(at..walk.at)?))) {
        rewrite(file, again)?;
    }
    file.file
        .sync_data()
        .map_err(|error| file.failed("sync", error))?;
    recovered.newest = walk.next - 1;
    recovered.end = end;
    Ok(Arc::new(segment))
}

/// Notes damage of groups that the root record has the effects of.
fn lost(
    file: &SegmentFile,
    segment: &Segment,
    groups: RangeInclusive<GroupNumber>,
    (at, invalid): (u64, Invalid),
    next: Option<(GroupNumber, u64)>,
) {
    let (first, last) = (groups.start(), groups.end());
    tracing::warn!(
        "{}; groups {first} to {last} are not needed, as the root record has what they did, but \
         their versions cannot be watched or read any more",
        file.corrupt(at, invalid.reason())
    );
    segment.skip(groups, at, invalid.reason(), next);
}

/// Whether a segment of which the header is damaged has a group.
fn holds_groups(cache: &FileCache, dir: &Path, id: u64) -> Result<bool, JournalError> {
    let path = dir.join(file_name(id));
    let file = cache.file(path.clone());
    let len = file.len().map_err(DiskError::at(&path, "measure"))?;
    let mut bytes = vec![0; to_len(len.saturating_sub(GROUPS_AT))];
    let read = file.read_at(&mut bytes, GROUPS_AT);
    bytes.truncate(read.map_err(DiskError::at(&path, "read"))?);
    Ok(find_any(&bytes, id))
}

fn rewrite(file: &SegmentFile, (at, bytes): (usize, &[u8])) -> Result<(), JournalError> {
    let file_at = GROUPS_AT + at as u64;
    write_all(&*file.file, bytes, file_at).map_err(|error| file.failed("rewrite", error))
}

/// Sets a segment without a valid first group aside for reuse. Fails if it must have contained one.
fn set_aside(
    disk: &dyn Disk,
    dir: &Path,
    segment_bytes: u64,
    expected: Option<GroupNumber>,
    file: &SegmentFile,
    free: &mut Vec<PathBuf>,
) -> Result<(), JournalError> {
    let bytes = file.read_groups()?;
    if let Some((_, later)) = find_proof(&bytes, 0, file.identity, expected) {
        let what = format!("its first group is damaged, but group {later} is behind it");
        return Err(file.corrupt(GROUPS_AT, what));
    }
    let path = &file.path;
    let to = dir.join(format!("{FREE}{}", file_name(file.identity.id)));
    let room = free.len() < RECYCLED_SEGMENTS && !free.contains(&to);
    if room && file.capacity == segment_bytes {
        disk.rename(path, &to)
            .map_err(DiskError::at(path, "set aside"))?;
        free.push(to);
    } else {
        disk.remove(path).map_err(DiskError::at(path, "remove"))?;
    }
    // One sync per file: a power cut must not remove an older segment's name and keep a newer
    // one's.
    Ok(disk.sync_dir(dir).map_err(DiskError::at(dir, "sync"))?)
}
