//! Values: golden names, equal names however they were appended, and the cost of reads and appends.

use super::*;
use crate::hash::HashAlgorithm;
use crate::source::NoSource;
use crate::testing::{MapSource, PARAMS};
use proptest::prelude::*;

fn bytes(len: usize) -> Bytes {
    (0..len)
        .map(|at| (at * 31 + at / 251) as u8)
        .collect::<Vec<u8>>()
        .into()
}

const LENGTHS: [usize; 14] = [
    0,
    1,
    128,
    129,
    4096,
    4097,
    8192,
    65_535,
    65_536,
    65_537,
    1 << 20,
    (1 << 20) + 1,
    (5 << 20) + 12_345,
    // More than one node of chunks: 76 small and middle ones and 52 large ones fill the first.
    (1 << 20) + 60 * 65_536 + 7,
];

#[test]
fn what_was_put_in_comes_out() {
    for len in LENGTHS {
        let value = Value::new(&PARAMS, bytes(len));
        assert_eq!(value.len(), len as u64);
        assert_eq!(
            value.read(&NoSource, 0..u64::MAX).unwrap(),
            bytes(len),
            "{len}"
        );
        assert_eq!(value.inline().is_some(), len <= INLINE_BYTES);
        assert_eq!(value.blobref(&PARAMS).is_none(), len <= INLINE_BYTES);
    }
}

#[test]
fn a_value_begins_with_another_if_appends_could_have_made_it() {
    let new = |bytes: Bytes| Value::new(&PARAMS, bytes);
    let begins = |whole: &Value, part: &Value| whole.begins_with(part, &NoSource, &PARAMS).unwrap();
    let mut lengths = LENGTHS;
    lengths.sort_unstable();
    let longest = lengths[lengths.len() - 1];
    let next = lengths.windows(2).map(|pair| (pair[0], pair[1]));
    for (from, to) in next.chain([(1, longest), (70_000, longest)]) {
        let (part, whole) = (new(bytes(from)), new(bytes(to)));
        assert!(begins(&whole, &part) && begins(&part, &part) && !begins(&part, &whole));
        // Changes one byte: the first, a middle one, the last.
        for at in [0, from / 2, from.saturating_sub(1)] {
            let mut other = bytes(from).to_vec();
            let Some(byte) = other.get_mut(at) else {
                continue;
            };
            *byte ^= 1;
            let other = new(other.into());
            assert!(!begins(&whole, &other), "{from} and {to} at {at}");
        }
    }
}

#[test]
fn what_two_values_share_is_not_read_to_compare_them() {
    let source = MapSource::default();
    let ctx = Ctx {
        source: &NoSource,
        params: &PARAMS,
    };
    let old = Value::new(&PARAMS, bytes((8 << 20) + 5));
    let mut grown = old.clone();
    grown.append(&ctx, &bytes(100_000)).unwrap();
    let (old, grown) = (
        source.write_value(&old, &PARAMS),
        source.write_value(&grown, &PARAMS),
    );
    assert!(source.run(|| grown.begins_with(&old, &source, &PARAMS)));
    let loaded = source.loaded.borrow().len();
    assert!(loaded <= 8, "{loaded} objects were read");
}

#[test]
fn appended_values_are_those_made_at_once() {
    let ctx = Ctx {
        source: &NoSource,
        params: &PARAMS,
    };
    for from in LENGTHS {
        for to in LENGTHS.into_iter().filter(|to| *to >= from) {
            let whole = Value::new(&PARAMS, bytes(to));
            let mut grown = Value::new(&PARAMS, bytes(from));
            grown.append(&ctx, &bytes(to).slice(from..)).unwrap();
            assert!(grown.same(&whole, &PARAMS), "{from} to {to}");
            assert_eq!(grown.len(), to as u64);
            assert_eq!(grown.read(&NoSource, 0..u64::MAX).unwrap(), bytes(to));
        }
    }
}

#[test]
fn the_value_before_an_append_stays_as_it_was() {
    let ctx = Ctx {
        source: &NoSource,
        params: &PARAMS,
    };
    for len in [100, 200, 5000, 70_000] {
        let mut one = Value::new(&PARAMS, bytes(len));
        one.append(&ctx, &"a".into()).unwrap();
        let before = one.clone();
        let mut two = one.clone();
        one.append(&ctx, &"b".into()).unwrap();
        two.append(&ctx, &"c".into()).unwrap();
        let text = |value: &Value| value.read(&NoSource, len as u64..u64::MAX).unwrap();
        assert_eq!(
            (&text(&before)[..], &text(&one)[..], &text(&two)[..]),
            (&b"a"[..], &b"ab"[..], &b"ac"[..])
        );
        for (value, end) in [(&before, "a"), (&one, "ab"), (&two, "ac")] {
            let all = [bytes(len).as_ref(), end.as_bytes()].concat();
            assert!(value.same(&Value::new(&PARAMS, all.into()), &PARAMS));
        }
    }
}

