//! Fault injection: which calls of a simulated disk fail, and how.

use std::io;
use std::path::Path;

/// The kind of call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// `write_at`.
    Write,
    /// `read_at`.
    Read,
    /// `sync_data`.
    SyncData,
    /// `sync_dir`.
    SyncDir,
    /// `allocate`.
    Allocate,
    /// `create`.
    Create,
    /// `open`.
    Open,
    /// `rename`.
    Rename,
    /// `remove`.
    Remove,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// EIO; nothing was done.
    Io,
    /// ENOSPC; nothing was done.
    NoSpace,
    /// EMFILE, the process is out of descriptors; nothing was done.
    NoDescriptors,
    /// A write stores only this many bytes and returns the short count. Other calls: EIO.
    Short(usize),
    /// A write stores only this many bytes and returns EIO. Other calls: EIO.
    Torn(usize),
}

impl DiskFault {
    /// Returns the error that the failed call reports.
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::NoSpace => io::Error::from(io::ErrorKind::StorageFull),
            Self::NoDescriptors => rustix::io::Errno::MFILE.into(),
            Self::Io | Self::Short(_) | Self::Torn(_) => io::Error::other("injected I/O error"),
        }
    }
}

#[derive(Debug)]
struct Planned {
    point: FaultPoint,
    part: String,
    after: u64,
    times: u64,
    fault: DiskFault,
}

/// The planned faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Planned>,
}

impl Faults {
    pub(super) fn plan(
        &mut self,
        point: FaultPoint,
        part: &str,
        after: u64,
        times: u64,
        fault: DiskFault,
    ) {
        self.planned.push(Planned {
            point,
            part: part.to_owned(),
            after,
            times,
            fault,
        });
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }

    /// Counts a call and returns the fault if it must fail.
    pub(super) fn hit(&mut self, point: FaultPoint, path: &Path) -> Option<DiskFault> {
        let mut hit = None;
        for planned in &mut self.planned {
            if planned.point != point || !path.to_string_lossy().contains(&planned.part) {
                continue;
            }
            if planned.after > 0 {
                planned.after -= 1;
            } else if hit.is_none() {
                planned.times -= 1;
                hit = Some(planned.fault);
            }
        }
        self.planned.retain(|planned| planned.times > 0);
        hit
    }
}
