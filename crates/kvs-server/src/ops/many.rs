//! Bulk reads: many keys of one state, and the nodes on the path to a key.

use kvs_engine::{Located, View};
use kvs_proto as wire;
use kvs_proto::{ErrorBody, ErrorCode, PART_BYTES};
use smol_str::SmolStr;

use super::super::{failure::Failure, incoming, outgoing};
use super::answer::{Answer, Context};
use super::read::{Read, variable_bytes, view, visits_of};

/// Approximate bytes of a result on the wire, apart from a value.
const RESULT_BYTES: usize = 64;

pub(super) async fn lookup_many(
    context: &Context,
    asked: wire::LookupMany,
) -> Result<Answer, Failure> {
    let view = view(context, &asked.namespace, &asked.at).await?;
    let limit = outgoing::inline_limit(asked.inline_max);
    let (mut results, mut bytes) = (Vec::with_capacity(asked.keys.len()), 0);
    let mut pace = context.shared.engine.slices().pace(context.caller);
    for key in &asked.keys {
        if bytes >= PART_BYTES {
            break;
        }
        let mut visits = 1;
        let result = match look_up(&view, key, limit, &mut visits).await {
            Ok(Some(entry)) => wire::LookedUp::Found(entry),
            Ok(None) => wire::LookedUp::Absent,
            Err(failure) if concerns_the_key(failure.code) => {
                wire::LookedUp::Failed(ErrorBody::new(failure.code, failure.message))
            }
            Err(failure) => return Err(failure),
        };
        let size = RESULT_BYTES + size_of(&result);
        bytes += size;
        results.push(result);
        pace.spend(visits + visits_of(size)).await;
    }
    let read = Read::of(&view, &asked.at);
    Ok(Answer::LookupMany(wire::LookupManyAnswer {
        results,
        position: read.position,
        root: read.root,
        snapshot: read.snapshot,
    }))
}

async fn look_up(
    view: &View,
    key: &SmolStr,
    limit: u64,
    visits: &mut usize,
) -> Result<Option<wire::Entry>, Failure> {
    let located = view.find(&incoming::key(key)?, true, visits).await?;
    Ok(match located {
        Some(Located { entry, view, .. }) => Some(outgoing::entry(&view, &entry, limit).await?),
        None => None,
    })
}

/// Whether a failure is about one key, not about the daemon.
fn concerns_the_key(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Invalid
            | ErrorCode::LinkLoop
            | ErrorCode::Permission
            | ErrorCode::NoNamespace
            | ErrorCode::TooBig
            | ErrorCode::Limit
    )
}

fn size_of(result: &wire::LookedUp) -> usize {
    match result {
        wire::LookedUp::Found(entry) => variable_bytes(entry),
        wire::LookedUp::Failed(error) => error.message.len(),
        wire::LookedUp::Absent => 0,
    }
}

pub(super) async fn nodes(context: &Context, asked: wire::Nodes) -> Result<Answer, Failure> {
    let view = view(context, &asked.namespace, &asked.at).await?;
    let found = view
        .nodes(&incoming::key(&asked.key)?, asked.have, PART_BYTES)
        .await?;
    let value = match found.value {
        Some(value) if value.len() <= outgoing::inline_limit(asked.inline_max) => {
            Some(view.read(&value, 0..value.len()).await?)
        }
        _ => None,
    };
    let read = Read::of(&view, &asked.at);
    Ok(Answer::Nodes(wire::NodesAnswer {
        nodes: found.nodes,
        more: found.more,
        value,
        position: read.position,
        root: read.root,
        snapshot: read.snapshot,
    }))
}
