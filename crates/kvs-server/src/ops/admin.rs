//! Operations that are not about keys: pins, namespaces, sync, status.

use kvs_engine::{At, Principal};
use kvs_proto as wire;
use kvs_proto::ErrorCode;
use smol_str::SmolStr;

use super::super::{failure::Failure, incoming, outgoing, shared::SOFTWARE};
use super::answer::{Answer, Context};

pub(super) async fn pin(context: &Context, asked: wire::Pin) -> Result<Answer, Failure> {
    let snapshot = incoming::snapshot(&asked.snapshot)?;
    let pin = context
        .shared
        .engine
        .pin(context.caller, snapshot, asked.lease_ms)
        .await?;
    Ok(Answer::Pin(wire::PinAnswer {
        pin: outgoing::pin(&pin),
    }))
}

pub(super) async fn unpin(context: &Context, asked: wire::Unpin) -> Result<Answer, Failure> {
    context
        .shared
        .engine
        .unpin(context.caller, asked.id)
        .await?;
    Ok(Answer::Done)
}

pub(super) async fn pins(context: &Context) -> Result<Answer, Failure> {
    let pins = context.shared.engine.pins(context.caller);
    Ok(Answer::Pins(wire::PinsAnswer {
        pins: pins.iter().map(outgoing::pin).collect(),
    }))
}

pub(super) async fn namespace_create(
    context: &Context,
    asked: wire::NamespaceCreate,
) -> Result<Answer, Failure> {
    let Context { shared, caller } = context;
    let from = match (&asked.root, &asked.from) {
        (None, None) => None,
        (Some(root), None) => Some(At::Root(incoming::blobref(root)?)),
        (None, Some(snapshot)) => Some(At::Snapshot(incoming::snapshot(snapshot)?)),
        (Some(_), Some(_)) => {
            let message = "a namespace begins with a root or a snapshot, not both";
            return Err(Failure::new(ErrorCode::Invalid, message));
        }
    };
    let engine = &shared.engine;
    match from {
        None => {
            engine
                .create_namespace(*caller, &asked.name, asked.owner.map(Principal::Uid))
                .await?
        }
        Some(from) => {
            engine
                .fork_namespace(*caller, &asked.name, asked.owner.map(Principal::Uid), from)
                .await?;
        }
    }
    // It may have been removed already; then that is the answer.
    let made = engine.namespace(*caller, &asked.name)?;
    Ok(Answer::Namespace(namespace(made)))
}

pub(super) async fn namespace_remove(
    context: &Context,
    asked: wire::NamespaceRemove,
) -> Result<Answer, Failure> {
    context
        .shared
        .engine
        .remove_namespace(context.caller, &asked.name)
        .await?;
    Ok(Answer::Done)
}

pub(super) async fn namespace_share(
    context: &Context,
    asked: wire::NamespaceShare,
) -> Result<Answer, Failure> {
    let Context { shared, caller } = context;
    shared
        .engine
        .share_namespace(*caller, &asked.name, Principal::Uid(asked.uid), asked.read)
        .await?;
    Ok(Answer::Done)
}

pub(super) async fn namespace_chown(
    context: &Context,
    asked: wire::NamespaceChown,
) -> Result<Answer, Failure> {
    let Context { shared, caller } = context;
    shared
        .engine
        .chown_namespace(*caller, &asked.name, Principal::Uid(asked.owner))
        .await?;
    Ok(Answer::Done)
}

pub(super) async fn namespaces(context: &Context) -> Result<Answer, Failure> {
    let namespaces = context.shared.engine.namespaces(context.caller);
    let namespaces = namespaces.into_iter().map(namespace).collect();
    Ok(Answer::Namespaces(wire::NamespacesAnswer { namespaces }))
}

/// Encodes a namespace.
fn namespace(info: kvs_engine::NamespaceInfo) -> wire::NamespaceInfo {
    wire::NamespaceInfo {
        name: info.name,
        owner: info.owner.uid(),
        flags: info.flags,
        position: outgoing::position(info.position),
        readers: info.readers.iter().map(|reader| reader.uid()).collect(),
    }
}

pub(super) async fn sync(context: &Context) -> Result<Answer, Failure> {
    context.shared.engine.sync(context.caller).await?;
    Ok(Answer::Done)
}

pub(super) async fn status(context: &Context) -> Result<Answer, Failure> {
    let mut answer = wire::StatusAnswer::default();
    for (name, count) in context.shared.counters() {
        answer.counters.insert(name, count);
    }
    answer
        .texts
        .insert(SmolStr::new_static("software"), SOFTWARE.to_owned());
    Ok(Answer::Status(answer))
}
