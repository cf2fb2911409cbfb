//! Many keys of one state in one request.

use crate::answers::{LookedUp, LookupManyAnswer};
use crate::cache::Found;
use crate::cache_snapshot::SnapshotState;
use crate::error::ClientError;
use crate::namespace::Namespace;
use bytes::Bytes;
use kvs_proto as wire;
use kvs_proto::{At, Entry, ErrorCode, LOOKUP_KEYS, LookupMany, Position};
use kvs_tree::Key;
use smol_str::SmolStr;

/// The values of many keys in one state.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Values {
    /// One for each key, in their order: the value, `None` if there is nothing, `EISDIR` if there
    /// is a directory, or why it cannot be told.
    pub values: Vec<Result<Option<Bytes>, ClientError>>,
    /// The position that was read.
    pub position: Position,
    /// A reference to the state that was read. Empty when a bare root was read.
    pub snapshot: SmolStr,
}

impl Namespace {
    /// The values at many keys, all of one state: the newest, or any other. One request for each
    /// 1,024 keys or 256 KiB of values, whichever is less; values over 1 MiB are fetched one by
    /// one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::At;
    /// let primary = client.namespace("primary");
    /// primary.put("doc.many.a", "1").await?;
    /// let found = primary.get_many(["doc.many.a", "doc.many.none"], At::Current).await?;
    /// assert!(matches!(found.values.as_slice(), [Ok(Some(_)), Ok(None)]));
    /// # Ok(()) }
    /// ```
    pub async fn get_many(
        &self,
        keys: impl IntoIterator<Item = impl Into<SmolStr>>,
        at: At,
    ) -> Result<Values, ClientError> {
        let keys: Vec<SmolStr> = keys.into_iter().map(Into::into).collect();
        let mut all = self.some_of(&keys, at.clone()).await?;
        let at = match &all.snapshot {
            none if none.is_empty() => at,
            snapshot => At::Snapshot(snapshot.clone()),
        };
        while let Some(rest) = keys.get(all.values.len()..).filter(|rest| !rest.is_empty()) {
            let more = self.some_of(rest, at.clone()).await?;
            all.values.extend(more.values);
        }
        Ok(all)
    }

    /// The values at many keys of a state, if the client has all that this takes.
    pub(crate) fn get_kept(
        &self,
        state: &SnapshotState,
        keys: &[SmolStr],
    ) -> Option<Vec<Result<Option<Bytes>, ClientError>>> {
        let cache = self.client().cache.as_ref()?;
        keys.iter()
            .map(|text| {
                let key = Key::parse(text).ok()?;
                match cache.look_up(&state.directory, &key)?.0 {
                    Found::Value(bytes) => Some(Ok(Some(bytes))),
                    Found::Absent => Some(Ok(None)),
                    Found::Directory => Some(Err(is_directory(text))),
                    Found::Ask => None,
                }
            })
            .collect()
    }

    /// What is at the first of these keys, at least at one, in one request; the rest is to be asked
    /// for at the answer's `snapshot`. Values longer than the daemon sends inline come as size and
    /// blobref.
    pub async fn lookup_many(
        &self,
        keys: &[SmolStr],
        at: At,
    ) -> Result<LookupManyAnswer, ClientError> {
        let current = at == At::Current;
        let keys = keys.get(..LOOKUP_KEYS).unwrap_or(keys);
        let asked = LookupMany {
            namespace: self.name().into(),
            keys: keys.to_vec(),
            at,
            inline_max: None,
        };
        let answer: LookupManyAnswer = {
            let client = self.client();
            client.answer::<wire::LookupManyAnswer, _>(asked).await?
        };
        if answer.results.is_empty() && !keys.is_empty() {
            let message = "no key was answered";
            return Err(ClientError::new(ErrorCode::BadRequest, message));
        }
        if current {
            let known = &self.client().known;
            known.learn(&self.name().into(), answer.position);
        }
        Ok(answer)
    }

    /// The values at the first keys, at least one if there is any.
    async fn some_of(&self, keys: &[SmolStr], at: At) -> Result<Values, ClientError> {
        let answer = self.lookup_many(keys, at.clone()).await?;
        let at = match &answer.snapshot {
            none if none.is_empty() => at,
            snapshot => At::Snapshot(snapshot.clone()),
        };
        let mut values = Vec::with_capacity(answer.results.len());
        for (key, result) in keys.iter().zip(answer.results) {
            values.push(match result {
                LookedUp::Absent => Ok(None),
                LookedUp::Failed(error) => Err(error),
                LookedUp::Found(Entry::Directory(_)) => Err(is_directory(key)),
                LookedUp::Found(Entry::Link(_)) => {
                    Err(ClientError::new(ErrorCode::Invalid, key.clone()))
                }
                LookedUp::Found(Entry::Value(value)) => match value.bytes {
                    Some(bytes) => Ok(Some(bytes)),
                    None => self.get_at(key.clone(), at.clone()).await,
                },
            });
        }
        Ok(Values {
            values,
            position: answer.position,
            snapshot: answer.snapshot,
        })
    }
}

fn is_directory(key: &SmolStr) -> ClientError {
    ClientError::new(ErrorCode::IsDirectory, key.clone())
}
