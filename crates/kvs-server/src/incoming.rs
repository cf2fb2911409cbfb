//! From the wire to the engine: validates keys, scopes, positions and transactions. The results do
//! not reference the connection's read buffer, except for large values.

use bytes::Bytes;
use kvs_engine::{
    At, CommitRequest, FollowStart, Mode, Place, Position, Principal, SnapshotRef, Start,
    TransactionId, WatchRequest,
};
use kvs_proto as wire;
use kvs_proto::{COPY_BELOW_BYTES, CommitHead, ErrorCode, PlainCommit, PlainOperation, ScopeKind};
use kvs_tree::{Blobref, Condition, GlobPattern, Key, Operation, Scope, Symlink, Transaction};

use super::failure::Failure;

/// Parses a key.
pub(crate) fn key(text: &str) -> Result<Key, Failure> {
    Ok(Key::parse(text)?)
}

/// Parses a snapshot reference.
pub(crate) fn snapshot(text: &str) -> Result<SnapshotRef, Failure> {
    Ok(text.parse::<SnapshotRef>()?)
}

/// Which state to read, and of which namespace: that of the request, or of the snapshot if the
/// request names none.
pub(crate) fn at(namespace: &str, at: &wire::At) -> Result<(String, At), Failure> {
    let at = match at {
        wire::At::Current => At::Current,
        wire::At::Version(version) => At::Version(*version),
        wire::At::Root(text) => At::Root(blobref(text)?),
        wire::At::Snapshot(text) => {
            let snapshot = snapshot(text)?;
            if !namespace.is_empty() && namespace != snapshot.namespace {
                let message = format!("snapshot {text} is not of namespace {namespace}");
                return Err(Failure::new(ErrorCode::Invalid, message));
            }
            return Ok((snapshot.namespace.to_string(), At::Snapshot(snapshot)));
        }
    };
    Ok((namespace.to_owned(), at))
}

/// Parses a blobref.
pub(crate) fn blobref(text: &str) -> Result<Blobref, Failure> {
    text.parse()
        .map_err(|_| Failure::new(ErrorCode::Invalid, format!("{text:?} is not a blobref")))
}

/// Parses a scope.
pub(crate) fn scope(scope: &wire::Scope) -> Result<Scope, Failure> {
    Ok(match scope.kind {
        ScopeKind::Auto => Scope::parse(&scope.text)?,
        ScopeKind::Key => Scope::Key(key(&scope.text)?),
        ScopeKind::Directory => Scope::Directory(key(&scope.text)?),
        ScopeKind::Glob => Scope::Glob(GlobPattern::parse(&scope.text)?),
    })
}

/// Parses the scopes of a watch or a log.
pub(crate) fn scopes(scopes: &[wire::Scope]) -> Result<Vec<Scope>, Failure> {
    scopes.iter().map(scope).collect()
}

/// Converts a position.
pub(crate) fn position(position: wire::Position) -> Position {
    Position {
        incarnation: position.incarnation,
        version: position.version,
    }
}

/// Where a watch starts.
pub(crate) fn start(start: &wire::Start) -> Start {
    match start {
        wire::Start::Now => Start::Now,
        wire::Start::Initial => Start::Initial,
        wire::Start::Version {
            version,
            incarnation,
        } => Start::Version {
            incarnation: *incarnation,
            version: *version,
        },
    }
}

/// Where a stream of root moves starts.
pub(crate) fn follow_start(asked: &wire::SetRoot) -> Result<FollowStart, Failure> {
    Ok(match &asked.place {
        Some(place) => FollowStart::Behind(place.parse::<Place>()?),
        None => start(&asked.start).into(),
    })
}

/// Which versions a watch delivers, and how.
fn mode(mode: wire::Mode) -> Mode {
    match mode {
        wire::Mode::Every => Mode::Every,
        wire::Mode::Latest => Mode::Latest,
        wire::Mode::Append { offset } => Mode::Append { offset },
        wire::Mode::Unique => Mode::Unique,
    }
}

