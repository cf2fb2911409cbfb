//! The daemon's unix socket. No other user can connect to it unless guests are allowed. A stale
//! socket of a killed daemon is replaced; a socket on which a daemon answers is an error. Only its
//! owner removes it.
//!
//! A lock on the socket's directory, which leaves no file behind, keeps two daemons from checking
//! and binding at the same time. The caller sets a umask that excludes other users (or uses a
//! private directory), since the umask applies between bind and chmod.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixStream};

/// Why a socket could not be bound.
#[derive(Debug)]
pub(crate) enum BindError {
    /// A daemon answers on this path.
    InUse(PathBuf),
    /// Something other than a socket is at this path.
    NotASocket(PathBuf),
    /// A system call failed.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BindError::InUse(path) => {
                write!(f, "address in use: a daemon answers on {}", path.display())
            }
            BindError::NotASocket(path) => {
                write!(
                    f,
                    "cannot bind {}: a file that is not a socket is there",
                    path.display()
                )
            }
            BindError::Io(path, error) => write!(f, "cannot bind {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for BindError {}

/// Which users may connect to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user of the daemon, and always root.
    Owner,
    /// Also the members of the group with this id.
    Group(u32),
    /// All users.
    Everybody,
}

impl Access {
    fn socket_mode(self) -> u32 {
        match self {
            Access::Owner => 0o600,
            Access::Group(_) => 0o660,
            Access::Everybody => 0o666,
        }
    }

    /// The mode of directories created for the socket: guests must be able to reach it, but need
    /// not list its neighbours.
    fn directory_mode(self) -> u32 {
        match self {
            Access::Owner => 0o700,
            Access::Group(_) | Access::Everybody => 0o711,
        }
    }
}

/// A bound socket. [`Listener::close`] or dropping it removes its file, unless the file has been
/// replaced.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    file: SocketFile,
}

impl Listener {
    /// Binds the socket for the users that may connect. Creates missing parent directories so that
    /// these users can reach it; leaves existing ones as they are.
    ///
    /// Briefly blocks on the file system. Must be called within a tokio runtime.
    pub(crate) async fn bind(path: &Path, access: Access) -> Result<Listener, BindError> {
        let (listener, _lock) = Listener::bind_locked(path, access).await?;
        Ok(listener)
    }

    /// Like [`Listener::bind`], and returns the lock that keeps others from checking and binding.
    async fn bind_locked(path: &Path, access: Access) -> Result<(Listener, File), BindError> {
        let io = |error| BindError::Io(path.to_owned(), error);
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let made = Made::missing(parent);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(io)?;
        for directory in &made.0 {
            let mode = Permissions::from_mode(access.directory_mode());
            std::fs::set_permissions(directory, mode).map_err(io)?;
        }
        let lock = File::open(parent).map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
        remove_stale(path).await?;
        let listener = UnixListener::bind(path).map_err(io)?;
        if let Access::Group(group) = access {
            chown(path, None, Some(group)).map_err(io)?;
        }
        let mode = Permissions::from_mode(access.socket_mode());
        std::fs::set_permissions(path, mode).map_err(io)?;
        let file = SocketFile::of(path).map_err(io)?;
        made.keep();
        Ok((Listener { listener, file }, lock))
    }

    /// Checks that the socket can be bound, before anything else is created: binds and removes it
    /// again. Directories created for it are removed when the result is dropped, unless kept.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub(crate) async fn check(path: &Path, access: Access) -> Result<Made, BindError> {
        let made = Made::missing(path.parent().unwrap_or(Path::new(".")));
        // A concurrent `bind` waits for the lock and does not mistake this for a daemon.
        let (listener, _lock) = Listener::bind_locked(path, access).await?;
        listener.close();
        Ok(made)
    }

    /// Accepts the next connection. Cancel-safe.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Removes the socket's file, then stops listening. In this order, no daemon that starts now
    /// can see a stale socket, bind its own, and have it removed by us.
    pub(crate) fn close(self) {
        self.file.remove();
    }
}

/// Directories created for a socket; the empty ones are removed on drop.
#[derive(Debug)]
#[must_use]
pub(crate) struct Made(Vec<PathBuf>);

impl Made {
    /// The ones that do not exist yet, deepest first.
    fn missing(directory: &Path) -> Made {
        let missing = directory
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        Made(missing.map(Path::to_owned).collect())
    }

    /// Keeps the directories.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for directory in &self.0 {
            // It does not exist, or others use it.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// The socket's file; its inode shows whether it is still ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    fn remove(&self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether a daemon accepts connections on the socket.
pub(crate) async fn is_alive(path: &Path) -> bool {
    UnixStream::connect(path).await.is_ok()
}

/// Prepares for a bind: removes a socket on which nobody listens.
async fn remove_stale(path: &Path) -> Result<(), BindError> {
    let io = |error| BindError::Io(path.to_owned(), error);
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io)
        }
        // The backlog is full, so a daemon listens.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(BindError::InUse(path.to_owned()))
        }
        Err(error) => Err(io(error)),
    }
}

/// Whether the peer has closed both directions, so that nothing sent arrives.
pub(crate) fn has_hung_up(stream: &UnixStream) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let looked = poll(&mut polled, Some(&at_once));
    let [polled] = &polled;
    looked.is_ok() && polled.revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/kvs.sock");
        let listener = Listener::bind(&path, Access::Owner).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        listener.close();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn guests_reach_a_socket_that_is_opened_to_them_through_what_was_made_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let group = rustix::process::getegid().as_raw();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let before = mode(dir.path());
        for (access, name, expected) in [
            (Access::Everybody, "all", 0o666),
            (Access::Group(group), "group", 0o660),
        ] {
            let path = dir.path().join(name).join("er/kvs.sock");
            let _listener = Listener::bind(&path, access).await.unwrap();
            assert_eq!(mode(&path), expected);
            assert_eq!(std::fs::metadata(&path).unwrap().gid(), group);
            assert_eq!(mode(path.parent().unwrap()), 0o711);
            assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o711);
        }
        assert_eq!(mode(dir.path()), before, "what was there is left alone");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kvs.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _live = Listener::bind(&path, Access::Owner).await.unwrap();
        assert!(matches!(
            Listener::bind(&path, Access::Owner).await,
            Err(BindError::InUse(_))
        ));
        assert!(is_alive(&path).await);
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kvs.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(
            Listener::bind(&path, Access::Owner).await,
            Err(BindError::NotASocket(_))
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kvs.sock");
        let first = Listener::bind(&path, Access::Owner).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = Listener::bind(&path, Access::Owner).await.unwrap();
        first.close();
        assert!(path.exists());
    }
}
