//! Every array and string of every request at its limit and one above it, and frames full of items
//! above their limits.

use super::*;
use crate::pack::{array, binary, text};
use crate::*;
use bytes::{Bytes, BytesMut};
use smol_str::SmolStr;

const TEXT: &str = "TEXT";

/// Each request, with one element in each array and `TEXT` in each text.
fn requests() -> Vec<Request> {
    let t = || SmolStr::new_static(TEXT);
    let value = Bytes::from_static(b"v");
    let scope = || Scope {
        kind: ScopeKind::Auto,
        text: t(),
    };
    let lookup = |at| Lookup {
        namespace: t(),
        key: t(),
        at,
        follow: true,
        treeobj: true,
        root: false,
        inline_max: None,
    };
    let commit = |operation, condition| Commit {
        namespace: t(),
        number: 1,
        acknowledged: 1,
        root: false,
        repeat: None,
        name: None,
        no_merge: true,
        conditions: vec![condition],
        operations: vec![operation],
    };
    let absent = || Condition::Absent { key: t() };
    let put = || Operation::Put {
        key: t(),
        value: value.clone(),
    };
    let mut all: Vec<Request> = vec![
        Hello {
            versions: vec![crate::PROTOCOL_VERSION],
            client: [7; 16],
            namespaces: vec![t()],
            software: t(),
        }
        .into(),
        lookup(At::Current).into(),
        lookup(At::Snapshot(t())).into(),
        lookup(At::Root(t())).into(),
        List {
            namespace: t(),
            key: t(),
            at: At::Snapshot(t()),
            after: Some(t()),
            limit: 0,
            recursive: true,
            scope: Some(scope()),
            bounded: true,
            inline_max: None,
        }
        .into(),
        Read {
            namespace: t(),
            key: t(),
            at: At::Root(t()),
            offset: 0,
            length: 1,
        }
        .into(),
        Info {
            namespace: t(),
            at: At::Current,
        }
        .into(),
        Wait {
            namespace: t(),
            version: 1,
            incarnation: None,
        }
        .into(),
        Watch {
            scopes: vec![scope()],
            ..Watch::new(t())
        }
        .into(),
        Credit::default().into(),
        Empty {}.into(),
        Log {
            namespace: t(),
            from: 0,
            to: None,
            scopes: vec![scope()],
            limit: 0,
        }
        .into(),
        Pin {
            snapshot: t(),
            lease_ms: None,
        }
        .into(),
        Unpin { id: 1 }.into(),
        Pins {}.into(),
        NamespaceCreate {
            name: t(),
            owner: None,
            root: Some(t()),
            from: Some(t()),
        }
        .into(),
        NamespaceRemove { name: t() }.into(),
        Namespaces {}.into(),
        Sync {}.into(),
        StatusRequest {}.into(),
        MarkRequest {}.into(),
        SetRoot {
            namespace: Some(t()),
            place: Some(t()),
            ..SetRoot::default()
        }
        .into(),
        NamespaceShare {
            name: t(),
            uid: 1,
            read: true,
        }
        .into(),
        NamespaceChown {
            name: t(),
            owner: 1,
        }
        .into(),
        Upload { namespace: t() }.into(),
        UploadData {
            upload: 1,
            offset: 0,
            bytes: value.clone(),
        }
        .into(),
        LookupMany {
            namespace: t(),
            keys: vec![t()],
            at: At::Snapshot(t()),
            inline_max: None,
        }
        .into(),
        Nodes {
            namespace: t(),
            key: t(),
            at: At::Root(t()),
            have: 0,
            inline_max: None,
        }
        .into(),
    ];
    let operations = [
        put(),
        Operation::PutUpload {
            key: t(),
            upload: 1,
            size: 1,
        },
        Operation::Append {
            key: t(),
            value: value.clone(),
        },
        Operation::Unlink { key: t() },
        Operation::Mkdir { key: t() },
        Operation::Link {
            key: t(),
            target: t(),
            namespace: Some(t()),
        },
        Operation::Copy { from: t(), to: t() },
        Operation::Move { from: t(), to: t() },
        Operation::Add { key: t(), delta: 1 },
        Operation::PutObject {
            key: t(),
            object: value.clone(),
        },
    ];
    let conditions = [
        absent(),
        Condition::Present { key: t() },
        Condition::Equals {
            key: t(),
            value: value.clone(),
        },
        Condition::Unchanged { key: t(), since: 1 },
    ];
    all.extend(operations.map(|operation| commit(operation, absent()).into()));
    all.extend(conditions.map(|condition| commit(put(), condition).into()));
    all
}

