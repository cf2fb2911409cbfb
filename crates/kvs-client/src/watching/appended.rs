//! How far a growing value was handed out, for mode `append`.

use kvs_proto::{Change, ChangeKind, ChangeValue, Scope, ScopeKind};
use smol_str::SmolStr;

/// The end of what was handed out of the one key that is watched.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// That key; none for a pattern, for several scopes, and for all keys: there is no one offset
    /// then.
    key: Option<SmolStr>,
    /// How many bytes of it were handed out, once anything was.
    end: Option<u64>,
    /// How many of those with versions that are complete.
    complete: Option<u64>,
}

/// The key that the scopes name, in its normal form, if they name one and nothing else.
fn one_key(scopes: &[Scope]) -> Option<SmolStr> {
    let [scope] = scopes else { return None };
    let is_key = match scope.kind {
        ScopeKind::Key | ScopeKind::Directory => true,
        ScopeKind::Auto => !scope.text.contains(['*', '?', '[']),
        ScopeKind::Glob => false,
    };
    let names: Vec<&str> = scope.text.split('.').filter(|n| !n.is_empty()).collect();
    (is_key && !names.is_empty()).then(|| names.join(".").into())
}

impl Appended {
    /// Of a watch of these scopes, of which nothing was handed out.
    pub(super) fn new(scopes: &[Scope]) -> Self {
        Self {
            key: one_key(scopes),
            end: None,
            complete: None,
        }
    }

    /// A change is handed out. Those below the key do not count: it is a directory then.
    pub(super) fn handed_out(&mut self, change: &Change) {
        if self.key.as_ref() != Some(&change.key) {
            return;
        }
        let bytes = match &change.value {
            ChangeValue::Bytes(bytes) => bytes.len() as u64,
            ChangeValue::Large { size, .. } => *size,
            ChangeValue::None | ChangeValue::Link(_) => 0,
        };
        let begin = match change.kind {
            ChangeKind::Append => change.offset.or(self.end).unwrap_or(0),
            _ => 0,
        };
        self.end = Some(begin.saturating_add(bytes));
    }

    /// A whole state is about to be handed out: what is not in it is not there.
    pub(super) fn clear(&mut self) {
        self.end = Some(0);
    }

    /// All that was handed out is of versions that are complete.
    pub(super) fn completed(&mut self) {
        self.complete = self.end;
    }

    /// What was handed out of a version that is not complete will come again.
    pub(super) fn taken_back(&mut self) {
        self.end = self.complete;
    }

    /// The offset to resume with.
    pub(super) fn offset(&self, asked: u64) -> u64 {
        self.end.unwrap_or(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(kind: ScopeKind, text: &str) -> Scope {
        Scope {
            kind,
            text: text.into(),
        }
    }

    #[test]
    fn the_offset_is_the_end_of_what_was_handed_out() {
        let mut appended = Appended::new(&[scope(ScopeKind::Auto, ".a..k.")]);
        assert_eq!(appended.offset(7), 7);
        let value = |bytes: &'static str| ChangeValue::Bytes(bytes.into());
        let append = |offset| {
            let mut append = Change::new("a.k", ChangeKind::Append, value("abc"));
            append.offset = offset;
            append
        };
        for (change, end) in [
            (append(Some(7)), 10),
            (append(None), 13),
            (Change::new("a.k", ChangeKind::Put, value("ab")), 2),
            (append(Some(2)), 5),
            (Change::new("a.k", ChangeKind::Mkdir, ChangeValue::None), 0),
            // Below it, while it is a directory.
            (Change::new("a.k.l", ChangeKind::Put, value("ab")), 0),
            (Change::new("a.k", ChangeKind::Put, value("abcd")), 4),
        ] {
            appended.handed_out(&change);
            assert_eq!(appended.offset(7), end);
        }
        appended.clear();
        assert_eq!(appended.offset(7), 0);
    }

    #[test]
    fn only_a_watch_of_one_key_resumes_with_an_offset() {
        let several = [scope(ScopeKind::Key, "a"), scope(ScopeKind::Key, "b")];
        let glob = [scope(ScopeKind::Auto, "*")];
        let root = [scope(ScopeKind::Directory, ".")];
        for scopes in [&several[..], &glob, &root, &[]] {
            let mut appended = Appended::new(scopes);
            let value = ChangeValue::Bytes("abc".into());
            appended.handed_out(&Change::new("a", ChangeKind::Put, value));
            assert_eq!(appended.offset(0), 0, "{scopes:?}");
        }
    }
}
