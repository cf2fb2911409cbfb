//! File descriptors: how many the process may open, and how they are shared out so that clients
//! never take those that the store needs.

use kvs_engine::OPEN_FILES;
use kvs_proto::CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{REFUSED_CONNECTIONS, STORE_DESCRIPTORS, UPLOADS};

/// How the file descriptors of the process are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit of the process.
    pub(crate) limit: usize,
    /// Maximum connections served at once.
    pub(crate) connections: usize,
    /// Maximum open uploads, each with a file.
    pub(crate) uploads: usize,
    /// Maximum packs kept open for reading, and as many segments of the journal.
    pub(crate) open_files: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard limit and shares out the descriptors.
    pub fn raise() -> Descriptors {
        let before = getrlimit(Resource::Nofile);
        let wanted = Rlimit {
            current: before.maximum,
            maximum: before.maximum,
        };
        let raised =
            before.current != before.maximum && setrlimit(Resource::Nofile, wanted).is_ok();
        let now = if raised {
            before.maximum
        } else {
            before.current
        };
        let descriptors = Descriptors::of(now);
        let Descriptors {
            limit, connections, ..
        } = descriptors;
        match before.current.filter(|_| raised) {
            Some(before) => tracing::info!(
                "the limit of open files is raised from {before} to {limit}; {connections} connections are served at once"
            ),
            None => tracing::info!(
                "the limit of open files is {limit}; {connections} connections are served at once"
            ),
        }
        descriptors
    }

    /// Shares out the current soft limit.
    pub(crate) fn current() -> Descriptors {
        Descriptors::of(getrlimit(Resource::Nofile).current)
    }

    /// Shares out `limit` descriptors; `None` means unlimited.
    pub(crate) fn of(limit: Option<u64>) -> Descriptors {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        let store = STORE_DESCRIPTORS.min((limit / 4).max(24));
        let open_files = OPEN_FILES.min((limit / 16).max(4));
        let uploads = UPLOADS.min((limit / 8).max(2));
        let refused = REFUSED_CONNECTIONS.min(limit / 16);
        let others = store + 2 * open_files + uploads + refused;
        Descriptors {
            limit,
            connections: limit.saturating_sub(others).clamp(1, CONNECTIONS),
            uploads,
            open_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_leaves_the_store_what_it_needs() {
        for limit in [64, 100, 256, 1024, 4096, 20_000, 1 << 20] {
            let shared = Descriptors::of(Some(limit as u64));
            let clients = shared.connections + shared.uploads + REFUSED_CONNECTIONS.min(limit / 16);
            let store = limit - clients - 2 * shared.open_files;
            assert!(store >= 16, "{limit}: {store} of {shared:?}");
            assert!(shared.connections >= limit / 8 || shared.connections == CONNECTIONS);
        }
        let most = Descriptors::of(None);
        assert_eq!((most.connections, most.uploads), (CONNECTIONS, UPLOADS));
    }
}
