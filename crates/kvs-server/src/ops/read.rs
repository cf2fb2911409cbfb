//! Operations that read one state: lookup, list, read, info, wait.

use bytes::Bytes;
use kvs_engine::limits::READ_AT_ONCE_BYTES;
use kvs_engine::{Listed, Listing, Located, Position, View, visits_of_bytes};
use kvs_proto as wire;
use kvs_proto::{ErrorCode, PAGE_ENTRIES, PART_BYTES, VALUE_BYTES_A_FRAME};
use kvs_tree::{Entry, Key};
use smol_str::{SmolStr, ToSmolStr};

use super::super::{failure::Failure, incoming, outgoing};
use super::answer::{Answer, Context};

/// Approximate bytes of a list entry on the wire, apart from its key and value.
const ENTRY_BYTES: usize = 48;

/// Opens the state that a request names.
pub(super) async fn view(
    context: &Context,
    namespace: &str,
    at: &wire::At,
) -> Result<View, Failure> {
    let (namespace, at) = incoming::at(namespace, at)?;
    Ok(context
        .shared
        .engine
        .view(context.caller, &namespace, at)
        .await?)
}

/// Identifies the state that was read.
pub(super) struct Read {
    pub(super) namespace: SmolStr,
    pub(super) position: wire::Position,
    pub(super) root: SmolStr,
    pub(super) snapshot: SmolStr,
}

impl Read {
    pub(super) fn of(view: &View, at: &wire::At) -> Read {
        let namespace = view.namespace().into();
        let root = outgoing::text(view.root());
        if matches!(at, wire::At::Root(_)) {
            return Read {
                namespace,
                position: position(view, at),
                root,
                snapshot: SmolStr::default(),
            };
        }
        Read {
            namespace,
            position: position(view, at),
            root,
            snapshot: view.snapshot().to_smolstr(),
        }
    }
}

/// Finds the entry at a key; `NotFound` if there is none.
async fn locate(view: &View, key: &Key) -> Result<Located, Failure> {
    let found = view.lookup(key, true).await?;
    found.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("{key}: no such key")))
}

pub(super) async fn lookup(context: &Context, asked: wire::Lookup) -> Result<Answer, Failure> {
    let view = view(context, &asked.namespace, &asked.at).await?;
    let key = incoming::key(&asked.key)?;
    let answer = match view.lookup(&key, asked.follow).await? {
        None => wire::LookupAnswer {
            position: position(&view, &asked.at),
            entry: None,
            root: asked.root.then_some(view.root()),
            place: place(&asked, &view, &key),
            treeobj: None,
        },
        Some(Located { entry, key, view }) => {
            let limit = outgoing::inline_limit(asked.inline_max);
            let mut shown = outgoing::entry(&view, &entry, limit).await?;
            if let (wire::Entry::Directory(info), Entry::Directory(directory)) =
                (&mut shown, &entry)
            {
                info.names = Some(view.count(directory).await?);
            }
            let treeobj = if asked.treeobj {
                Some(view.tree_object(&entry).await?)
            } else {
                None
            };
            // A client that reads it by ranges does so in this state.
            let is_long = matches!(&shown, wire::Entry::Value(value) if value.bytes.is_none());
            wire::LookupAnswer {
                position: position(&view, &asked.at),
                entry: Some(shown),
                root: (asked.root || is_long).then_some(view.root()),
                place: place(&asked, &view, &key),
                treeobj,
            }
        }
    };
    Ok(Answer::Lookup(Box::new(answer)))
}

/// The position that was read; a bare root has none.
fn position(view: &View, at: &wire::At) -> wire::Position {
    match at {
        wire::At::Root(_) => wire::Position {
            incarnation: 0,
            version: 0,
        },
        _ => outgoing::position(view.position()),
    }
}

/// Where a lookup ended, if not where the request says.
fn place(asked: &wire::Lookup, view: &View, key: &Key) -> Option<wire::FoundAt> {
    let (namespace, key) = (view.namespace(), key.as_str());
    let is_there = (namespace, key) == (asked.namespace.as_str(), asked.key.as_str());
    (!is_there).then(|| wire::FoundAt {
        namespace: namespace.into(),
        key: key.into(),
    })
}

