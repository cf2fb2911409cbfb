//! Fast path for lookups of small current values, from request bytes to answer bytes, without
//! allocating or waiting. Everything else takes the ordinary path.

use bytes::BytesMut;
use kvs_proto::{BriefLookup, FRAME_BYTES, Op, Peeked, write_found};
use kvs_tree::Key;

use super::super::outgoing;
use super::answer::Context;

/// Answers a request if it is a lookup that can be answered at once; otherwise does nothing.
pub(crate) fn glimpse(context: &Context, request: &Peeked<'_>, out: &mut BytesMut) -> Option<()> {
    if request.tag != Op::Lookup.code() {
        return None;
    }
    let answered = BriefLookup::read(request.body).and_then(|asked| {
        let key = Key::parse(asked.key).ok()?;
        // For a key in another form, the answer must say where it was found.
        if key.as_str() != asked.key {
            return None;
        }
        let limit = outgoing::inline_limit(asked.inline_max);
        let engine = &context.shared.engine;
        engine.glimpse(context.caller, asked.namespace, &key, |seen| {
            if seen.value.len() as u64 > limit {
                return None;
            }
            let position = outgoing::position(seen.position);
            let root = asked.root.then_some(seen.root);
            write_found(out, FRAME_BYTES, request.id, seen.value, position, root).ok()
        })
    });
    answered.flatten()
}
