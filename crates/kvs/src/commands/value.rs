//! Reads a value of any length: inline in the reply, else piece by piece from the same state.
//! Memory holds a few pieces.

use anyhow::Result;
use kvs_client::{At, Client, Link, ValueReader};

use super::failure::About as _;
use crate::output::{Encoding, Pieces, Utf8Check};

/// Where a value was found: links resolved, state fixed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) at: At,
}

impl Place {
    /// The place of `key` in the state of a reply. `snapshot` is its reference; for a read of a
    /// bare root it is empty, and the requested state is used.
    pub(crate) fn new(namespace: &str, key: &str, snapshot: &str, asked: &At) -> Self {
        let at = if snapshot.is_empty() {
            asked.clone()
        } else {
            At::Snapshot(snapshot.into())
        };
        Self {
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            at,
        }
    }

    /// Reads bytes `from` to `end` of the value.
    pub(crate) fn reader(&self, client: &Client, from: u64, end: u64) -> ValueReader {
        let namespace = client.namespace(self.namespace.as_str());
        namespace.reader(self.key.as_str(), self.at.clone(), from, end)
    }
}

/// Whether all bytes of a value are UTF-8. Stops reading at the first that is not.
pub(crate) async fn is_text(mut reader: ValueReader, context: &str) -> Result<bool> {
    let mut check = Utf8Check::default();
    while let Some(piece) = reader.next().await.about(context)? {
        if !check.feed(&piece) {
            return Ok(false);
        }
    }
    Ok(check.is_text())
}

/// Passes a value to `take` piece by piece, encoded.
pub(crate) async fn encoded(
    mut reader: ValueReader,
    encoding: Encoding,
    context: &str,
    mut take: impl AsyncFnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (mut pieces, mut out) = (Pieces::new(encoding), Vec::new());
    while let Some(piece) = reader.next().await.about(context)? {
        pieces.feed(&piece, &mut out);
        take(&out).await?;
        out.clear();
    }
    pieces.finish(&mut out);
    take(&out).await
}

/// `target` or `namespace::target`.
pub(crate) fn link_text(link: &Link) -> String {
    match &link.namespace {
        Some(namespace) => format!("{namespace}::{}", link.target),
        None => link.target.to_string(),
    }
}