fn body(request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    request.write_body(&mut out).unwrap();
    out
}

fn decode(op: Op, body: impl Into<Bytes>) -> Result<Request, ProtocolError> {
    Request::decode(op, &body.into())
}

/// The field, the limit and the code of an error for exceeding a limit.
fn over(result: Result<Request, ProtocolError>) -> Option<(String, usize, ErrorCode)> {
    match result {
        Err(ProtocolError::OverLimit {
            field, limit, code, ..
        }) => Some((field, limit, code)),
        _ => None,
    }
}

fn encoded_text(length: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    text(&mut out, &"x".repeat(length));
    out.to_vec()
}

#[test]
fn every_text_of_every_request_has_a_limit() {
    let requests = requests();
    for op in Op::ALL {
        assert!(requests.iter().any(|request| request.op() == *op), "{op:?}");
    }
    let mut texts = 0;
    for request in &requests {
        let (op, body) = (request.op(), body(request));
        let mark = b"\xa4TEXT";
        let places = (0..body.len()).filter(|at| body[*at..].starts_with(mark));
        for place in places {
            let with = |length| {
                let behind = &body[place + mark.len()..];
                decode(op, [&body[..place], &encoded_text(length), behind].concat())
            };
            assert!(with(TEXT_BYTES).is_ok(), "{request:?} {place}");
            let (field, limit, code) = over(with(TEXT_BYTES + 1)).unwrap();
            assert_eq!((limit, code), (TEXT_BYTES, ErrorCode::Limit), "{field}");
            assert!(!field.is_empty());
            texts += 1;
        }
    }
    assert!(texts > 70, "{texts}");
}

#[test]
fn a_text_that_is_sent_as_bytes_has_the_same_limit() {
    let of = |length| {
        let mut out = BytesMut::from(&b"\x82\xa9namespace\xa1p\xa3key"[..]);
        binary(&mut out, &vec![b'x'; length]);
        decode(Op::Lookup, out)
    };
    assert_eq!(over(of(TEXT_BYTES)), None);
    let refused = over(of(TEXT_BYTES + 1)).unwrap();
    assert_eq!(refused, ("key".to_owned(), TEXT_BYTES, ErrorCode::Limit));
}

#[test]
fn a_transaction_has_a_name_of_limited_length() {
    for (length, fits) in [
        (TRANSACTION_NAME_BYTES, true),
        (TRANSACTION_NAME_BYTES + 1, false),
        (TEXT_BYTES + 1, false),
    ] {
        let commit = Commit {
            namespace: "p".into(),
            number: 1,
            acknowledged: 1,
            root: false,
            repeat: None,
            name: Some("n".repeat(length).into()),
            no_merge: false,
            conditions: Vec::new(),
            operations: Vec::new(),
        };
        let refused = over(decode(Op::Commit, body(&commit.into())));
        let wanted = ("name".to_owned(), TRANSACTION_NAME_BYTES, ErrorCode::TooBig);
        assert_eq!(refused, (!fits).then_some(wanted));
    }
}

/// The body of a request, with the only element of an array repeated `count` times.
fn repeated(request: &Request, field: &str, count: usize) -> Vec<u8> {
    let body = body(request);
    let name = [&[0xa0 | field.len() as u8], field.as_bytes(), &[0x91]].concat();
    let at = (0..body.len())
        .find(|at| body[*at..].starts_with(&name))
        .unwrap();
    let (before, element) = body.split_at(at + name.len());
    let mut walk = Walk::new("", element);
    let head = walk.head().unwrap();
    walk.content("", head, 0).unwrap();
    let (element, behind) = element.split_at(element.len() - walk.rest.0.len());
    let mut out = BytesMut::from(&before[..before.len() - 1]);
    array(&mut out, count);
    out.extend_from_slice(&element.repeat(count));
    out.extend_from_slice(behind);
    out.to_vec()
}

