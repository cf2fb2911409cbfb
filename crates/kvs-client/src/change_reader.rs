//! The bytes that a change of an event is about, however many: those in the event, or piece by
//! piece from the state that the event is about.

use crate::answers::LookupAnswer;
use crate::client::Client;
use crate::error::ClientError;
use crate::event::{Behind, Event};
use crate::namespace::Namespace;
use crate::read_options::LookupOptions;
use crate::upload::ValueReader;
use kvs_proto::{At, Change, ChangeKind, ChangeValue, Entry, ErrorCode};
use smol_str::SmolStr;

/// Where a value stands, and how long it is.
struct Found {
    namespace: SmolStr,
    key: SmolStr,
    at: At,
    size: u64,
}

impl Client {
    /// Reads the value that a lookup found, in the state in which it was found. `None` if it found
    /// none. What came with the answer costs nothing.
    pub fn found_reader(&self, found: &LookupAnswer) -> Option<ValueReader> {
        let Some(Entry::Value(value)) = &found.entry else {
            return None;
        };
        if let Some(bytes) = &value.bytes {
            return Some(ValueReader::of_bytes(self, bytes.clone()));
        }
        let namespace = self.namespace(found.namespace.clone());
        let at = match found.snapshot.is_empty() {
            // A bare root was read.
            true => At::Root(found.root.clone()),
            false => At::Snapshot(found.snapshot.clone()),
        };
        Some(namespace.reader(found.key.clone(), at, 0, value.size))
    }
}

impl Namespace {
    /// Reads the bytes that `change`, one of those of `event`, put or appended: what the event
    /// carries, else what is read from the state that the event is about, so that memory holds a
    /// few pieces whatever its size. `None` where there are none: the key was removed, is a
    /// directory or a link, or values were not asked for.
    ///
    /// What the event carries costs nothing. Behind a link into another namespace the value is read
    /// in the state of that which the event names; if the link leads elsewhere by now, it is the
    /// newest value there.
    ///
    /// # Errors
    /// `compacted` if the state is not retained any more, `EPERM` if it is not to be read any more.
    pub async fn change_reader(
        &self,
        event: &Event,
        change: &Change,
    ) -> Result<Option<ValueReader>, ClientError> {
        let size = match &change.value {
            ChangeValue::Bytes(bytes) => {
                return Ok(Some(ValueReader::of_bytes(self.client(), bytes.clone())));
            }
            ChangeValue::Large { size, .. } => *size,
            ChangeValue::None | ChangeValue::Link(_) => return Ok(None),
        };
        let at = match (event.snapshot(), event.position()) {
            (Some(snapshot), _) => At::Snapshot(snapshot.into()),
            (None, Some(position)) => At::Version(position.version),
            (None, None) => At::Current,
        };
        let behind = match event {
            Event::Changes(changes) => changes.behind.as_ref(),
            _ => None,
        };
        let Some(found) = self.find_behind(&change.key, at, behind).await? else {
            return Ok(None);
        };
        let (from, end) = match (change.kind, change.offset) {
            (ChangeKind::Append, Some(offset)) => (offset, offset.saturating_add(size)),
            (ChangeKind::Append, None) => (self.size_before(event, &found).await?, found.size),
            _ => (0, found.size),
        };
        let home = self.client().namespace(found.namespace);
        let end = end.min(found.size);
        Ok(Some(home.reader(found.key, found.at, from.min(end), end)))
    }

    /// The value at a key in the state `at`, or at what is behind a link there, in the state of
    /// another namespace that an event names.
    async fn find_behind(
        &self,
        key: &SmolStr,
        at: At,
        behind: Option<&Behind>,
    ) -> Result<Option<Found>, ClientError> {
        let newest = self.find(key.clone(), at).await?;
        if let (Some(found), Some(behind)) = (&newest, behind)
            && found.namespace == behind.namespace
            && !behind.snapshot.is_empty()
        {
            let there = self.client().namespace(found.namespace.clone());
            let at = At::Snapshot(behind.snapshot.clone());
            if let Some(told) = there.find(found.key.clone(), at).await? {
                return Ok(Some(told));
            }
        }
        Ok(newest)
    }

    async fn find(&self, key: SmolStr, at: At) -> Result<Option<Found>, ClientError> {
        let options = LookupOptions {
            at: at.clone(),
            inline_max: Some(0),
            ..LookupOptions::default()
        };
        let found = self.lookup(key, options).await?;
        let Some(Entry::Value(value)) = found.entry else {
            return Ok(None);
        };
        Ok(Some(Found {
            namespace: found.namespace,
            key: found.key,
            at: match found.snapshot.is_empty() {
                true => at,
                false => At::Snapshot(found.snapshot),
            },
            size: value.size,
        }))
    }

    /// How long the value was in the version before the event's.
    async fn size_before(&self, event: &Event, found: &Found) -> Result<u64, ClientError> {
        let version = event.position().map_or(0, |position| position.version);
        let before = At::Version(version.saturating_sub(1));
        let home = self.client().namespace(found.namespace.clone());
        match home.read(found.key.clone(), before, 0, 0).await {
            Ok(answer) => Ok(answer.size),
            Err(error) if error.code == ErrorCode::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}