pub(super) async fn list(context: &Context, asked: wire::List) -> Result<Answer, Failure> {
    let view = view(context, &asked.namespace, &asked.at).await?;
    let located = locate(&view, &incoming::key(&asked.key)?).await?;
    if !matches!(located.entry, Entry::Directory(_)) {
        let message = format!("{}: not a directory", asked.key);
        return Err(Failure::new(ErrorCode::NotDirectory, message));
    }
    let Located { key, view, .. } = located;
    let after = asked.after.as_deref().map(incoming::key).transpose()?;
    let scope = asked.scope.as_ref().map(incoming::scope).transpose()?;
    let most = match asked.limit {
        0 => PAGE_ENTRIES,
        limit => limit.min(PAGE_ENTRIES),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut pace = context.shared.engine.slices().pace(context.caller);
    let listing = Listing {
        dir: &key,
        after: after.as_ref(),
        // One more shows whether more follow.
        limit: most.saturating_add(1),
        recursive: asked.recursive,
        scope: scope.as_ref(),
        bounded: asked.bounded,
    };
    let Listed { entries, next } = view.page(listing, &mut pace).await?;
    let mut next = next.map(|key| SmolStr::new(key.as_str()));

    let limit = outgoing::inline_limit(asked.inline_max);
    let mut shown: Vec<wire::ListEntry> = Vec::with_capacity(entries.len().min(most));
    let mut bytes = 0;
    for (key, entry) in entries {
        if bytes >= PART_BYTES || shown.len() >= most {
            next = shown.last().map(|last| last.key.clone());
            break;
        }
        let entry = outgoing::entry(&view, &entry, limit).await?;
        let size = key.as_str().len() + ENTRY_BYTES + variable_bytes(&entry);
        bytes += size;
        pace.spend(1 + visits_of(size)).await;
        let key = SmolStr::new(key.as_str());
        shown.push(wire::ListEntry::new(key, entry));
    }
    let read = Read::of(&view, &asked.at);
    Ok(Answer::List(Box::new(wire::ListAnswer {
        entries: shown,
        more: next.is_some(),
        next: next.filter(|_| asked.bounded),
        namespace: read.namespace,
        key: key.as_str().into(),
        position: read.position,
        root: read.root,
        snapshot: read.snapshot,
    })))
}

/// Visits that an item of this size in an answer counts as; a long value counts as it is copied.
pub(super) fn visits_of(size: usize) -> usize {
    visits_of_bytes(size.min(READ_AT_ONCE_BYTES))
}

/// The variable-length bytes of an entry.
pub(super) fn variable_bytes(entry: &wire::Entry) -> usize {
    match entry {
        wire::Entry::Value(value) => value.bytes.as_ref().map_or(0, Bytes::len),
        wire::Entry::Link(link) => link.target.len(),
        wire::Entry::Directory(_) => 0,
    }
}

pub(super) async fn read(context: &Context, asked: wire::Read) -> Result<Answer, Failure> {
    let view = view(context, &asked.namespace, &asked.at).await?;
    let Located { entry, view, .. } = locate(&view, &incoming::key(&asked.key)?).await?;
    let value = match entry {
        Entry::Value(value) => value,
        Entry::Directory(_) => {
            let message = format!("{}: is a directory", asked.key);
            return Err(Failure::new(ErrorCode::IsDirectory, message));
        }
        Entry::Symlink(_) => {
            let message = format!("{}: is a symbolic link", asked.key);
            return Err(Failure::new(ErrorCode::Invalid, message));
        }
    };
    let end = asked
        .offset
        .saturating_add(asked.length.min(VALUE_BYTES_A_FRAME));
    let bytes = view.read(&value, asked.offset..end).await?;
    let read = Read::of(&view, &asked.at);
    let position = read.position;
    let answer = wire::ReadAnswer {
        bytes,
        size: value.len(),
        position,
        snapshot: read.snapshot,
    };
    Ok(Answer::Read(answer))
}

pub(super) async fn info(context: &Context, asked: wire::Info) -> Result<Answer, Failure> {
    let view = view(context, &asked.namespace, &asked.at).await?;
    let directory = view.directory();
    let mut counts = outgoing::directory(&directory);
    counts.names = Some(view.count(&directory).await?);
    let read = Read::of(&view, &asked.at);
    Ok(Answer::Info(Box::new(wire::InfoAnswer {
        namespace: read.namespace,
        position: read.position,
        root: read.root,
        snapshot: read.snapshot,
        time_ms: view.time_ms(),
        owner: view.owner().uid(),
        directory: counts,
    })))
}

pub(super) async fn wait(context: &Context, asked: wire::Wait) -> Result<Answer, Failure> {
    let engine = &context.shared.engine;
    let reached: Position = engine
        .wait_version(
            context.caller,
            &asked.namespace,
            asked.version,
            asked.incarnation,
        )
        .await?;
    Ok(Answer::Wait(wire::WaitAnswer {
        position: outgoing::position(reached),
    }))
}
