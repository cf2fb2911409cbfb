//! The groups of a segment: walking, indexing and reading them.
//!
//! In memory a segment keeps one offset for every 4 KiB of groups. A sealed segment that recovery
//! did not have to read is verified as a whole, its end included, on the first read. A damaged
//! group costs no other group: later ones are found by magic, identity and checksum, which no
//! payload can imitate.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::frame::{Frame, GroupHash, HEADER, Identity, Invalid, find_next, parse};
use super::segment_file::{GROUPS_AT, SegmentFile, SegmentInfo, to_len};
use crate::journal::{GroupNumber, JournalError};
use crate::limits::JOURNAL_INDEX_STRIDE;

/// A walk over the groups of a segment that verifies that each follows its predecessor in number
/// and hash.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    identity: Identity,
    /// Number of bytes walked so far.
    pub(super) at: usize,
    /// Expected number of the next group.
    pub(super) next: GroupNumber,
    /// Expected predecessor hash of the next group; `None` accepts any.
    pub(super) previous: Option<GroupHash>,
}

impl<'a> Walk<'a> {
    /// Starts a walk over `bytes`, which begin with group `next`.
    pub(super) fn new(bytes: &'a [u8], identity: Identity, next: GroupNumber) -> Self {
        Self {
            bytes,
            identity,
            at: 0,
            next,
            previous: None,
        }
    }

    /// Returns the next group and its offset.
    pub(super) fn step(&mut self) -> Result<(usize, Frame<'a>), Invalid> {
        let frame = parse(self.bytes.get(self.at..).unwrap_or_default(), self.identity)?;
        if frame.number != self.next {
            return Err(Invalid::Damaged(
                "the group has another number than expected",
            ));
        }
        if self
            .previous
            .is_some_and(|previous| previous != frame.previous)
        {
            return Err(Invalid::Damaged(
                "the group does not follow the one before it",
            ));
        }
        let at = self.at;
        self.at += frame.len();
        self.next += 1;
        self.previous = Some(frame.hash());
        Ok((at, frame))
    }

    /// Returns whether there is an intact group at the current position.
    pub(super) fn is_whole(&self) -> bool {
        parse(self.bytes.get(self.at..).unwrap_or_default(), self.identity).is_ok()
    }

    /// Returns offset and number of the next intact group after the current position, up to number
    /// `last`.
    pub(super) fn find_next(&self, last: GroupNumber) -> Option<(usize, GroupNumber)> {
        find_next(self.bytes, self.at + 1, self.identity, self.next + 1..=last)
    }
}

/// A range of unreadable groups.
#[derive(Debug)]
struct Damage {
    first: GroupNumber,
    last: GroupNumber,
    /// Offset of the first of them.
    at: u64,
    what: &'static str,
}

/// What is known about the groups of a segment.
#[derive(Debug, Default)]
struct Groups {
    first: GroupNumber,
    /// `first - 1` while there is no group.
    last: GroupNumber,
    /// Offsets of some groups, ascending. Contains at least the first group once `indexed`.
    index: Vec<(GroupNumber, u64)>,
    /// Offset of the end of the last group.
    end: u64,
    /// Hash of the last group, as recorded by the next segment. Only for sealed segments.
    last_hash: Option<GroupHash>,
    /// In ascending order.
    damaged: Vec<Damage>,
    indexed: bool,
}

impl Groups {
    fn push(&mut self, number: GroupNumber, at: u64, end: u64) {
        if self
            .index
            .last()
            .is_none_or(|(_, last)| at - last >= JOURNAL_INDEX_STRIDE)
        {
            self.index.push((number, at));
        }
        self.last = number;
        self.end = end;
    }
}

/// A segment and its group index, shared by the writer and all readers.
pub(super) struct Segment {
    pub(super) file: SegmentFile,
    groups: RwLock<Groups>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("path", &self.file.path)
            .finish_non_exhaustive()
    }
}

impl Segment {
    /// Creates a segment without groups; its first group will be `first`.
    pub(super) fn empty(file: SegmentFile, first: GroupNumber) -> Self {
        let groups = Groups {
            first,
            last: first - 1,
            end: GROUPS_AT,
            indexed: true,
            ..Groups::default()
        };
        Self {
            file,
            groups: RwLock::new(groups),
        }
    }

    /// Creates a sealed segment that is not verified yet. Without `last_hash` its last group cannot
    /// be verified, because the next segment's first group is damaged.
    pub(super) fn sealed(
        file: SegmentFile,
        first: GroupNumber,
        last: GroupNumber,
        last_hash: Option<GroupHash>,
    ) -> Self {
        let groups = Groups {
            first,
            last,
            last_hash,
            ..Groups::default()
        };
        Self {
            file,
            groups: RwLock::new(groups),
        }
    }

    /// Adds a group that may now be read.
    pub(super) fn push(&self, number: GroupNumber, at: u64, end: u64) {
        self.groups
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(number, at, end);
    }

