//! The log: a page of versions, their authors, and the keys they touched.

use kvs_engine::{At, ChangeKind, LogEntry};
use kvs_proto as wire;
use kvs_proto::{PAGE_ENTRIES, PART_BYTES};
use kvs_tree::Key;

use super::super::{failure::Failure, incoming, outgoing};
use super::answer::{Answer, Context};

/// Approximate bytes of a changed key on the wire, apart from its name.
const CHANGE_BYTES: usize = 24;

/// Approximate bytes of a transaction on the wire.
const TRANSACTION_BYTES: usize = 96;

pub(super) async fn log(context: &Context, asked: wire::Log) -> Result<Answer, Failure> {
    let scopes = incoming::scopes(&asked.scopes)?;
    let limit = match asked.limit {
        0 => PAGE_ENTRIES,
        limit => limit.min(PAGE_ENTRIES),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let Context { shared, caller } = context;
    let newest = shared
        .engine
        .view(*caller, &asked.namespace, At::Current)
        .await?
        .position();
    let to = asked.to.unwrap_or(newest.version);
    let page = shared
        .engine
        .log(*caller, &asked.namespace, asked.from, to, &scopes, limit)
        .await?;
    let (mut versions, mut next, mut bytes) = (Vec::new(), page.next, 0);
    for entry in page.entries {
        if bytes > PART_BYTES {
            next = Some(entry.position.version);
            break;
        }
        let version = version(entry);
        bytes += version
            .changes
            .iter()
            .map(|c| c.key.len() + CHANGE_BYTES)
            .sum::<usize>();
        bytes += version.transactions.len() * TRANSACTION_BYTES;
        versions.push(version);
    }
    Ok(Answer::Log(wire::LogAnswer {
        versions,
        next,
        oldest: page.oldest,
        newest: newest.version,
    }))
}

/// Encodes a version.
fn version(version: LogEntry) -> wire::LogVersion {
    let change = |(key, kind): &(Key, ChangeKind)| {
        wire::LogChange::new(key.as_str(), outgoing::change_kind(*kind))
    };
    wire::LogVersion {
        position: outgoing::position(version.position),
        root: outgoing::text(version.root),
        time_ms: version.time_ms,
        transactions: version
            .transactions
            .iter()
            .map(outgoing::transaction)
            .collect(),
        changes: version.keys.iter().map(change).collect(),
        more: version.more,
    }
}
