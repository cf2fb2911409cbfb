//! Strategies shared by tests of bodies that are encoded by hand.

use bytes::{Bytes, BytesMut};
use kvs_tree::{Blobref, HashAlgorithm};
use proptest::prelude::*;
use serde::Serialize;
use smol_str::SmolStr;
use tokio_util::codec::Decoder;

use crate::{FrameCodec, TEXT_BYTES};

/// Roots, present or absent.
pub(crate) fn roots() -> impl Strategy<Value = Option<Blobref>> {
    proptest::option::of(any::<[u8; 32]>().prop_map(|digest| {
        let algorithm = match digest[0] % 2 {
            0 => HashAlgorithm::Blake3,
            _ => HashAlgorithm::Sha1,
        };
        Blobref::of(algorithm, &digest)
    }))
}

/// Strings within the limits of requests.
pub(crate) fn request_texts() -> impl Strategy<Value = SmolStr> {
    prop_oneof![
        "[a-zä.]{0,40}",
        "[a-z]{200,300}",
        Just("x".repeat(TEXT_BYTES))
    ]
    .prop_map(SmolStr::from)
}

/// Values of lengths around the limits of each encoding.
pub(crate) fn values() -> impl Strategy<Value = Bytes> {
    prop_oneof![0..300_usize, 4000..5000_usize, 65_530..65_540_usize]
        .prop_map(|length| Bytes::from(vec![b'x'; length]))
}

/// The body of the only frame in the buffer.
pub(crate) fn body(mut frames: BytesMut) -> Bytes {
    let peeked = FrameCodec::default().peek(&frames).unwrap();
    let (id, tag, body) = (peeked.id, peeked.tag, peeked.body.to_vec());
    assert_eq!(peeked.bytes, frames.len());
    let frame = FrameCodec::default().decode(&mut frames).unwrap().unwrap();
    assert_eq!((frame.id, frame.tag, &frame.body[..]), (id, tag, &body[..]));
    frame.body
}

/// The body of an answer, with one byte replaced.
pub(crate) fn damaged(answer: &impl Serialize, at: prop::sample::Index, byte: u8) -> Bytes {
    let mut body = rmp_serde::to_vec_named(answer).unwrap();
    let place = at.index(body.len());
    body[place] = byte;
    Bytes::from(body)
}
