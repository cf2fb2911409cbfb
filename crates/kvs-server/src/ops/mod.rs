//! Requests that have one answer: one function an operation, from its message to its answer. The
//! session itself handles commits, watches and credit, whose order and lifetime it owns.

mod answer;
mod size;

mod admin;
mod log;
mod read;

mod glimpse;
mod many;

use kvs_engine::SliceKind;
use kvs_proto::{ErrorCode, Request};

use super::failure::Failure;

pub(crate) use answer::{Answer, Context, write};
pub(crate) use size::answer_bytes;

pub(crate) use glimpse::glimpse;

/// Whether a request changes nothing and waits for no event, so that it is of no use once its
/// client is gone.
pub(crate) fn only_reads(request: &Request) -> bool {
    matches!(
        request,
        Request::Lookup(_)
            | Request::List(_)
            | Request::Read(_)
            | Request::Info(_)
            | Request::LookupMany(_)
            | Request::Nodes(_)
            | Request::Log(_)
            | Request::Pins(_)
            | Request::Namespaces(_)
            | Request::Status(_)
    )
}

/// Performs a request.
pub(crate) async fn perform(context: &Context, request: Request) -> Result<Answer, Failure> {
    let slices = context.shared.engine.slices();
    match request {
        Request::Lookup(lookup) => read::lookup(context, lookup).await,
        Request::List(list) => {
            slices
                .timed(SliceKind::List, read::list(context, list))
                .await
        }
        Request::Read(range) => {
            slices
                .timed(SliceKind::Read, read::read(context, range))
                .await
        }
        Request::Info(info) => read::info(context, info).await,
        Request::LookupMany(keys) => {
            slices
                .timed(SliceKind::LookupMany, many::lookup_many(context, keys))
                .await
        }
        Request::Nodes(way) => {
            slices
                .timed(SliceKind::Nodes, many::nodes(context, way))
                .await
        }
        Request::Wait(wait) => read::wait(context, wait).await,
        Request::Log(page) => slices.timed(SliceKind::Log, log::log(context, page)).await,
        Request::Pin(pin) => admin::pin(context, pin).await,
        Request::Unpin(unpin) => admin::unpin(context, unpin).await,
        Request::Pins(_) => admin::pins(context).await,
        Request::NamespaceCreate(create) => admin::namespace_create(context, create).await,
        Request::NamespaceRemove(remove) => admin::namespace_remove(context, remove).await,
        Request::NamespaceShare(share) => admin::namespace_share(context, share).await,
        Request::NamespaceChown(chown) => admin::namespace_chown(context, chown).await,
        Request::Namespaces(_) => admin::namespaces(context).await,
        Request::Sync(_) => admin::sync(context).await,
        Request::Status(_) => admin::status(context).await,
        Request::Hello(_) => Err(Failure::new(
            ErrorCode::BadRequest,
            "hello was said already",
        )),
        Request::Upload(_)
        | Request::UploadData(_)
        | Request::Commit(_)
        | Request::Watch(_)
        | Request::SetRoot(_)
        | Request::Credit(_)
        | Request::Mark(_)
        | Request::Cancel(_) => Err(Failure::new(
            ErrorCode::BadRequest,
            "not a request with one answer",
        )),
    }
}
