//! stub
use super::api::{Disk, DiskFile, LockGuard};
use std::io;
use std::path::Path;
use std::sync::Arc;
/// A disk in memory.
#[derive(Debug, Default, Clone)]
pub struct SimDisk {}
/// stub
#[derive(Debug)]
pub struct CrashPoints {}
/// What a power cut does to what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashVariant {
    /// Everything unsynced is lost.
    Lost,
    /// Everything is kept, as when only the process was killed.
    Kept,
    /// Each unsynced write keeps some of its 512-byte sectors, names are random.
    Torn(u64),
    /// Each unsynced write and name is lost, kept or torn.
    Mixed(u64),
}
/// What to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// write
    Write,
}
/// How to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO
    Io,
}
impl Disk for SimDisk {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        todo!()
    }
    fn open(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        todo!()
    }
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        todo!()
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        todo!()
    }
    fn exists(&self, _: &Path) -> io::Result<bool> {
        todo!()
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        todo!()
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        todo!()
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        todo!()
    }
    fn lock(&self, _: &Path, _: &str) -> io::Result<LockGuard> {
        todo!()
    }
}