    /// Notes groups that are damaged, up to `last`, and where the next whole group is.
    pub(super) fn skip(
        &self,
        damaged: RangeInclusive<GroupNumber>,
        at: u64,
        what: &'static str,
        next: Option<(GroupNumber, u64)>,
    ) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        groups.last = *damaged.end();
        groups.damaged.push(Damage {
            first: *damaged.start(),
            last: *damaged.end(),
            at,
            what,
        });
        groups.index.extend(next);
    }

    pub(super) fn info(&self) -> SegmentInfo {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        SegmentInfo {
            id: self.file.identity.id,
            first: groups.first,
            last: groups.last,
            bytes: self.file.capacity,
        }
    }

    /// Reads and verifies a whole sealed segment, unless that was done before.
    pub(super) fn verify(&self) -> Result<(), JournalError> {
        if self
            .groups
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .indexed
        {
            return Ok(());
        }
        let bytes = self.file.read_groups()?;
        self.verify_bytes(&bytes)
    }

    /// Verifies a sealed segment from the bytes after its header. Damaged groups are recorded and
    /// cause an error only when they are read.
    pub(super) fn verify_bytes(&self, bytes: &[u8]) -> Result<(), JournalError> {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        if groups.indexed {
            return Ok(());
        }
        let last = groups.last;
        let mut found = Groups {
            first: groups.first,
            ..Groups::default()
        };
        let mut walk = Walk::new(bytes, self.file.identity, groups.first);
        while walk.next <= last {
            let offset = GROUPS_AT + walk.at as u64;
            let invalid = match walk.step() {
                Ok((_, frame)) => {
                    found.push(frame.number, offset, GROUPS_AT + walk.at as u64);
                    continue;
                }
                Err(invalid) => invalid,
            };
            if walk.is_whole() {
                // An intact group that does not belong here.
                return Err(self.file.corrupt(offset, invalid.reason()));
            }
            let next = walk.find_next(last);
            found.damaged.push(Damage {
                first: walk.next,
                last: next.map_or(last, |(_, number)| number - 1),
                at: offset,
                what: invalid.reason(),
            });
            let Some((at, number)) = next else { break };
            found.index.push((number, GROUPS_AT + at as u64));
            (walk.at, walk.next, walk.previous) = (at, number, None);
        }
        found.last = last;
        let ends_whole = found.damaged.last().is_none_or(|one| one.last < last);
        if ends_whole && groups.last_hash.is_some() && walk.previous != groups.last_hash {
            let offset = found.index.last().map_or(GROUPS_AT, |(_, at)| *at);
            let what = "the next segment does not follow the last group of this one";
            return Err(self.file.corrupt(offset, what));
        }
        found.last_hash = groups.last_hash;
        found.indexed = true;
        *groups = found;
        Ok(())
    }

    /// Returns groups `from..=to` as far as `max_bytes` of payload allow, but at least one. `from`
    /// must be in this segment.
    pub(super) fn read(
        &self,
        from: GroupNumber,
        to: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError> {
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        self.look(
            from,
            to,
            max_bytes,
            &mut buffer,
            &mut |number, payload, at| {
                found.push((number, at..at + payload.len()));
                true
            },
        )?;
        let bytes = Bytes::from(buffer);
        let found = found.into_iter();
        Ok(found
            .map(|(number, place)| (number, bytes.slice(place)))
            .collect())
    }

    /// Calls `each` with the same groups and their offsets in the buffer, until it returns false.
    pub(super) fn look(
        &self,
        from: GroupNumber,
        to: GroupNumber,
        max_bytes: usize,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(GroupNumber, &[u8], usize) -> bool,
    ) -> Result<(), JournalError> {
        self.verify()?;
        let (mut number, mut at, end, to) = {
            let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
            let (mut end, mut to) = (groups.end, to.min(groups.last));
            if let Some(damage) = groups.damaged.iter().find(|one| one.last >= from) {
                if damage.first <= from {
                    return Err(self.file.corrupt(damage.at, damage.what));
                }
                (end, to) = (end.min(damage.at), to.min(damage.first - 1));
            }
            let place = groups.index.partition_point(|(number, _)| *number <= from);
            let place = place
                .checked_sub(1)
                .and_then(|place| groups.index.get(place));
            let Some((number, at)) = place.copied() else {
                return Ok(());
            };
            (number, at, end, to)
        };
        let slack = to_len(JOURNAL_INDEX_STRIDE) + HEADER;
        let mut want = max_bytes.saturating_add(slack);
        let mut found_bytes = None;
        // One round suffices unless the first requested group is longer than the bytes read.
        loop {
            let expected = want.min(to_len(end - at));
            let bytes = self.file.read_into(buffer, at, expected)?;
            if bytes.len() < expected {
                return Err(self.damaged(at, bytes.len(), "the file is cut short"));
            }
            let mut rest = 0;
            while number <= to {
                match parse(bytes.get(rest..).unwrap_or_default(), self.file.identity) {
                    Ok(frame) if frame.number == number => {
                        let next = rest + frame.len();
                        if number >= from {
                            let found = found_bytes.unwrap_or(0) + frame.payload.len();
                            if found_bytes.is_some() && found > max_bytes {
                                return Ok(());
                            }
                            found_bytes = Some(found);
                            if !each(number, frame.payload, rest + HEADER) {
                                return Ok(());
                            }
                        }
                        rest = next;
                        number += 1;
                    }
                    Err(_) if rest == bytes.len() => break,
                    Err(Invalid::Short(len)) if at + (rest + len) as u64 <= end => {
                        want = want.max(len.saturating_add(slack));
                        break;
                    }
                    Ok(_) => return Err(self.damaged(at, rest, "the group has another number")),
                    Err(invalid) => return Err(self.damaged(at, rest, invalid.reason())),
                }
            }
            at += rest as u64;
            if found_bytes.is_some() || number > to || at >= end {
                return Ok(());
            }
        }
    }

    fn damaged(&self, at: u64, rest: usize, what: &str) -> JournalError {
        self.file.corrupt(at + rest as u64, what)
    }
}
