//! Looking a key up in what the client has, and asking the daemon for the objects that this lacks.

use crate::cache::{Cache, Found, Sent, Way, look_up, params};
use crate::cache_snapshot::SnapshotState;
use crate::client::Client;
use crate::error::ClientError;
use kvs_proto::{At, ErrorCode, Nodes, NodesAnswer};
use kvs_tree::{Ctx, Entry, Fault, Key, Resolved, path};
use smol_str::SmolStr;

/// What the next request has to be for.
struct Lacking {
    /// So many nodes on the way are here.
    have: u64,
    /// Whether it is the value that is missing, and too long to be kept.
    too_long: bool,
}

/// Finds what stands at a key of a state. Usually the daemon is not asked; a key that is read for
/// the first time costs one request, unless its way is long.
pub(crate) async fn find(
    client: &Client,
    cache: &Cache,
    state: &SnapshotState,
    text: &SmolStr,
) -> Result<(Found, Option<Way>), ClientError> {
    // What is wrong with a key the daemon tells.
    let Ok(key) = Key::parse(text) else {
        return Ok((Found::Ask, None));
    };
    match cache.look_up(&state.directory, &key) {
        Some(found) => Ok(found),
        None => fetch(client, cache, state, &key).await,
    }
}

/// The same, when something is missing.
async fn fetch(
    client: &Client,
    cache: &Cache,
    state: &SnapshotState,
    key: &Key,
) -> Result<(Found, Option<Way>), ClientError> {
    let algorithm = state.root.algorithm();
    let mut sent = Sent::new(cache);
    loop {
        if let Some(found) = look_up(&state.directory, &sent, key) {
            return Ok(found);
        }
        let lacking = lacking(state, &sent, key, cache.longest_value());
        if lacking.too_long {
            return Ok((Found::Ask, None));
        }
        let asked = Nodes {
            namespace: state.namespace.clone(),
            key: key.as_str().into(),
            at: At::Snapshot(state.snapshot.clone()),
            have: lacking.have,
            inline_max: Some(cache.longest_value()),
        };
        let answer: NodesAnswer = match client.call(asked).await {
            Ok(answer) => answer,
            // An older daemon.
            Err(error) if error.code == ErrorCode::UnknownOperation => {
                return Ok((Found::Ask, None));
            }
            Err(error) => return Err(error),
        };
        let before = sent.len();
        for node in &answer.nodes {
            sent.add_node(algorithm, node);
        }
        if let Some(value) = &answer.value {
            sent.add_value(algorithm, value);
        }
        if sent.len() == before {
            return Ok((Found::Ask, None));
        }
    }
}

fn lacking(state: &SnapshotState, sent: &Sent<'_>, key: &Key, longest: u64) -> Lacking {
    let params = params(state.root.algorithm());
    let ctx = Ctx {
        source: sent,
        params: &params,
    };
    let way = path(&state.directory, &ctx, key);
    let too_long = match &way.end {
        Ok(Resolved::Found {
            entry: Entry::Value(value),
            ..
        }) => value.len() > longest,
        Ok(_) | Err(Fault::Tree(_) | Fault::NeedVersion(_)) => true,
        Err(Fault::Missing(_)) => false,
    };
    Lacking {
        have: way.nodes.len() as u64,
        too_long,
    }
}
