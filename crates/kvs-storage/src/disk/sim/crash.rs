//! Disk images that a power cut could leave: the durable state plus any part of the pending writes.

use std::collections::BTreeMap;

use super::disk::SimDisk;
use super::log::{NameOperation, Operation, World};
use crate::entropy::SimEntropy;

/// Size of a sector in bytes: the unit that a disk writes atomically.
const SECTOR: usize = 512;

/// What a power cut does to unsynced changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashVariant {
    /// All of them are lost.
    Lost,
    /// All of them are kept. This is also what a killed process leaves.
    Kept,
    /// Each write keeps some of its 512-byte sectors; names and lengths are lost or kept.
    Torn(u64),
    /// Each write is lost, kept or torn; names and lengths are lost or kept.
    Mixed(u64),
}

/// A content change that is not durable yet.
#[derive(Debug, Clone)]
struct Pending {
    operation: Operation,
    /// A sync that covered this change failed: no later sync makes it durable.
    stray: bool,
}

/// Steps through the operations of a [`SimDisk`] and creates the disk images that a power cut could
/// leave.
#[derive(Debug)]
pub struct CrashPoints {
    log: std::vec::IntoIter<Operation>,
    done: usize,
    durable: World,
    contents: BTreeMap<usize, Vec<Pending>>,
    names: Vec<NameOperation>,
}

impl SimDisk {
    /// Returns a disk as a power cut after the first `operations` operations could leave it. Every
    /// call replays the log from the start; to visit many points use
    /// [`crash_points`](Self::crash_points).
    #[must_use]
    pub fn images_after(&self, operations: usize, variant: CrashVariant) -> Self {
        let mut points = self.crash_points();
        while points.operation() < operations && points.advance() {}
        points.image(variant)
    }

    /// Returns all points at which the power can fail, in order, as recorded so far.
    #[must_use]
    pub fn crash_points(&self) -> CrashPoints {
        let state = self.lock_state();
        CrashPoints::new(state.base().clone(), state.log().to_vec())
    }
}

impl CrashPoints {
    fn new(base: World, log: Vec<Operation>) -> Self {
        Self {
            log: log.into_iter(),
            done: 0,
            durable: base,
            contents: BTreeMap::new(),
            names: Vec::new(),
        }
    }

    /// Returns the number of operations completed at this point.
    #[must_use]
    pub fn operation(&self) -> usize {
        self.done
    }

    /// Advances by one operation; returns false at the end.
    pub fn advance(&mut self) -> bool {
        let Some(operation) = self.log.next() else {
            return false;
        };
        self.done += 1;
        match operation {
            Operation::Write { inode, .. } | Operation::SetLen { inode, .. } => {
                let pending = Pending {
                    operation,
                    stray: false,
                };
                self.contents.entry(inode).or_default().push(pending);
            }
            Operation::Sync { inode } => {
                for pending in self.contents.remove(&inode).unwrap_or_default() {
                    if !pending.stray {
                        keep(&mut self.durable, &pending.operation);
                    }
                }
            }
            Operation::FailedSync { inode } => {
                for pending in self.contents.entry(inode).or_default() {
                    pending.stray = true;
                }
            }
            Operation::Name(operation) => self.names.push(operation),
            Operation::SyncDir { path } => {
                let durable = &mut self.durable;
                self.names.retain(|operation| {
                    let synced = operation.dir() == path;
                    if synced {
                        durable.apply(operation);
                    }
                    !synced
                });
            }
        }
        true
    }

    /// Returns a disk as a power cut at this point could leave it.
    #[must_use]
    pub fn image(&self, variant: CrashVariant) -> SimDisk {
        let mut world = self.durable.clone();
        let (seed, mixed) = match variant {
            CrashVariant::Lost | CrashVariant::Kept => (0, false),
            CrashVariant::Torn(seed) => (seed, false),
            CrashVariant::Mixed(seed) => (seed, true),
        };
        let random = SimEntropy::new(seed ^ ((self.done as u64) << 20));
        for operation in &self.names {
            let keeps = match variant {
                CrashVariant::Lost => false,
                CrashVariant::Kept => true,
                CrashVariant::Torn(_) | CrashVariant::Mixed(_) => random.below(2) == 0,
            };
            if keeps {
                world.apply(operation);
            }
        }
        for pending in self.contents.values().flatten() {
            match variant {
                CrashVariant::Lost => {}
                CrashVariant::Kept => keep(&mut world, &pending.operation),
                CrashVariant::Torn(_) | CrashVariant::Mixed(_) => {
                    match if mixed { random.below(3) } else { 2 } {
                        0 => {}
                        1 => keep(&mut world, &pending.operation),
                        _ => tear(&mut world, &pending.operation, &random),
                    }
                }
            }
        }
        let World { names, dirs, .. } = &mut world;
        names.retain(|path, _| {
            let parent = super::log::parent(path);
            parent.parent().is_none() || dirs.contains(parent)
        });
        SimDisk::from_world(world, true)
    }
}

/// Applies the operation completely.
fn keep(world: &mut World, operation: &Operation) {
    match operation {
        Operation::Write {
            inode,
            offset,
            data,
        } => world.write(*inode, *offset, data),
        Operation::SetLen { inode, len } => world.set_len(*inode, *len),
        _ => {}
    }
}

/// Applies a random subset of the sectors of a write. A change of length is lost or kept as a
/// whole.
fn tear(world: &mut World, operation: &Operation, random: &SimEntropy) {
    let Operation::Write {
        inode,
        offset,
        data,
    } = operation
    else {
        if random.below(2) == 0 {
            keep(world, operation);
        }
        return;
    };
    // Sectors are aligned within the file, so the first and last part may be shorter.
    let mut at = *offset;
    let mut rest = data.as_ref();
    while !rest.is_empty() {
        let in_sector = usize::try_from(at % SECTOR as u64).unwrap_or(0);
        let (part, next) = rest.split_at(rest.len().min(SECTOR - in_sector));
        if random.below(2) == 0 {
            world.write(*inode, at, part);
        }
        at += part.len() as u64;
        rest = next;
    }
}
