//! The reserve: disk space that is set aside so that a full disk still has room for a checkpoint,
//! which lets the journal give space back and a stopping daemon leave a short restart.

use std::io;
use std::path::PathBuf;

use crate::env::Environment;

/// A file of a fixed size whose only content is the space it takes.
#[derive(Clone)]
pub(crate) struct Reserve {
    env: Environment,
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of `bytes` bytes in the store's directory `dir`.
    pub(crate) fn new(env: &Environment, dir: &std::path::Path, bytes: u64) -> Self {
        let (env, path) = (env.clone(), dir.join("reserve"));
        Self { env, path, bytes }
    }

    /// Sets the space aside, unless it is. Best effort: a disk that is too full for a reserve can
    /// still be used.
    pub(crate) fn keep(&self) {
        if let Err(error) = self.try_keep() {
            tracing::debug!("no space is set aside: {error}");
        }
    }

    fn try_keep(&self) -> io::Result<()> {
        let disk = &*self.env.disk;
        if disk.exists(&self.path)? && disk.open(&self.path)?.len()? >= self.bytes {
            return Ok(());
        }
        let allocated = disk.create(&self.path)?.allocate(self.bytes);
        if allocated.is_err() {
            disk.remove(&self.path)?;
        }
        allocated
    }

    /// Gives the space up; false if there was none.
    pub(crate) fn release(&self) -> bool {
        self.env.disk.remove(&self.path).is_ok()
    }
}
