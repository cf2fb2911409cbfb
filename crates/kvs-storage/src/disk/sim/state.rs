//! The files as the running process sees them, synced or not, and the log of its operations.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::fault::{DiskFault, FaultPoint, Faults};
use super::log::{NameOperation, Operation, World, parent};

#[derive(Debug)]
pub(super) struct State {
    /// The durable state when recording began.
    base: World,
    world: World,
    log: Option<Vec<Operation>>,
    next_inode: usize,
    pub(super) faults: Faults,
    pub(super) capacity: Option<u64>,
    /// Maximum number of open handles, and the current number.
    pub(super) descriptors: Option<usize>,
    pub(super) open: usize,
    /// Locked files. A removed file may be locked again under the same path.
    pub(super) locks: BTreeSet<(PathBuf, Option<usize>)>,
    pub(super) written: u64,
    pub(super) syncs: u64,
}

impl State {
    pub(super) fn new(world: World, record: bool) -> Self {
        Self {
            base: if record {
                world.clone()
            } else {
                World::default()
            },
            next_inode: world.inodes.keys().next_back().map_or(0, |inode| inode + 1),
            world,
            log: record.then(Vec::new),
            faults: Faults::default(),
            capacity: None,
            descriptors: None,
            open: 0,
            locks: BTreeSet::new(),
            written: 0,
            syncs: 0,
        }
    }

    pub(super) fn base(&self) -> &World {
        &self.base
    }

    pub(super) fn log(&self) -> &[Operation] {
        self.log.as_deref().unwrap_or_default()
    }

    fn record(&mut self, operation: impl FnOnce() -> Operation) {
        if let Some(log) = &mut self.log {
            log.push(operation());
        }
    }

    fn name(&mut self, operation: NameOperation) {
        self.world.apply(&operation);
        self.record(|| Operation::Name(operation));
    }

    /// Opens a handle on the inode that `find` returns.
    pub(super) fn handle(
        &mut self,
        find: impl FnOnce(&mut Self) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.descriptors.is_some_and(|most| self.open >= most) {
            return Err(DiskFault::NoDescriptors.error());
        }
        let inode = find(self)?;
        self.open += 1;
        Ok(inode)
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<usize> {
        self.check(FaultPoint::Open, path)?;
        self.inode(path)
    }

    fn check(&mut self, point: FaultPoint, path: &Path) -> io::Result<()> {
        self.faults
            .hit(point, path)
            .map_or(Ok(()), |fault| Err(fault.error()))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &PathBuf> {
        self.world.names.keys()
    }

    pub(super) fn content(&self, inode: usize) -> Option<&[u8]> {
        self.world.inodes.get(&inode).map(|bytes| bytes.as_slice())
    }

    fn len(&self, inode: usize) -> u64 {
        self.content(inode).map_or(0, |bytes| bytes.len() as u64)
    }

    pub(super) fn used(&self) -> u64 {
        self.world
            .names
            .values()
            .map(|inode| self.len(*inode))
            .sum()
    }

    pub(super) fn inode(&self, path: &Path) -> io::Result<usize> {
        self.world
            .names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.world.names.contains_key(path) || self.world.has_dir(path)
    }

    pub(super) fn flip(&mut self, path: &Path, offset: u64, mask: u8) -> bool {
        let Ok(inode) = self.inode(path) else {
            return false;
        };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let byte = self.world.bytes(inode).get_mut(offset);
        byte.map(|byte| *byte ^= mask).is_some()
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        self.check(FaultPoint::Create, path)?;
        if let Ok(inode) = self.inode(path) {
            self.set_len(inode, 0)?;
            return Ok(inode);
        }
        if !self.world.has_dir(parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.name(NameOperation::Create {
            path: path.to_path_buf(),
            inode,
        });
        Ok(inode)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        if self.world.has_dir(path) {
            return Ok(());
        }
        self.create_dir(parent(path))?;
        self.name(NameOperation::CreateDir {
            path: path.to_path_buf(),
        });
        self.sync_dir(parent(path))
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        if !self.world.has_dir(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = self.world.names.keys().chain(&self.world.dirs);
        let inside = paths.filter(|other| parent(other) == path);
        let mut names: Vec<String> = inside
            .filter_map(|other| Some(other.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(FaultPoint::Rename, from)?;
        let inode = self.inode(from)?;
        if !self.world.has_dir(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.name(NameOperation::Rename {
            from: from.to_path_buf(),
            to: to.to_path_buf(),
            inode,
        });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.check(FaultPoint::Remove, path)?;
        let inode = self.inode(path)?;
        self.name(NameOperation::Remove {
            path: path.to_path_buf(),
            inode,
        });
        Ok(())
    }

    /// Not recorded: it does not matter whether a power cut restores an empty directory.
    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.world.dirs.remove(path);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.world.has_dir(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.check(FaultPoint::SyncDir, path)?;
        self.record(|| Operation::SyncDir {
            path: path.to_path_buf(),
        });
        Ok(())
    }

    /// Returns how many of `more` bytes still fit on the disk.
    fn room(&self, more: u64) -> u64 {
        self.capacity.map_or(more, |capacity| {
            more.min(capacity.saturating_sub(self.used()))
        })
    }

    pub(super) fn write(
        &mut self,
        inode: usize,
        path: &Path,
        data: &[u8],
        offset: u64,
    ) -> io::Result<usize> {
        let fault = self.faults.hit(FaultPoint::Write, path);
        let mut take = match fault {
            None => data.len(),
            Some(DiskFault::Short(bytes) | DiskFault::Torn(bytes)) => bytes.min(data.len()),
            Some(fault) => return Err(fault.error()),
        };
        let grows = (offset + take as u64).saturating_sub(self.len(inode));
        let missing = grows - self.room(grows);
        take = take.saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX));
        if take == 0 && !data.is_empty() && missing > 0 {
            return Err(DiskFault::NoSpace.error());
        }
        let data = data.get(..take).unwrap_or_default();
        self.world.write(inode, offset, data);
        self.written += take as u64;
        if !data.is_empty() {
            self.record(|| Operation::Write {
                inode,
                offset,
                data: Bytes::copy_from_slice(data),
            });
        }
        match fault {
            Some(fault @ DiskFault::Torn(_)) => Err(fault.error()),
            _ => Ok(take),
        }
    }

    pub(super) fn read(
        &mut self,
        inode: usize,
        path: &Path,
        out: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check(FaultPoint::Read, path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self
            .content(inode)
            .and_then(|bytes| bytes.get(start..))
            .unwrap_or_default();
        let len = rest.len().min(out.len());
        for (to, from) in out.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(len)
    }

    pub(super) fn sync_data(&mut self, inode: usize, path: &Path) -> io::Result<()> {
        if let Err(error) = self.check(FaultPoint::SyncData, path) {
            self.record(|| Operation::FailedSync { inode });
            return Err(error);
        }
        self.syncs += 1;
        self.record(|| Operation::Sync { inode });
        Ok(())
    }

    pub(super) fn allocate(&mut self, inode: usize, path: &Path, len: u64) -> io::Result<()> {
        self.check(FaultPoint::Allocate, path)?;
        let grows = len.saturating_sub(self.len(inode));
        if self.room(grows) < grows {
            return Err(DiskFault::NoSpace.error());
        }
        if grows > 0 {
            self.set_len(inode, len)
        } else {
            Ok(())
        }
    }

    pub(super) fn set_len(&mut self, inode: usize, len: u64) -> io::Result<()> {
        self.world.set_len(inode, len);
        self.record(|| Operation::SetLen { inode, len });
        Ok(())
    }
}
