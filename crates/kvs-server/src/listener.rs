//! The daemon's unix socket: made so that no other user can connect unless guests are allowed,
//! replaced when a killed daemon left it behind, refused when a live daemon answers on it, and
//! removed by its owner only.
//!
//! Two daemons that start at the same moment are kept apart by a lock on the socket's directory
//! while they look and bind; it leaves no file behind. The caller sets a umask that shuts other
//! users out (or uses a private directory): between bind and chmod the umask decides.

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
    /// A daemon answers on it.
    InUse(PathBuf),
    /// Something that is not a socket stands there.
    NotASocket(PathBuf),
    /// The system refused.
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

/// Who may connect to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user of the daemon (and root, always).
    Owner,
    /// Also the members of a group, by its id.
    Group(u32),
    /// Everybody.
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

    /// The mode of directories that are made for the socket: guests must reach it, but need not
    /// list what stands beside it.
    fn directory_mode(self) -> u32 {
        match self {
            Access::Owner => 0o700,
            Access::Group(_) | Access::Everybody => 0o711,
        }
    }
}

/// A bound socket. Its file is removed by [`Listener::close`], or when it is dropped, unless
/// somebody else has put another one in its place.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    file: SocketFile,
}

impl Listener {
    /// Binds the socket for those who may connect; directories above it that are missing are made,
    /// such that these reach it. Ones that are there are left as they are.
    ///
    /// Blocks for a moment on the file system. Must be called within a tokio runtime.
    pub(crate) async fn bind(path: &Path, access: Access) -> Result<Listener, BindError> {
        let (listener, _lock) = Listener::bind_locked(path, access).await?;
        Ok(listener)
    }

    /// The same, and the lock that keeps others from looking and binding.
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

    /// Finds out whether the socket can be bound, before anything else is made: binds it and
    /// removes it again. What is made for it goes away with what is returned, unless that is kept.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub(crate) async fn check(path: &Path, access: Access) -> Result<Made, BindError> {
        let made = Made::missing(path.parent().unwrap_or(Path::new(".")));
        // Whoever binds meanwhile waits for the lock, and does not take this for a daemon.
        let (listener, _lock) = Listener::bind_locked(path, access).await?;
        listener.close();
        Ok(made)
    }

    /// The next connection. Cancel-safe.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Removes the socket's file, then stops listening: in this order no daemon that starts now can
    /// take the socket for a stale one and put up its own, only for us to remove that.
    pub(crate) fn close(self) {
        self.file.remove();
    }
}

/// Directories that are made for a socket. Removed when it is dropped, as far as they are empty.
#[derive(Debug)]
#[must_use]
pub(crate) struct Made(Vec<PathBuf>);

impl Made {
    /// Those that are not there yet, the deepest first.
    fn missing(directory: &Path) -> Made {
        let missing = directory
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        Made(missing.map(Path::to_owned).collect())
    }

    /// Leaves them where they are.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for directory in &self.0 {
            // Not there, or somebody else uses it.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// The socket's file, and by its inode that it is ours.
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

/// Clears the way for a bind: removes a socket on which nobody listens.
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
        // Its queue of connections is full: somebody listens.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(BindError::InUse(path.to_owned()))
        }
        Err(error) => Err(io(error)),
    }
}

/// Whether the other end is closed in both directions, so that nothing that is sent arrives.
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
