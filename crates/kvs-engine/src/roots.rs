//! Finds the root of a requested state: in memory, among the pins, or in the past.

use std::sync::Arc;

use kvs_tree::{Blobref, Entry};

use crate::archive::Rebuild;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::namespace::Namespace;
use crate::reference::SnapshotRef;
use crate::store::Store;

pub(crate) fn stale(snapshot: &SnapshotRef, found: &RootAt) -> EngineError {
    EngineError::new(
        ErrorKind::StaleSnapshot,
        format!(
            "snapshot {snapshot} is not of this namespace's history: version {} had root {}",
            found.version, found.root
        ),
    )
}

/// The root of a retained or pinned version. Rebuilds it in steps if necessary; dropping the future
/// stops the rebuild.
pub(crate) async fn root_of(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    version: u64,
) -> Result<RootAt, EngineError> {
    if let Some(root) = store.pinned_root(&namespace.name, version) {
        return Ok(root);
    }
    let published = namespace.published();
    if published.version == version {
        return Ok((*published).clone());
    }
    if let Some(root) = namespace.history().recent_root(version) {
        return Ok(root);
    }
    match rebuilt(store, namespace, version).await {
        // The starting point may have been trimmed meanwhile; if the version is retained, there is
        // a later one.
        Err(error) if error.kind == ErrorKind::Compacted => {
            rebuilt(store, namespace, version).await
        }
        found => found,
    }
}

/// Rebuilds the root of a version in steps and yields between them.
async fn rebuilt(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    version: u64,
) -> Result<RootAt, EngineError> {
    let of = namespace.clone();
    let find = move |store: &Arc<Store>| store.archive.find_root(&of, version);
    let mut found = store.offload(find).await?;
    loop {
        let of = namespace.clone();
        let rest = match found {
            Rebuild::Done(root) => return Ok(root),
            Rebuild::Going(rest) => rest,
        };
        let rebuild = move |store: &Arc<Store>| store.archive.rebuild(&of, rest);
        found = store.offload(rebuild).await?;
    }
}

/// Resolves a bare reference: the root of a retained version, or a recently shown directory.
pub(crate) async fn bare(
    store: &Arc<Store>,
    asked: Arc<Namespace>,
    root: Blobref,
) -> Result<(Arc<Namespace>, RootAt), EngineError> {
    let name = asked.name.clone();
    let others = store.namespaces().into_iter().filter(|n| n.name != name);
    for namespace in std::iter::once(asked).chain(others) {
        if namespace.published().root == root {
            let published = (*namespace.published()).clone();
            return Ok((namespace, published));
        }
        let version = namespace.history().version_of_root(&root);
        if let Some(version) = version {
            let root = root_of(store, &namespace, version).await?;
            return Ok((namespace, root));
        }
    }
    let pinned = store.pins().values().find(|p| p.root.root == root).cloned();
    if let Some(pinned) = pinned {
        return Ok((
            store.namespace(&pinned.pin.snapshot.namespace)?,
            pinned.root,
        ));
    }
    let Some((Entry::Directory(directory), snapshot)) = store.remembered(&root) else {
        return Err(EngineError::new(
            ErrorKind::Compacted,
            format!("{root} is not a root that is retained, nor a directory that was shown lately"),
        ));
    };
    let at = RootAt {
        version: snapshot.version,
        time_ms: 0,
        directory,
        root,
    };
    Ok((store.namespace(&snapshot.namespace)?, at))
}
