//! The manifest: one small file, replaced atomically, that everything else on disk hangs from.
//!
//! Its payload is opaque here. A replacement is written beside it, synced, renamed over it, and the
//! directory synced; nothing of older manifests is kept. Format: RFC 0004.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::disk::{Disk, DiskError, write_all};
use crate::env::Environment;
use crate::limits::MANIFEST_BYTES;

/// Version of the manifest's format.
pub const MANIFEST_FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"KVSMANIF";
const HEADER: usize = 32;
const NAME: &str = "manifest";
const TEMPORARY: &str = "manifest.new";

/// An error of the manifest.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ManifestError {
    /// The disk is full. The old manifest stands; trying again works once there is space.
    #[error("no space for the manifest: {0}")]
    NoSpace(DiskError),
    /// The disk failed before the new manifest took its place: the old one stands.
    #[error("manifest: {0}")]
    Disk(DiskError),
    /// The disk failed while the new manifest took its place: after a power cut either may stand.
    /// Nothing that the old one needs may be deleted until a replacement has succeeded.
    #[error("manifest: {0}")]
    Unknown(DiskError),
    /// What is on disk is not what was written.
    #[error("the manifest {} is damaged: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The payload exceeds [`MANIFEST_BYTES`].
    #[error("a manifest of {bytes} bytes is over the limit of {limit}")]
    TooBig {
        /// Bytes of the payload.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Loads and replaces the manifest of a store.
#[derive(Debug, Clone, Copy)]
pub struct ManifestFile;

impl ManifestFile {
    /// The payload of the manifest in `dir`, checksum verified; `None` if there is no manifest.
    /// Removes what an interrupted replacement left, and syncs the directory, so that what was loaded
    /// is what a power cut leaves.
    ///
    /// # Errors
    /// [`ManifestError::Corrupt`] for damage, else disk errors.
    pub fn load(env: &Environment, dir: &Path) -> Result<Option<Bytes>, ManifestError> {
        let disk = &*env.disk;
        let temporary = dir.join(TEMPORARY);
        if disk
            .exists(&temporary)
            .map_err(at(&temporary, "look for"))?
        {
            disk.remove(&temporary).map_err(at(&temporary, "remove"))?;
        }
        let path = dir.join(NAME);
        if !disk.exists(&path).map_err(at(&path, "look for"))? {
            return Ok(None);
        }
        disk.sync_dir(dir).map_err(at(dir, "sync"))?;
        let bytes = read_whole(disk, &path)?;
        decode(&bytes)
            .map(Some)
            .map_err(|what| ManifestError::Corrupt {
                path,
                what: what.to_owned(),
            })
    }

    /// Replaces the manifest in `dir`: when this returns the new one is durable. Cost: one write, one
    /// sync of the file, one of the directory.
    ///
    /// # Errors
    /// Unless the error is [`ManifestError::Unknown`], the old manifest stands and nothing is left
    /// behind.
    pub fn replace(env: &Environment, dir: &Path, payload: &[u8]) -> Result<(), ManifestError> {
        let disk = &*env.disk;
        let bytes = encode(payload)?;
        let temporary = dir.join(TEMPORARY);
        if let Err(error) = write_temporary(disk, &temporary, &bytes) {
            // What cannot be removed now is removed when the store is opened.
            let _ = disk.remove(&temporary);
            return Err(error);
        }
        let path = dir.join(NAME);
        if let Err(error) = disk.rename(&temporary, &path) {
            let _ = disk.remove(&temporary);
            return Err(at(&path, "replace")(error));
        }
        disk.sync_dir(dir)
            .map_err(DiskError::at(dir, "sync"))
            .map_err(ManifestError::Unknown)
    }
}

fn at<'a>(
    path: &'a Path,
    action: &'static str,
) -> impl FnOnce(std::io::Error) -> ManifestError + 'a {
    move |error| {
        let error = DiskError::new(path, action, error);
        if error.is_shortage() {
            ManifestError::NoSpace(error)
        } else {
            ManifestError::Disk(error)
        }
    }
}

fn write_temporary(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), ManifestError> {
    let file = disk.create(path).map_err(at(path, "create"))?;
    write_all(&*file, bytes, 0).map_err(at(path, "write"))?;
    file.sync_data().map_err(at(path, "sync"))
}

fn read_whole(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, ManifestError> {
    let file = disk.open(path).map_err(at(path, "open"))?;
    let len = file.len().map_err(at(path, "measure"))?;
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= HEADER + MANIFEST_BYTES);
    let mut bytes = vec![
        0;
        len.ok_or_else(|| ManifestError::Corrupt {
            path: path.to_path_buf(),
            what: "it is longer than a manifest can be".to_owned(),
        })?
    ];
    let read = file.read_at(&mut bytes, 0).map_err(at(path, "read"))?;
    bytes.truncate(read);
    Ok(bytes)
}