/// Converts the request for a watch.
pub(crate) fn watch(asked: &wire::Watch) -> Result<WatchRequest, Failure> {
    Ok(WatchRequest {
        mode: mode(asked.mode),
        values: asked.values,
        previous: asked.previous,
        ..WatchRequest::new(scopes(&asked.scopes)?, start(&asked.start))
    })
}

/// Converts a commit of the client with this id.
pub(crate) fn commit(
    caller: Principal,
    client: [u8; 16],
    commit: wire::Commit,
) -> Result<CommitRequest, Failure> {
    let conditions = commit
        .conditions
        .into_iter()
        .map(condition)
        .collect::<Result<_, _>>()?;
    let operations = commit
        .operations
        .into_iter()
        .map(operation)
        .collect::<Result<_, _>>()?;
    Ok(CommitRequest {
        namespace: commit.namespace,
        caller,
        id: TransactionId {
            client,
            number: commit.number,
        },
        acknowledged: commit.acknowledged,
        repeat: commit.repeat.map(position),
        name: commit.name,
        no_merge: commit.no_merge,
        prepared: kvs_engine::Prepared::default(),
        transaction: Transaction {
            conditions,
            operations,
        },
    })
}

/// A commit without conditions and operations, to be settled.
pub(crate) fn without_content(
    caller: Principal,
    client: [u8; 16],
    head: CommitHead<'_>,
) -> CommitRequest {
    CommitRequest {
        namespace: head.namespace.into(),
        caller,
        id: TransactionId {
            client,
            number: head.number,
        },
        acknowledged: head.acknowledged,
        repeat: head.repeat.map(position),
        name: None,
        no_merge: false,
        prepared: kvs_engine::Prepared::default(),
        transaction: Transaction::default(),
    }
}

/// Fast path of [`commit`] for a plain commit, read from the request's bytes; also returns whether
/// the answer carries the root. `None` if the commit is not plain, is malformed, or is too long to
/// copy its values: then it takes the ordinary path.
pub(crate) fn plain_commit(
    caller: Principal,
    client: [u8; 16],
    body: &[u8],
) -> Option<(CommitRequest, bool)> {
    if body.len() >= COPY_BELOW_BYTES {
        return None;
    }
    let commit = PlainCommit::read(body)?;
    let operations = commit.operations(|operation| {
        Some(match operation {
            PlainOperation::Put { key, value } => Operation::Put {
                key: Key::parse(key).ok()?,
                value: Bytes::copy_from_slice(value),
            },
            PlainOperation::Append { key, value } => Operation::Append {
                key: Key::parse(key).ok()?,
                value: Bytes::copy_from_slice(value),
            },
            PlainOperation::Unlink { key } => Operation::Unlink {
                key: Key::parse(key).ok()?,
            },
            PlainOperation::Add { key, delta } => Operation::Add {
                key: Key::parse(key).ok()?,
                delta,
            },
        })
    })?;
    let request = CommitRequest {
        namespace: commit.namespace.into(),
        caller,
        id: TransactionId {
            client,
            number: commit.number,
        },
        acknowledged: commit.acknowledged,
        repeat: None,
        name: None,
        no_merge: false,
        prepared: kvs_engine::Prepared::default(),
        transaction: Transaction {
            conditions: Vec::new(),
            operations,
        },
    };
    Some((request, commit.root))
}

/// Converts a condition.
fn condition(condition: wire::Condition) -> Result<Condition, Failure> {
    Ok(match condition {
        wire::Condition::Absent { key: k } => Condition::Absent { key: key(&k)? },
        wire::Condition::Present { key: k } => Condition::Present { key: key(&k)? },
        wire::Condition::Equals { key: k, value } => Condition::Equals {
            key: key(&k)?,
            value,
        },
        wire::Condition::Unchanged { key: k, since } => Condition::Unchanged {
            key: key(&k)?,
            since,
        },
    })
}

