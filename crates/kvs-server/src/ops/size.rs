//! Estimates the length of the answer to a request, before any work is done for it.

use kvs_proto::{FRAME_BYTES, PART_BYTES, Request, VALUE_BYTES_A_FRAME};

use super::super::outgoing;

/// Approximate bytes of an answer apart from its content.
const ANSWER_OVERHEAD: usize = 1024;

/// Approximate maximum bytes of the answer to this request; 0 for requests with short answers.
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
