//! Reading a value that was found, however long: what came with the answer, else range after range
//! from the state in which it was found.

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use kvs_client::{At, Client, ClientError, ErrorCode, Link, READ_RANGE_BYTES, ValueInfo};

use super::failure::About as _;

/// Where a value was found: links are followed, and the state is fixed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The namespace.
    pub(crate) namespace: String,
    /// The key.
    pub(crate) key: String,
    /// The state.
    pub(crate) at: At,
}

impl Place {
    /// The place of `key` in a state that an answer told by its snapshot reference, which is empty
    /// when a bare root was read: then it is what was asked for.
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

    async fn read(&self, client: &Client, offset: u64, length: u64) -> Result<Bytes, ClientError> {
        let namespace = client.namespace(self.namespace.as_str());
        let answer = namespace
            .read(self.key.as_str(), self.at.clone(), offset, length)
            .await?;
        if answer.bytes.is_empty() {
            return Err(ClientError::new(
                ErrorCode::Corrupt,
                "the value ends before its length",
            ));
        }
        Ok(answer.bytes)
    }
}

/// Hands the value to `take` piece by piece, in order, so that memory holds a few pieces of it.
pub(crate) async fn stream(
    client: &Client,
    place: &Place,
    value: &ValueInfo,
    context: &str,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if let Some(bytes) = &value.bytes {
        return take(bytes);
    }
    let namespace = client.namespace(place.namespace.as_str());
    let mut reader = namespace.reader(place.key.as_str(), place.at.clone(), 0, value.size);
    while let Some(piece) = reader.next().await.about(context)? {
        take(&piece)?;
    }
    Ok(())
}

/// The bytes of the value from `from` on, at most `most` of them, in memory.
pub(crate) async fn part(
    client: &Client,
    place: &Place,
    from: u64,
    most: u64,
    size: u64,
) -> Result<Bytes, ClientError> {
    let end = size.min(from.saturating_add(most));
    let mut bytes = BytesMut::new();
    let mut offset = from;
    while offset < end {
        let piece = place
            .read(client, offset, READ_RANGE_BYTES.min(end - offset))
            .await?;
        offset += piece.len() as u64;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// The whole value, in memory.
pub(crate) async fn whole(
    client: &Client,
    place: &Place,
    value: &ValueInfo,
) -> Result<Bytes, ClientError> {
    match &value.bytes {
        Some(bytes) => Ok(bytes.clone()),
        None => part(client, place, 0, value.size, value.size).await,
    }
}

/// What a version appended to a value: all that the version before did not have.
pub(crate) async fn appended(
    client: &Client,
    place: &Place,
    version: u64,
) -> Result<Bytes, ClientError> {
    let namespace = client.namespace(place.namespace.as_str());
    let size = async |at| Ok(namespace.read(place.key.as_str(), at, 0, 0).await?.size);
    let now = size(place.at.clone()).await?;
    let before = match size(At::Version(version.saturating_sub(1))).await {
        Err(ClientError {
            code: ErrorCode::NotFound,
            ..
        }) => 0,
        answer => answer?,
    };
    part(client, place, before, now.saturating_sub(before), now).await
}

/// `target` or `namespace::target`.
pub(crate) fn link_text(link: &Link) -> String {
    match &link.namespace {
        Some(namespace) => format!("{namespace}::{}", link.target),
        None => link.target.to_string(),
    }
}