/// magic 8 · format u32 · reserved u32 (0) · payload length u64 · reserved u32 (0) · crc32c u32 of the
/// 28 bytes before it and the payload · payload.
fn encode(payload: &[u8]) -> Result<Vec<u8>, ManifestError> {
    if payload.len() > MANIFEST_BYTES {
        return Err(ManifestError::TooBig {
            bytes: payload.len(),
            limit: MANIFEST_BYTES,
        });
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&MANIFEST_FORMAT.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Bytes, &'static str> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or("it is cut short")?;
    let (covered, checksum) = header
        .split_at_checked(HEADER - 4)
        .ok_or("it is cut short")?;
    if !covered.starts_with(MAGIC) {
        return Err("it does not begin as a manifest does");
    }
    let expected = crc32c::crc32c_append(crc32c::crc32c(covered), payload);
    // The checksum first: only an intact header can be trusted to say that it is of another format.
    if checksum != expected.to_le_bytes() {
        return Err("its checksum is wrong");
    }
    if covered.get(8..12) != Some(&MANIFEST_FORMAT.to_le_bytes()[..]) {
        return Err("its format version is not known to this program");
    }
    if covered.get(16..24) != Some(&(payload.len() as u64).to_le_bytes()[..]) {
        return Err("its length is wrong");
    }
    Ok(Bytes::copy_from_slice(payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{CrashVariant, DiskFault, FaultPoint, SimDisk};

    const DIR: &str = "/store";

    fn setup() -> (SimDisk, Environment) {
        let disk = SimDisk::new();
        disk.create_dir(Path::new(DIR)).unwrap();
        (disk.clone(), Environment::simulated(disk, 1))
    }

    fn load(disk: &SimDisk) -> Result<Option<Bytes>, ManifestError> {
        ManifestFile::load(&Environment::simulated(disk.clone(), 1), Path::new(DIR))
    }

    fn replace(env: &Environment, payload: &[u8]) -> Result<(), ManifestError> {
        ManifestFile::replace(env, Path::new(DIR), payload)
    }

    #[test]
    fn there_is_none_at_first_and_then_the_newest() {
        let (disk, env) = setup();
        assert_eq!(load(&disk).unwrap(), None);
        for payload in [&b"one"[..], b"", b"three"] {
            replace(&env, payload).unwrap();
            assert_eq!(load(&disk).unwrap().unwrap(), payload);
            assert_eq!(disk.files(), [Path::new("/store/manifest")]);
        }
    }

    #[test]
    fn a_power_cut_at_any_operation_leaves_the_old_or_the_new() {
        let (disk, env) = setup();
        let payloads: Vec<Vec<u8>> = (0..6).map(|n| vec![n as u8; 700 * (6 - n)]).collect();
        let mut done = vec![disk.operations()];
        for payload in &payloads {
            replace(&env, payload).unwrap();
            done.push(disk.operations());
        }
        let mut points = disk.crash_points();
        while points.operation() < done[0] {
            points.advance();
        }
        loop {
            let newest = done.iter().filter(|at| **at <= points.operation()).count() - 1;
            for seed in 0..10 {
                let variant = match seed {
                    0 => CrashVariant::Lost,
                    1 => CrashVariant::Kept,
                    2..6 => CrashVariant::Torn(seed),
                    _ => CrashVariant::Mixed(seed),
                };
                let image = points.image(variant);
                let found = load(&image).unwrap();
                let old = newest.checked_sub(1).and_then(|at| payloads.get(at));
                let new = payloads
                    .get(newest)
                    .filter(|_| points.operation() > done[newest]);
                assert!(
                    found.as_deref() == old.map(Vec::as_slice)
                        || (new.is_some() && found.as_deref() == new.map(Vec::as_slice))
                );
                // What was loaded stays, and nothing is left behind.
                let again = image.images_after(image.operations(), CrashVariant::Lost);
                assert_eq!(load(&again).unwrap(), found);
                assert!(image.files().len() <= 1);
            }
            if !points.advance() {
                break;
            }
        }
    }

    #[test]
    fn a_failure_before_the_rename_keeps_the_old() {
        use FaultPoint::{Create, Rename, SyncData, Write};
        for point in [Create, Write, SyncData, Rename] {
            for fault in [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short(20)] {
                let (disk, env) = setup();
                replace(&env, b"old").unwrap();
                disk.fail(point, 0, fault);
                let error = replace(&env, b"new").unwrap_err();
                assert!(!matches!(error, ManifestError::Unknown(_)));
                assert_eq!(load(&disk).unwrap().unwrap(), "old");
                replace(&env, b"new").unwrap();
                assert_eq!(load(&disk).unwrap().unwrap(), "new");
            }
        }
    }

    #[test]
    fn a_failed_directory_sync_is_unknown() {
        let (disk, env) = setup();
        replace(&env, b"old").unwrap();
        disk.fail(FaultPoint::SyncDir, 0, DiskFault::Io);
        assert!(matches!(
            replace(&env, b"new").unwrap_err(),
            ManifestError::Unknown(_)
        ));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_reported() {
        let (disk, env) = setup();
        replace(&env, b"payload").unwrap();
        let path = Path::new("/store/manifest");
        for bit in 0..(HEADER + 7) * 8 {
            let (byte, mask) = (bit as u64 / 8, 1 << (bit % 8));
            assert!(disk.flip(path, byte, mask));
            assert!(matches!(
                load(&disk).unwrap_err(),
                ManifestError::Corrupt { .. }
            ));
            assert!(disk.flip(path, byte, mask));
        }
        for len in (0..HEADER as u64 + 7).rev() {
            disk.open(path).unwrap().set_len(len).unwrap();
            assert!(matches!(
                load(&disk).unwrap_err(),
                ManifestError::Corrupt { .. }
            ));
        }
    }
}