#[test]
fn every_array_of_every_request_has_a_limit() {
    for request in requests() {
        let (op, body) = (request.op(), body(&request));
        let mut walk = Walk::new(op.name(), &body);
        let Head::Map(fields) = walk.head().unwrap() else {
            panic!("no map");
        };
        for _ in 0..fields {
            let Head::Text(length) = walk.head().unwrap() else {
                panic!("no field");
            };
            let field = walk.text("", length, TEXT_BYTES, ErrorCode::Limit).unwrap();
            let head = walk.head().unwrap();
            walk.content(field, head, 0).unwrap();
            if !matches!(head, Head::Array(_)) {
                continue;
            }
            let most = most_elements(op.name(), field).unwrap();
            assert!(decode(op, repeated(&request, field, most)).is_ok());
            let refused = over(decode(op, repeated(&request, field, most + 1))).unwrap();
            assert_eq!(refused, (field.to_owned(), most, ErrorCode::Limit));
        }
    }
}

#[test]
fn the_largest_transaction_is_within_all_limits() {
    let link = Operation::Link {
        key: "a".into(),
        target: "b".into(),
        namespace: Some("n".into()),
    };
    let equals = Condition::Equals {
        key: "a".into(),
        value: Bytes::from_static(b"v"),
    };
    let commit = |operations, conditions| -> Request {
        Commit {
            namespace: "p".into(),
            number: 1,
            acknowledged: 1,
            root: false,
            repeat: None,
            name: None,
            no_merge: false,
            conditions: vec![equals.clone(); conditions],
            operations: vec![link.clone(); operations],
        }
        .into()
    };
    let most = TRANSACTION_OPERATIONS;
    assert!(decode(Op::Commit, body(&commit(most, most))).is_ok());
    let mut out = BytesMut::new();
    for (operations, conditions) in [(most + 1, 0), (0, most + 1)] {
        let request = commit(operations, conditions);
        assert!(over(decode(Op::Commit, body(&request))).is_some());
        // The sender gets the error before anything is written.
        let refused = write_request(&mut out, FRAME_BYTES, 1, &request);
        assert!(matches!(refused, Err(ProtocolError::OverLimit { .. })));
        assert!(out.is_empty());
    }
    assert!(write_request(&mut out, FRAME_BYTES, 1, &commit(most, most)).is_ok());
}

#[test]
fn values_are_as_long_as_a_frame() {
    let value = Bytes::from(vec![0x91; FRAME_BYTES - 1024]);
    let operations = vec![
        Operation::Put {
            key: "a".into(),
            value: value.clone(),
        },
        Operation::PutObject {
            key: "a".into(),
            object: value.clone(),
        },
    ];
    for operation in operations {
        let commit = Commit {
            namespace: "p".into(),
            number: 1,
            acknowledged: 1,
            root: false,
            repeat: None,
            name: None,
            no_merge: true,
            conditions: Vec::new(),
            operations: vec![operation],
        };
        assert!(decode(Op::Commit, body(&commit.into())).is_ok());
    }
    let data = UploadData {
        upload: 1,
        offset: 0,
        bytes: value,
    };
    assert!(decode(Op::UploadData, body(&data.into())).is_ok());
}

/// A body of one field, as long as a frame may be: `begin` is the start of its content, `element`
/// fills the rest.
fn full(field: &str, begin: &[u8], element: &[u8]) -> Vec<u8> {
    let mut out = vec![0x81, 0xa0 | field.len() as u8];
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(begin);
    let count = (FRAME_BYTES - out.len()) / element.len();
    out.extend(element.repeat(count));
    out
}

#[test]
fn a_frame_full_of_elements_is_refused_where_their_limit_is_passed() {
    let many = (FRAME_BYTES as u32 - 64).to_be_bytes();
    let lie = u32::MAX.to_be_bytes();
    let arrays = ARRAYS.iter().map(|row| (row.0, row.1));
    let unknown = ["hello", "commit", "info"].map(|what| (what, "unknown"));
    for (what, field) in arrays.chain(unknown) {
        for head in [0xdd, 0xdf] {
            for count in [many, lie] {
                for element in [0xa0, 0x90] {
                    let body = full(field, &[&[head], &count[..]].concat(), &[element]);
                    let mut walk = Walk::new(what, &body);
                    let refused = walk.fields(|_, _| ());
                    assert!(
                        matches!(refused, Err(ProtocolError::OverLimit { .. })),
                        "{what} {field}: {refused:?}"
                    );
                    let visited = body.len() - walk.rest.0.len();
                    assert!(visited < 64, "{what} {field}: {visited}");
                }
            }
        }
    }
}

