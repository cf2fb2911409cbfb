//! A complete get: from the request frame to the answer frame as in a session of the daemon, and
//! from there to the result of the client library.

use std::hint::black_box;

use anyhow::Context;
use bytes::{Buf, BytesMut};
use kvs_proto::{
    At, BriefLookup, FRAME_BYTES, FrameCodec, Lookup, LookupAnswer, Status, write_answer,
    write_found, write_request,
};
use kvs_tree::{Key, NoSource, try_get_inline};
use tokio_util::codec::Decoder;

use super::codec::{NUMBER, found, position};
use super::tree::tree;

/// Gets a value three levels deep.
pub(crate) fn get(rounds: u64) -> anyhow::Result<()> {
    answer("lwj.17.state", rounds)
}

/// Gets a value in a directory of 1,000.
pub(crate) fn get_wide(rounds: u64) -> anyhow::Result<()> {
    answer("bench.key500", rounds)
}

/// Decodes the answer in the client library.
pub(crate) fn got(rounds: u64) -> anyhow::Result<()> {
    let mut frame = BytesMut::new();
    write_answer(&mut frame, FRAME_BYTES, NUMBER, Status::Final, &found())?;
    let (mut codec, mut input) = (FrameCodec::default(), BytesMut::with_capacity(1 << 20));
    for _ in 0..rounds {
        input.extend_from_slice(&frame);
        if let Some(frame) = codec.decode(&mut input)? {
            black_box(LookupAnswer::decode(&frame.body)?);
        }
    }
    Ok(())
}

fn answer(key: &str, rounds: u64) -> anyhow::Result<()> {
    let tree = tree()?;
    let lookup = Lookup {
        namespace: "primary".into(),
        key: key.into(),
        at: At::Current,
        follow: true,
        treeobj: false,
        root: false,
        inline_max: None,
    };
    let mut frame = BytesMut::new();
    write_request(&mut frame, FRAME_BYTES, NUMBER, &lookup.into())?;
    let codec = FrameCodec::default();
    let (mut input, mut out) = (BytesMut::new(), BytesMut::with_capacity(4096));
    for _ in 0..rounds {
        input.extend_from_slice(&frame);
        let request = codec.peek(black_box(&input)).context("no frame")?;
        let asked = BriefLookup::read(request.body).context("no ordinary lookup")?;
        let key = Key::parse(asked.key)?;
        let written = try_get_inline(&tree, &NoSource, &key, |value| {
            let value = value.in_place()?;
            write_found(&mut out, FRAME_BYTES, request.id, value, position(), None).ok()
        })?;
        written.flatten().context("no small value")?;
        let bytes = request.bytes;
        input.advance(bytes);
        black_box(&out);
        out.clear();
    }
    Ok(())
}
