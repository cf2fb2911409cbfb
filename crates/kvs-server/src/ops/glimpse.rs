//! Lookups of small current values, from the bytes of the request to those of the answer: nothing
//! is allocated and nothing waited for. Whatever is out of the ordinary takes the way of all
//! requests.

use bytes::BytesMut;
use kvs_engine::Glimpse;
use kvs_proto::{BriefLookup, FRAME_BYTES, Op, Peeked, Position, ReadState, write_found};
use kvs_tree::{Blobref, Key};
use smol_str::{SmolStr, ToSmolStr};

use super::super::outgoing;
use super::answer::Context;

/// The state that a connection was told of last, as answers tell it: making that text takes longer
/// than a lookup, and many answers in a row are of one state.
#[derive(Debug, Default)]
pub(crate) struct Told(Option<State>);

#[derive(Debug)]
struct State {
    namespace: SmolStr,
    position: Position,
    root: Blobref,
    text: ReadState,
}

impl Told {
    /// How answers tell of the state of `seen`.
    fn of(&mut self, seen: &Glimpse<'_>) -> Option<&ReadState> {
        let position = outgoing::position(seen.position);
        let known = self.0.as_ref().is_some_and(|known| {
            known.position == position
                && known.root == *seen.root
                && known.namespace == seen.namespace
        });
        if !known {
            let root = outgoing::text(*seen.root);
            let snapshot = seen.snapshot().to_smolstr();
            self.0 = Some(State {
                namespace: seen.namespace.into(),
                position,
                root: *seen.root,
                text: ReadState::new(seen.namespace, position, &root, &snapshot).ok()?,
            });
        }
        self.0.as_ref().map(|state| &state.text)
    }
}

/// Answers a request if it is a lookup that can be answered at once. If not, nothing was done.
pub(crate) fn glimpse(
    context: &Context,
    told: &mut Told,
    request: &Peeked<'_>,
    out: &mut BytesMut,
) -> Option<()> {
    if request.tag != Op::Lookup.code() {
        return None;
    }
    let answered = BriefLookup::read(request.body).and_then(|asked| {
        let key = Key::parse(asked.key).ok()?;
        let limit = outgoing::inline_limit(asked.inline_max);
        let engine = &context.shared.engine;
        engine.glimpse(context.caller, asked.namespace, &key, |seen| {
            if seen.value.len() as u64 > limit {
                return None;
            }
            let state = told.of(&seen)?;
            write_found(
                out,
                FRAME_BYTES,
                request.id,
                seen.value,
                key.as_str(),
                state,
            )
            .ok()
        })
    });
    answered.flatten()
}
