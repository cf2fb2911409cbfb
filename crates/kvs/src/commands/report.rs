//! From what the daemon tells of versions to what is printed of them. Values too long for a stream
//! are fetched, from the state that the event is about.

use anyhow::Result;
use kvs_client::{
    At, Behind, Change, ChangeKind, ChangeValue, Changes, Client, Gap, Initial, LogVersion,
    TransactionInfo,
};
use serde_json::json;

use super::failure::About as _;
use super::value::{Place, appended, link_text, part};
use crate::output::{Before, ChangeReport, Elsewhere, VersionReport, Who};

/// The report of the state that a watch begins with.
pub(super) async fn initial(
    client: &Client,
    namespace: &str,
    state: &Initial,
) -> Result<VersionReport> {
    let changes = values(
        client,
        namespace,
        state.position.version,
        &state.snapshot,
        &state.entries,
    )
    .await?;
    Ok(VersionReport {
        namespace: namespace.to_owned(),
        version: state.position.version,
        root: state.root.to_string(),
        time: Some(state.time),
        initial: true,
        differences: state.differences,
        skipped: 0,
        behind: None,
        who: Vec::new(),
        changes,
    })
}

/// The report of a version.
pub(super) async fn changes(
    client: &Client,
    namespace: &str,
    version: &Changes,
) -> Result<VersionReport> {
    let changes = values(
        client,
        namespace,
        version.position.version,
        &version.snapshot,
        &version.changes,
    )
    .await?;
    Ok(VersionReport {
        namespace: namespace.to_owned(),
        version: version.position.version,
        root: version.root.to_string(),
        time: Some(version.time),
        initial: false,
        differences: false,
        skipped: version.skipped,
        behind: version.behind.as_ref().map(elsewhere),
        who: who(&version.transactions),
        changes,
    })
}

fn elsewhere(behind: &Behind) -> Elsewhere {
    Elsewhere {
        namespace: behind.namespace.to_string(),
        version: behind.position.map(|position| position.version),
        snapshot: behind.snapshot.to_string(),
    }
}

/// The report of a version of the log, which tells no values.
pub(super) fn logged(namespace: &str, version: &LogVersion) -> VersionReport {
    let changes = version.changes.iter().map(|change| ChangeReport {
        key: change.key.to_string(),
        kind: change.kind.name(),
        value: None,
        previous: None,
        offset: None,
    });
    VersionReport {
        namespace: namespace.to_owned(),
        version: version.position.version,
        root: version.root.to_string(),
        time: Some(version.time),
        initial: false,
        differences: false,
        skipped: 0,
        behind: None,
        who: who(&version.transactions),
        changes: changes.collect(),
    }
}

/// One line about versions that could not be delivered.
pub(super) fn gap(namespace: &str, gap: &Gap, as_json: bool) -> Result<String> {
    let (from, to) = (gap.from.version, gap.to.version);
    if as_json {
        let hole = json!({ "from": from, "to": to });
        return Ok(
            json!({ "gap": hole, "namespace": namespace, "snapshot": gap.snapshot }).to_string(),
        );
    }
    Ok(format!("gap {from} {to} {}", gap.snapshot))
}

pub(super) fn who(transactions: &[TransactionInfo]) -> Vec<Who> {
    let who = transactions.iter().map(|transaction| Who {
        uid: transaction.uid,
        client: data_encoding::HEXLOWER.encode(&transaction.client),
        number: transaction.number,
        name: transaction.name.as_ref().map(ToString::to_string),
    });
    who.collect()
}

/// What stood at a key before.
fn before(value: &ChangeValue) -> Before {
    match value {
        ChangeValue::None => Before::Nothing,
        ChangeValue::Bytes(bytes) => Before::Value(bytes.to_vec()),
        ChangeValue::Link(link) => Before::Value(link_text(link).into_bytes()),
        ChangeValue::Large { size, .. } => Before::Long(*size),
    }
}

async fn values(
    client: &Client,
    namespace: &str,
    version: u64,
    snapshot: &str,
    changes: &[Change],
) -> Result<Vec<ChangeReport>> {
    let mut reports = Vec::with_capacity(changes.len());
    for change in changes {
        let value = match &change.value {
            ChangeValue::None => None,
            ChangeValue::Bytes(bytes) => Some(bytes.to_vec()),
            ChangeValue::Link(link) => Some(link_text(link).into_bytes()),
            ChangeValue::Large { size, .. } => {
                let place = Place::new(namespace, &change.key, snapshot, &At::Current);
                let fetched = match (change.kind, change.offset) {
                    (ChangeKind::Append, Some(from)) => {
                        part(client, &place, from, *size, from.saturating_add(*size)).await
                    }
                    (ChangeKind::Append, None) => appended(client, &place, version).await,
                    _ => part(client, &place, 0, *size, *size).await,
                };
                Some(fetched.about(&change.key)?.to_vec())
            }
        };
        reports.push(ChangeReport {
            key: change.key.to_string(),
            kind: change.kind.name(),
            value,
            previous: change.previous.as_ref().map(before),
            offset: change.offset,
        });
    }
    Ok(reports)
}
