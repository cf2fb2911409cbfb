//! Which calls of a simulated disk shall fail, and how.

use std::io;
use std::path::Path;

/// A kind of call.
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

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// EIO, nothing done.
    Io,
    /// ENOSPC, nothing done.
    NoSpace,
    /// EMFILE, nothing done: the process has no descriptor left.
    NoDescriptors,
    /// A write takes only so many bytes and says so. Elsewhere: EIO.
    Short(usize),
    /// A write takes only so many bytes, and then answers EIO. Elsewhere: EIO.
    Torn(usize),
}

impl DiskFault {
    /// The error it answers with.
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

/// The faults that are still to come.
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

    /// Counts a call; the fault if it shall fail.
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