#[test]
fn stored_values_read_and_grow_by_loading_only_what_they_need() {
    let len = (1 << 20) + 60 * 65_536 + 7;
    let source = MapSource::default();
    let ctx = Ctx {
        source: &source,
        params: &PARAMS,
    };
    let stored = source.write_value(&Value::new(&PARAMS, bytes(len)), &PARAMS);
    let ranges = [
        (0, 1),
        (4095, 4097),
        (65_000, 66_000),
        (1 << 20, (1 << 20) + 10),
        (len as u64 - 3, len as u64 + 9),
    ];
    for (start, end) in ranges {
        source.forget();
        let read = source.run(|| stored.read(&source, start..end));
        assert_eq!(
            read,
            bytes(len).slice(start as usize..len.min(end as usize))
        );
        assert!(
            source.loaded.borrow().len() <= 4,
            "two nodes, one or two chunks"
        );
    }
    source.forget();
    let grown = source.run(|| {
        let mut value = stored.clone();
        value.append(&ctx, &bytes(100_000))?;
        Ok(value)
    });
    assert_eq!(
        source.loaded.borrow().len(),
        3,
        "two nodes and the last chunk"
    );
    let whole = Value::new(&PARAMS, [bytes(len), bytes(100_000)].concat().into());
    assert!(grown.same(&whole, &PARAMS));
    let names = source.run(|| source.write_value(&grown, &PARAMS).blobs(&source, &PARAMS));
    assert_eq!(names, whole.blobs(&NoSource, &PARAMS).unwrap());
    let parts: Vec<Bytes> = names
        .iter()
        .map(|name| source.written.borrow()[name].1.clone())
        .collect();
    assert_eq!(parts.concat(), [bytes(len), bytes(100_000)].concat());
}

#[test]
fn a_value_longer_than_the_limit_is_refused() {
    let ctx = Ctx {
        source: &NoSource,
        params: &PARAMS,
    };
    let mut value = Value::stored(VALUE_BYTES, Blobref::of(HashAlgorithm::Blake3, b""));
    let refused = value.append(&ctx, &"x".into());
    assert!(matches!(
        refused,
        Err(Fault::Tree(TreeError {
            kind: TreeErrorKind::TooBig,
            ..
        }))
    ));
}

#[test]
fn golden_names_of_values() {
    let sha1 = StoreParams {
        algorithm: HashAlgorithm::Sha1,
        ..PARAMS
    };
    for (len, blake, sha) in [
        (
            129,
            "32d452c5e7a34ab71601294833f2fd8599a9a86a0495eb746bd9ebc38363c7ec",
            "d4a7937efd00475d6c2bfc4ba13f15656d390e4b",
        ),
        (
            4096,
            "46d001237ecbc8c7effddc0da43af6eacc45990687c933e5316bc0143ff0ee56",
            "a570e68cbade40a4a12c8e59aa78eb64cae17d5b",
        ),
        (
            4097,
            "7a7ac38d6c6b8da15536310931beb400e65be71f0323db82c7fcfa12e835f82b",
            "d1624af5829506807efecb4304c4571c3141e036",
        ),
        (
            1 << 20,
            "7930001adf2589dc14ad472a1ed1225340f7234d11edb2d7cae7ed7c9eceaeb0",
            "149d4b9b158afc4b878bbb72a092265fc60f311d",
        ),
        (
            (1 << 20) + 60 * 65_536 + 7,
            "003586514c7e18aabbcb7c5e3814b64d1c8f130f05fad2f44da6c67d469c646e",
            "459d674e4d5b314f34c9af2c2c253776bb3ed556",
        ),
    ] {
        let name = |params| {
            Value::new(params, bytes(len))
                .blobref(params)
                .unwrap()
                .to_string()
        };
        assert_eq!(
            (name(&PARAMS), name(&sha1)),
            (format!("blake3-{blake}"), format!("sha1-{sha}")),
            "{len}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_appends_arrive_at_the_same_name(
        lens in prop::collection::vec(prop_oneof![0usize..50, 0usize..6000, 0usize..100_000], 0..12),
        store in prop::collection::vec(any::<bool>(), 12),
        start in any::<u64>(),
        part in 0u64..70_000,
    ) {
        let all = bytes(lens.iter().sum());
        let source = MapSource::default();
        let ctx = Ctx { source: &source, params: &PARAMS };
        let mut value = Value::new(&PARAMS, Bytes::new());
        let mut at = 0;
        for (len, store) in lens.iter().zip(store) {
            value = source.run(|| {
                let mut value = value.clone();
                value.append(&ctx, &all.slice(at..at + len))?;
                Ok(value)
            });
            at += len;
            if store {
                source.forget();
                value = source.write_value(&value, &PARAMS);
            }
        }
        prop_assert!(value.same(&Value::new(&PARAMS, all.clone()), &PARAMS));
        let start = start % (all.len() as u64 + 1);
        let end = (start + part).min(all.len() as u64);
        let read = source.run(|| value.read(&source, start..end));
        prop_assert_eq!(read, all.slice(start as usize..end as usize));
    }
}