/// Converts an operation.
fn operation(operation: wire::Operation) -> Result<Operation, Failure> {
    Ok(match operation {
        wire::Operation::Put { key: k, value } => Operation::Put {
            key: key(&k)?,
            value,
        },
        // The session inserts the uploaded value later.
        wire::Operation::PutUpload { key: k, .. } => Operation::Put {
            key: key(&k)?,
            value: Bytes::new(),
        },
        wire::Operation::Append { key: k, value } => Operation::Append {
            key: key(&k)?,
            value,
        },
        wire::Operation::Unlink { key: k } => Operation::Unlink { key: key(&k)? },
        wire::Operation::Mkdir { key: k } => Operation::Mkdir { key: key(&k)? },
        wire::Operation::Link {
            key: k,
            target,
            namespace,
        } => {
            let target = key(&target)?.as_str().into();
            Operation::Link {
                key: key(&k)?,
                target: Symlink { namespace, target },
            }
        }
        wire::Operation::Copy { from, to } => Operation::Copy {
            from: key(&from)?,
            to: key(&to)?,
        },
        wire::Operation::Move { from, to } => Operation::Move {
            from: key(&from)?,
            to: key(&to)?,
        },
        wire::Operation::Add { key: k, delta } => Operation::Add {
            key: key(&k)?,
            delta,
        },
        wire::Operation::PutObject { key: k, object } => Operation::PutObject {
            key: key(&k)?,
            object,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "primary@7:sha1-0123456789012345678901234567890123456789";

    #[test]
    fn a_snapshot_names_its_namespace() {
        let wanted = wire::At::Snapshot(REFERENCE.into());
        assert_eq!(at("", &wanted).unwrap().0, "primary");
        assert_eq!(at("primary", &wanted).unwrap().0, "primary");
        assert_eq!(at("other", &wanted).unwrap_err().code, ErrorCode::Invalid);
    }

    #[test]
    fn the_wire_takes_as_much_as_a_transaction_and_a_key_may_have() {
        assert_eq!(
            wire::TRANSACTION_OPERATIONS,
            kvs_tree::TRANSACTION_OPERATIONS
        );
        const { assert!(wire::TEXT_BYTES > kvs_tree::KEY_BYTES) };
    }

    #[test]
    fn a_plain_commit_is_read_in_place_as_any_other_way() {
        let value = |length| Bytes::from(vec![b'x'; length]);
        let put = |key: &str, length| wire::Operation::Put {
            key: key.into(),
            value: value(length),
        };
        let plain = vec![
            put(".a..b", 64),
            wire::Operation::Append {
                key: "c".into(),
                value: value(300),
            },
            wire::Operation::Unlink { key: "d".into() },
            wire::Operation::Add {
                key: "e".into(),
                delta: -70_000,
            },
        ];
        let mkdir = wire::Operation::Mkdir { key: "a".into() };
        for (operations, in_place) in [
            (plain.clone(), true),
            (vec![], true),
            ([plain, vec![mkdir]].concat(), false),
            (vec![put("a", 64), put("", 64)], false),
            (vec![put("a", COPY_BELOW_BYTES)], false),
        ] {
            let request = wire::Commit {
                acknowledged: 2,
                ..wire::Commit::new("primary", 3, operations)
            };
            let body = wire::encode_body(&request).unwrap();
            let read = plain_commit(Principal::Uid(7), [1; 16], &body);
            assert_eq!(read.is_some(), in_place);
            if let Some((read, root)) = read {
                assert!(!root);
                let other = commit(Principal::Uid(7), [1; 16], request).unwrap();
                assert_eq!(format!("{read:?}"), format!("{other:?}"));
            }
        }
    }

    #[test]
    fn a_bad_key_anywhere_refuses_the_commit() {
        let operations = vec![
            wire::Operation::Mkdir { key: "a".into() },
            wire::Operation::Copy {
                from: "a".into(),
                to: "".into(),
            },
        ];
        let request = wire::Commit::new("primary", 1, operations);
        let refused = commit(Principal::Uid(0), [0; 16], request).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Invalid);
    }
}
