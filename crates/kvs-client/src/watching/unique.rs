//! The values that were handed out last, for mode `unique`.
//!
//! Within a stream the daemon leaves out what is equal to the last. After a resume it can judge by
//! the state at the resume point only as far as that is retained, so the client judges once more.
//! What does not fit into `UNIQUE_BYTES` is not remembered: then a value may be handed out a second
//! time after a resume, but none is ever lost.

use crate::event::Initial;
use crate::limits::UNIQUE_BYTES;
use bytes::Bytes;
use kvs_proto::{Change, ChangeKind, ChangeValue};
use smol_str::SmolStr;
use std::collections::HashMap;

/// A remembered content.
#[derive(Debug, PartialEq, Eq)]
enum Last {
    Content(ChangeValue),
    Directory,
    Nothing,
}

/// What each key had when it was handed out last.
#[derive(Debug, Default)]
pub(super) struct LastValues {
    keys: HashMap<SmolStr, Last>,
    bytes: usize,
}

impl LastValues {
    /// A whole state is handed out: what it does not name is not there.
    pub(super) fn state(&mut self, initial: &Initial, is_first: bool) {
        if is_first && !initial.differences {
            self.clear();
        }
        for entry in &initial.entries {
            self.changes(entry);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = LastValues::default();
    }

    /// Whether a change that is about to be handed out changes anything. Remembers it.
    pub(super) fn changes(&mut self, change: &Change) -> bool {
        let before = self.forget(&change.key);
        let now = match (change.kind, &change.value) {
            (ChangeKind::Unlink, _) => Last::Nothing,
            (ChangeKind::Mkdir, _) => Last::Directory,
            (ChangeKind::Append, ChangeValue::Bytes(more)) => match before {
                Some(Last::Content(ChangeValue::Bytes(value))) if !more.is_empty() => {
                    let grown = Bytes::from([value.as_ref(), more.as_ref()].concat());
                    self.remember(change.key.clone(), Last::Content(ChangeValue::Bytes(grown)));
                    return true;
                }
                _ => return true,
            },
            // Without its value a change cannot be compared.
            (ChangeKind::Append, _) | (_, ChangeValue::None) => return true,
            (ChangeKind::Put | ChangeKind::Link, value) => Last::Content(value.clone()),
            // Of a kind that this build does not know.
            _ => return true,
        };
        let is_news = before.as_ref() != Some(&now);
        self.remember(change.key.clone(), now);
        is_news
    }

    fn remember(&mut self, key: SmolStr, last: Last) {
        let size = size(&key, &last);
        if self.bytes.saturating_add(size) > UNIQUE_BYTES {
            return;
        }
        let last = match last {
            // A slice would keep the frame that it came in.
            Last::Content(ChangeValue::Bytes(bytes)) => {
                Last::Content(ChangeValue::Bytes(Bytes::copy_from_slice(&bytes)))
            }
            last => last,
        };
        self.bytes += size;
        self.keys.insert(key, last);
    }

    fn forget(&mut self, key: &SmolStr) -> Option<Last> {
        let last = self.keys.remove(key)?;
        self.bytes = self.bytes.saturating_sub(size(key, &last));
        Some(last)
    }
}

fn size(key: &SmolStr, last: &Last) -> usize {
    let value = match last {
        Last::Content(ChangeValue::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    size_of::<(SmolStr, Last)>() + key.len() + value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: ChangeKind, value: &'static str) -> Change {
        let value = match value {
            "" => ChangeValue::None,
            value => ChangeValue::Bytes(Bytes::from_static(value.as_bytes())),
        };
        Change::new("k", kind, value)
    }

    #[test]
    fn equal_values_are_no_news() {
        use ChangeKind::{Append, Mkdir, Put, Unlink};
        let mut last = LastValues::default();
        for (kind, value, is_news) in [
            (Put, "a", true),
            (Put, "a", false),
            (Append, "b", true),
            (Put, "ab", false),
            (Unlink, "", true),
            (Unlink, "", false),
            (Put, "ab", true),
            (Mkdir, "", true),
            (Mkdir, "", false),
            (Put, "", true),
            (Put, "", true),
        ] {
            assert_eq!(
                last.changes(&change(kind, value)),
                is_news,
                "{kind:?} {value}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_news_each_time() {
        let mut last = LastValues::default();
        let long = ChangeValue::Bytes(Bytes::from(vec![0; UNIQUE_BYTES]));
        let long = Change::new("k", ChangeKind::Put, long);
        assert!(last.changes(&long) && last.changes(&long));
        assert_eq!(last.bytes, 0);
    }
}
