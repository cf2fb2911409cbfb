//! How long the answer to a request may be, known before anything is done for it.

use kvs_proto::{FRAME_BYTES, PART_BYTES, Request, VALUE_BYTES_A_FRAME};

use super::super::outgoing;

/// What an answer takes beside what it is about, about, in bytes.
const ANSWER_OVERHEAD: usize = 1024;

/// Bytes that the answer to this request has at most, about. 0 for what has a short one.
pub(crate) fn answer_bytes(request: &Request) -> usize {
    let inline = |most| usize::try_from(outgoing::inline_limit(most)).unwrap_or(FRAME_BYTES);
    let page = |most| PART_BYTES + inline(most);
    let bytes = match request {
        Request::Lookup(asked) if asked.treeobj => FRAME_BYTES,
        Request::Lookup(asked) => inline(asked.inline_max),
        Request::Read(asked) => {
            usize::try_from(asked.length.min(VALUE_BYTES_A_FRAME)).unwrap_or(FRAME_BYTES)
        }
        Request::List(asked) => page(asked.inline_max),
        Request::LookupMany(asked) => page(asked.inline_max),
        Request::Nodes(asked) => page(asked.inline_max),
        Request::Log(_) => 2 * PART_BYTES,
        Request::Namespaces(_) | Request::Pins(_) => PART_BYTES,
        _ => return 0,
    };
    bytes + ANSWER_OVERHEAD
}
