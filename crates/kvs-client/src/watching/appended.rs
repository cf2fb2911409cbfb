//! How far a growing value was handed out, for mode `append`.

use kvs_proto::{Change, ChangeKind, ChangeValue};
use smol_str::SmolStr;

/// The end of what was handed out of the one key that is watched.
#[derive(Debug, Default)]
pub(super) enum Appended {
    /// Nothing was handed out yet.
    #[default]
    Nothing,
    /// So many bytes of this key.
    Key(SmolStr, u64),
    /// Several keys: there is no one offset.
    Keys,
}

impl Appended {
    /// A change is handed out.
    pub(super) fn handed_out(&mut self, change: &Change) {
        let before = match self {
            Appended::Nothing => 0,
            Appended::Key(key, end) if *key == change.key => *end,
            Appended::Key(..) | Appended::Keys => return *self = Appended::Keys,
        };
        let bytes = match &change.value {
            ChangeValue::Bytes(bytes) => bytes.len() as u64,
            ChangeValue::Large { size, .. } => *size,
            ChangeValue::None | ChangeValue::Link(_) => 0,
        };
        let begin = match change.kind {
            ChangeKind::Append => change.offset.unwrap_or(before),
            _ => 0,
        };
        *self = Appended::Key(change.key.clone(), begin.saturating_add(bytes));
    }

    /// The offset to resume with.
    pub(super) fn offset(&self, asked: u64) -> u64 {
        match self {
            Appended::Nothing => asked,
            Appended::Key(_, end) => *end,
            Appended::Keys => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_the_end_of_what_was_handed_out() {
        let mut appended = Appended::default();
        assert_eq!(appended.offset(7), 7);
        let value = |bytes: &'static str| ChangeValue::Bytes(bytes.into());
        let append = |offset| Change {
            offset,
            ..Change::new("k", ChangeKind::Append, value("abc"))
        };
        for (change, end) in [
            (append(Some(7)), 10),
            (append(None), 13),
            (Change::new("k", ChangeKind::Put, value("ab")), 2),
            (append(Some(2)), 5),
            (Change::new("k", ChangeKind::Unlink, ChangeValue::None), 0),
            (Change::new("l", ChangeKind::Put, value("ab")), 0),
        ] {
            appended.handed_out(&change);
            assert_eq!(appended.offset(7), end);
        }
    }
}