#[test]
fn nested_elements_count_together_and_long_texts_are_not_read() {
    // Arrays of 15 in an array of the maximum length.
    let most = (BODY_ITEMS as u32 / 2).to_be_bytes();
    let nested = [&[0x9f][..], &[0xc0; 15]].concat();
    for (begin, element) in [
        ([&[0xdd], &most[..]].concat(), nested),
        ([&[0xdf], &most[..]].concat(), vec![0xa0, 0x91, 0xc0]),
    ] {
        let body = full("unknown", &begin, &element);
        let mut walk = Walk::new("info", &body);
        let Err(ProtocolError::OverLimit { field, limit, .. }) = walk.fields(|_, _| ()) else {
            panic!("not refused");
        };
        assert_eq!((&field[..], limit), ("body", BODY_ITEMS));
        assert!(body.len() - walk.rest.0.len() <= 64 + 2 * BODY_ITEMS);
    }
    let long = (FRAME_BYTES as u32 - 64).to_be_bytes();
    for head in [0xdb, 0xc6] {
        let body = full("unknown", &[&[head], &long[..]].concat(), b"x");
        let mut walk = Walk::new("info", &body);
        assert!(matches!(
            walk.fields(|_, _| ()),
            Err(ProtocolError::OverLimit { .. })
        ));
        assert!(body.len() - walk.rest.0.len() < 64);
    }
}

#[test]
fn unknown_fields_within_the_limits_are_ignored() {
    let mut out = vec![0x82, 0xa2, b'i', b'd', 5, 0xa1, b'x', 0xdc, 0x03, 0xe8];
    let item = b"\x82\xa1k\xc4\x01b\x01\xd6\x01abcd";
    out.extend(item.repeat(1000));
    assert_eq!(decode(Op::Unpin, out), Ok(Unpin { id: 5 }.into()));
}

#[test]
fn long_bodies_are_maps_of_named_fields() {
    let filler = [0xc0; ALWAYS_WITHIN];
    let unnamed = [&b"\x81\x07\xdc\x00\xff"[..], &filler].concat();
    let list = [&b"\xdc\x00\xff"[..], &filler].concat();
    let cut = [&b"\x81\xa1x\xdc\x01\x00"[..], &filler].concat();
    let none = [&b"\x81\xa1x\xdc\x00\xff\xc1"[..], &filler].concat();
    for body in [unnamed, list, cut, none] {
        let refused = decode(Op::Commit, body);
        assert!(
            matches!(refused, Err(ProtocolError::Body { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn what_is_read_by_hand_has_the_same_limits() {
    for (length, fits) in [(TEXT_BYTES, true), (TEXT_BYTES + 1, false)] {
        let long = "x".repeat(length);
        let lookup = |namespace: &str, key: &str| -> Request {
            Lookup {
                namespace: namespace.into(),
                key: key.into(),
                at: At::Current,
                follow: true,
                treeobj: false,
                root: false,
                inline_max: None,
            }
            .into()
        };
        for request in [lookup("p", &long), lookup(&long, "k")] {
            let body = body(&request);
            assert_eq!(BriefLookup::read(&body).is_some(), fits);
            assert_eq!(over(decode(Op::Lookup, body)).is_none(), fits);
        }
        let key = SmolStr::new(&long);
        for (namespace, operation) in [
            (&long[..], Operation::Unlink { key: "a".into() }),
            ("p", Operation::Unlink { key: key.clone() }),
            (
                "p",
                Operation::Add {
                    key: key.clone(),
                    delta: 1,
                },
            ),
            (
                "p",
                Operation::Put {
                    key: key.clone(),
                    value: Bytes::new(),
                },
            ),
            (
                "p",
                Operation::Append {
                    key,
                    value: Bytes::new(),
                },
            ),
        ] {
            let commit = Commit {
                namespace: namespace.into(),
                number: 1,
                acknowledged: 1,
                root: false,
                repeat: None,
                name: None,
                no_merge: false,
                conditions: Vec::new(),
                operations: vec![operation],
            };
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &commit.into()).unwrap();
            let body = crate::testing::body(out);
            let read = PlainCommit::read(&body).and_then(|plain| plain.operations(|_| Some(())));
            assert_eq!(read.is_some(), fits);
            assert_eq!(over(decode(Op::Commit, body)).is_none(), fits);
        }
    }
}
