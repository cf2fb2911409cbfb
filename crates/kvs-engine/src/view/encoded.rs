//! A view's content in its stored or external forms: nodes, tree objects, references.

use kvs_tree::{Blobref, Ctx, Entry, Fault, Key, Resolved, Value, path, to_json};

use super::{Nodes, View};
use crate::error::EngineError;

impl View {
    /// The directory nodes that a lookup of `key` reads, with links followed within the namespace.
    /// Skips the first `have` and stops once the nodes have `enough` bytes; returns at least one if
    /// any is left.
    ///
    /// # Errors
    /// Those of reading the nodes. A failing lookup is not an error here: the nodes show it.
    pub async fn nodes(&self, key: &Key, have: u64, enough: usize) -> Result<Nodes, EngineError> {
        let params = *self.store.objects.params();
        let (root, key) = (self.root.directory.clone(), key.clone());
        let have = usize::try_from(have).unwrap_or(usize::MAX);
        self.step(move |source| {
            let ctx = Ctx {
                source,
                params: &params,
            };
            let way = path(&root, &ctx, &key);
            let value = match way.end {
                Ok(Resolved::Found {
                    entry: Entry::Value(value),
                    ..
                }) if !value.is_inline() => Some(value),
                Ok(_) | Err(Fault::Tree(_)) => None,
                Err(fault) => return Err(fault),
            };
            let (mut nodes, mut bytes) = (Vec::new(), 0);
            let mut rest = way.nodes.iter().skip(have).peekable();
            while bytes < enough
                && let Some((_, node)) = rest.next()
            {
                let encoded = node.encode(&params);
                bytes += encoded.len();
                nodes.push(encoded);
            }
            let more = rest.peek().is_some();
            Ok(Nodes {
                nodes,
                more,
                value: value.filter(|_| !more),
            })
        })
        .await
    }

    /// The entry as a tree object in RFC 11 JSON. For the instance owner, the references of a
    /// directory or value are remembered for a while, so that they can be read.
    pub async fn tree_object(&self, entry: &Entry) -> Result<String, EngineError> {
        let params = *self.store.objects.params();
        let references = match entry {
            Entry::Directory(directory) => vec![directory.seal(&params)],
            Entry::Value(value) => {
                let value = value.clone();
                self.step(move |source| value.blobs(source, &params))
                    .await?
            }
            Entry::Symlink(_) => Vec::new(),
        };
        // Only the instance owner may read by bare reference, so those shown to guests are not
        // kept.
        let usable = self.store.authority().is_instance_owner(self.caller);
        for reference in references.into_iter().filter(|_| usable) {
            self.store
                .remember(reference, entry.clone(), self.snapshot());
        }
        let entry = entry.clone();
        self.step(move |source| {
            to_json(
                &entry,
                &Ctx {
                    source,
                    params: &params,
                },
            )
        })
        .await
    }

    /// The blob of a value, or the root of its chunks; `None` if it is stored inline.
    pub fn blobref(&self, value: &Value) -> Option<Blobref> {
        value.blobref(self.store.objects.params())
    }
}
