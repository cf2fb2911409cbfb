//! The log: a page of versions, who made them, and the keys that they touched.

use kvs_proto as wire;
use kvs_proto::PAGE_ENTRIES;

use super::super::{failure::Failure, incoming, outgoing};
use super::{Answer, Context};

pub(super) async fn log(context: &Context, asked: wire::Log) -> Result<Answer, Failure> {
    let scopes = incoming::scopes(&asked.scopes)?;
    let limit = match asked.limit {
        0 => PAGE_ENTRIES,
        limit => limit.min(PAGE_ENTRIES),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = context
        .shared
        .engine
        .log(
            context.caller,
            &asked.namespace,
            asked.from,
            asked.to,
            scopes,
            limit,
        )
        .await?;
    let version = |version: kvs_engine::LogVersion| wire::LogVersion {
        position: outgoing::position(version.position),
        root: outgoing::text(version.root),
        time_ms: version.time_ms,
        transactions: version
            .transactions
            .iter()
            .map(outgoing::transaction)
            .collect(),
        changes: version
            .changes
            .iter()
            .map(|change| wire::LogChange {
                key: change.key.as_str().into(),
                kind: outgoing::change_kind(change.kind),
            })
            .collect(),
    };
    Ok(Answer::Log(wire::LogAnswer {
        versions: page.versions.into_iter().map(version).collect(),
        next: page.next,
        oldest: page.oldest,
        newest: page.newest,
    }))
}
