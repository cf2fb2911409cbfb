//! Properties of the codec, and the golden frames of RFC 0005.

use crate::*;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use smol_str::SmolStr;
use tokio_util::codec::Decoder;

const RFC: &str = include_str!("../../../rfcs/0005-wire-protocol.md");

fn request(id: u64, request: impl Into<Request>) -> BytesMut {
    let mut out = BytesMut::new();
    write_request(&mut out, FRAME_BYTES, id, &request.into()).unwrap();
    out
}

fn answer<T: serde::Serialize>(id: u64, status: Status, body: &T) -> BytesMut {
    let mut out = BytesMut::new();
    write_answer(&mut out, FRAME_BYTES, id, status, body).unwrap();
    out
}

fn position() -> Position {
    Position {
        incarnation: 7,
        version: 42,
    }
}

/// Incarnations are random, versions rise by one.
const REALISTIC: Position = Position {
    incarnation: 0x9e37_79b9_7f4a_7c15,
    version: 1 << 20,
};

fn root() -> SmolStr {
    SmolStr::new(format!("blake3-{}", "ab".repeat(32)))
}

fn snapshot() -> SmolStr {
    SmolStr::new(format!("primary@42:{}", root()))
}

fn commit() -> Commit {
    Commit {
        namespace: "primary".into(),
        number: 3,
        acknowledged: 2,
        root: false,
        repeat: None,
        name: None,
        no_merge: false,
        conditions: vec![Condition::Absent { key: "a.b".into() }],
        operations: vec![
            Operation::Put {
                key: "a.b".into(),
                value: Bytes::from_static(b"hi"),
            },
            Operation::Add {
                key: "n".into(),
                delta: -2,
            },
        ],
    }
}

fn goldens() -> Vec<(&'static str, BytesMut)> {
    let hello = Hello {
        versions: vec![PROTOCOL_VERSION],
        client: *b"0123456789abcdef",
        namespaces: vec!["primary".into()],
        software: "golden".into(),
    };
    let hello_answer = HelloAnswer {
        version: PROTOCOL_VERSION,
        uid: 1000,
        algorithm: "blake3".into(),
        software: "kvs 0.1.0".into(),
        limits: ServerLimits::default(),
        positions: vec![NamespacePosition {
            namespace: "primary".into(),
            position: position(),
        }],
        temporary: false,
    };
    let repeated = Commit {
        repeat: Some(position()),
        name: Some("job".into()),
        no_merge: true,
        ..commit()
    };
    let committed = CommitAnswer {
        position: position(),
        results: vec![OperationResult::Done, OperationResult::Added(-2)],
        root: None,
    };
    let with_root = CommitAnswer {
        root: root().parse().ok(),
        ..committed.clone()
    };
    let lookup = Lookup {
        namespace: "primary".into(),
        key: "a.b".into(),
        at: At::Version(42),
        follow: true,
        treeobj: false,
        root: false,
        inline_max: None,
    };
    let root_wanted = Lookup {
        at: At::Current,
        root: true,
        inline_max: Some(0),
        ..lookup.clone()
    };
    let found = LookupAnswer {
        position: REALISTIC,
        entry: Some(Entry::Value(ValueInfo::whole(Bytes::from_static(
            &[b'x'; 64],
        )))),
        root: None,
        place: None,
        treeobj: None,
    };
    let long = LookupAnswer {
        entry: Some(Entry::Value(ValueInfo::of_size(9_000_000, Some(root())))),
        root: root().parse().ok(),
        place: Some(FoundAt {
            namespace: "jobs".into(),
            key: "a.long".into(),
        }),
        ..found.clone()
    };
    let mut directory = DirectoryInfo::new(300, 70_000, 2);
    directory.names = Some(10);
    let directory = LookupAnswer {
        entry: Some(Entry::Directory(directory)),
        treeobj: Some("{\"ver\":1}".into()),
        ..found.clone()
    };
    let link = LookupAnswer {
        entry: Some(Entry::Link(Link {
            target: "a.b".into(),
            namespace: None,
        })),
        ..found.clone()
    };
    let nothing = LookupAnswer {
        entry: None,
        ..found.clone()
    };
    let watch = Watch {
        scopes: vec![Scope {
            kind: ScopeKind::Glob,
            text: "a.*".into(),
        }],
        start: Start::Version {
            version: 42,
            incarnation: Some(7),
        },
        credit: 16,
        ..Watch::new("primary")
    };
    let every_field = Watch {
        scopes: vec![Scope {
            kind: ScopeKind::Key,
            text: "a.b".into(),
        }],
        start: Start::Initial,
        mode: Mode::Append { offset: 9 },
        values: false,
        previous: true,
        wait_create: true,
        credit: 16,
        credit_bytes: Some(4096),
        mark_interval_ms: 1000,
        inline_max: Some(128),
        ..Watch::new("primary")
    };
    let changes = WatchItem::Changes(Changes {
        position: position(),
        root: root(),
        snapshot: snapshot(),
        time_ms: 1_700_000_000_000,
        transactions: vec![TransactionInfo {
            uid: 1000,
            client: Bytes::from_static(b"0123456789abcdef"),
            number: 3,
            name: None,
        }],
        skipped: 0,
        changes: vec![
            Change::new("a.b", ChangeKind::Put, hi()),
            Change::new("a.c", ChangeKind::Unlink, ChangeValue::None),
        ],
        behind: None,
        last: true,
    });
    let details = WatchItem::Changes(Changes {
        position: position(),
        root: root(),
        snapshot: snapshot(),
        time_ms: 1_700_000_000_000,
        transactions: Vec::new(),
        skipped: 5,
        changes: vec![Change {
            previous: Some(ChangeValue::None),
            offset: Some(9),
            ..Change::new("a.b", ChangeKind::Append, hi())
        }],
        behind: None,
        last: true,
    });
    let initial = WatchItem::Initial(Initial {
        position: position(),
        root: root(),
        snapshot: snapshot(),
        time_ms: 1_700_000_000_000,
        differences: true,
        entries: vec![Change::new("a.c", ChangeKind::Unlink, ChangeValue::None)],
        last: true,
    });
    let mark = WatchItem::Mark(Mark {
        position: position(),
        requested: true,
    });
    let setroot = SetRoot {
        namespace: None,
        start: Start::Initial,
        credit: 16,
        credit_bytes: Some(4096),
        place: None,
    };
    let go_on = SetRoot {
        start: Start::Now,
        place: Some(place()),
        ..setroot.clone()
    };
    let started = RootItem::Started(RootStarted {
        position: None,
        place: Some(place()),
    });
    let root_mark = RootItem::Mark(RootMark {
        place: place(),
        requested: false,
    });
    let state = RootItem::State(RootState {
        lost: true,
        namespaces: vec![NamespaceRoot {
            namespace: "primary".into(),
            owner: 1000,
            position: position(),
            root: root(),
        }],
        place: place(),
    });
    let moved = RootItem::Moved(Moved {
        namespace: "primary".into(),
        position: position(),
        root: root(),
        previous: root(),
        snapshot: snapshot(),
        time_ms: 1_700_000_000_000,
        transactions: Vec::new(),
        changes: vec![LogChange {
            key: "a.b".into(),
            kind: ChangeKind::Put,
        }],
        last: true,
        place: place(),
    });
    let created = RootItem::Created(Created {
        namespace: "jobs".into(),
        owner: 1000,
        incarnation: 7,
        time_ms: 1_700_000_000_000,
        place: place(),
    });
    let owner_changed = RootItem::OwnerChanged(OwnerChanged {
        namespace: "jobs".into(),
        owner: 1001,
        before: 1000,
        time_ms: 1_700_000_000_000,
        place: place(),
    });
    let removed = RootItem::Removed(Removed {
        namespace: "jobs".into(),
        time_ms: 1_700_000_000_000,
        place: place(),
    });
    let gap = WatchItem::Gap(Gap {
        from: Position {
            incarnation: 7,
            version: 3,
        },
        to: position(),
        snapshot: snapshot(),
    });
    let wait = Wait {
        namespace: "primary".into(),
        version: 42,
        incarnation: None,
    };
    let many = LookupMany {
        namespace: "primary".into(),
        keys: vec!["a.b".into(), "a.c".into(), "".into()],
        at: At::Snapshot(snapshot()),
        inline_max: Some(128),
    };
    let many_answer = LookupManyAnswer {
        results: vec![
            LookedUp::Found(Entry::Value(ValueInfo::whole(Bytes::from_static(b"hi")))),
            LookedUp::Absent,
            LookedUp::Failed(ErrorBody::new(
                ErrorCode::Invalid,
                "the empty text is no key",
            )),
        ],
        position: position(),
        root: root(),
        snapshot: snapshot(),
    };
    let nodes = Nodes {
        namespace: "primary".into(),
        key: "a.b".into(),
        at: At::Snapshot(snapshot()),
        have: 1,
        inline_max: Some(4096),
    };
    let nodes_answer = NodesAnswer {
        // A leaf with one entry, `b`.
        nodes: vec![Bytes::from_static(b"\x92\x00\x81\xa1b\xc4\x02hi")],
        more: false,
        value: None,
        position: position(),
        root: root(),
        snapshot: snapshot(),
    };
    let mut error = BytesMut::new();
    write_error(&mut error, 6, ErrorCode::NotFound, "a.b");
    vec![
        ("hello", request(0, hello)),
        ("hello answer", answer(0, Status::Final, &hello_answer)),
        ("commit", request(1, commit())),
        ("commit, repeated", request(1, repeated)),
        ("commit answer", answer(1, Status::Final, &committed)),
        ("commit answer, root", answer(1, Status::Final, &with_root)),
        ("lookup", request(2, lookup)),
        ("lookup, root", request(2, root_wanted)),
        ("lookup answer", answer(1 << 20, Status::Final, &found)),
        ("lookup answer, long value", answer(2, Status::Final, &long)),
        (
            "lookup answer, directory",
            answer(2, Status::Final, &directory),
        ),
        ("lookup answer, link", answer(2, Status::Final, &link)),
        ("lookup answer, nothing", answer(2, Status::Final, &nothing)),
        ("wait", request(3, wait)),
        (
            "wait answer",
            answer(
                3,
                Status::Final,
                &WaitAnswer {
                    position: position(),
                },
            ),
        ),
        ("watch", request(4, watch)),
        (
            "watch started",
            answer(
                4,
                Status::Item,
                &WatchItem::Started(Started {
                    position: position(),
                }),
            ),
        ),
        ("watch changes", answer(4, Status::Item, &changes)),
        ("watch gap", answer(4, Status::Item, &gap)),
        ("watch, every field", request(4, every_field)),
        (
            "watch absent",
            answer(4, Status::Item, &WatchItem::Absent {}),
        ),
        ("watch changes, details", answer(4, Status::Item, &details)),
        ("watch initial answer", answer(4, Status::Item, &initial)),
        ("watch mark answer", answer(4, Status::Item, &mark)),
        ("credit", request(4, Credit { add: 8, bytes: 0 })),
        (
            "credit, bytes",
            request(
                4,
                Credit {
                    add: 8,
                    bytes: 4096,
                },
            ),
        ),
        ("mark", request(4, MarkRequest {})),
        ("cancel", request(4, Empty {})),
        ("cancelled", answer(4, Status::Final, &Empty {})),
        ("namespaces", request(5, Namespaces {})),
        (
            "upload",
            request(
                6,
                Upload {
                    namespace: "primary".into(),
                },
            ),
        ),
        ("setroot", request(7, setroot)),
        ("setroot, on from a place", request(7, go_on)),
        ("setroot started answer", answer(7, Status::Item, &started)),
        ("setroot state answer", answer(7, Status::Item, &state)),
        ("setroot moved answer", answer(7, Status::Item, &moved)),
        ("setroot created answer", answer(7, Status::Item, &created)),
        (
            "setroot owner_changed answer",
            answer(7, Status::Item, &owner_changed),
        ),
        ("setroot removed answer", answer(7, Status::Item, &removed)),
        ("setroot mark answer", answer(7, Status::Item, &root_mark)),
        (
            "namespace_chown",
            request(
                8,
                NamespaceChown {
                    name: "jobs".into(),
                    owner: 1001,
                },
            ),
        ),
        ("lookup_many", request(8, many)),
        ("lookup_many answer", answer(8, Status::Final, &many_answer)),
        ("nodes", request(9, nodes)),
        ("nodes answer", answer(9, Status::Final, &nodes_answer)),
        ("error answer", error),
    ]
}

fn place() -> SmolStr {
    "00000000000000ab-12-3".into()
}

fn hi() -> ChangeValue {
    ChangeValue::Bytes(Bytes::from_static(b"hi"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The golden frames of the RFC: blocks fenced as `golden` that contain a line `name:`, then lines
/// of hex.
fn goldens_of_the_rfc() -> Vec<(String, String)> {
    let mut frames: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in RFC.lines() {
        match (inside, line.trim()) {
            (false, "```golden") => inside = true,
            (true, "```") => inside = false,
            (true, "") | (false, _) => {}
            (true, line) => match line.strip_suffix(':') {
                Some(name) => frames.push((name.to_owned(), String::new())),
                None => frames.last_mut().unwrap().1.push_str(line),
            },
        }
    }
    frames
}

fn decode_one(frame: &[u8]) -> Frame {
    let mut source = BytesMut::from(frame);
    let frame = FrameCodec::default().decode(&mut source).unwrap().unwrap();
    assert!(source.is_empty());
    frame
}

#[test]
fn the_golden_frames_of_the_rfc_are_what_this_code_writes() {
    let ours: Vec<_> = goldens()
        .iter()
        .map(|(name, f)| (name.to_string(), hex(f)))
        .collect();
    if goldens_of_the_rfc() != ours {
        for (name, frame) in &ours {
            let lines: Vec<&str> = (0..frame.len())
                .step_by(96)
                .map(|at| &frame[at..frame.len().min(at + 96)])
                .collect();
            println!("{name}:\n{}\n", lines.join("\n"));
        }
        panic!("the RFC has other frames than those printed above");
    }
}

#[test]
fn the_answer_to_a_get_of_64_bytes_has_at_most_130() {
    let goldens = goldens();
    let (_, frame) = goldens
        .iter()
        .find(|(name, _)| *name == "lookup answer")
        .unwrap();
    assert!(frame.len() <= 130, "{}", frame.len());
}

#[test]
fn the_rfc_lists_every_operation_and_error_code() {
    for op in Op::ALL {
        let row = format!("| {} | `{}` |", op.code(), op.name());
        assert!(RFC.contains(&row), "{row}");
    }
    for code in ErrorCode::ALL
        .iter()
        .filter(|code| **code != ErrorCode::Disconnected)
    {
        let row = format!("| {} | `{}` |", code.code(), code.name());
        assert!(RFC.contains(&row), "{row}");
    }
}

#[test]
fn golden_requests_decode_to_what_was_encoded() {
    for (name, bytes) in goldens() {
        let frame = decode_one(&bytes);
        let answers = ["answer", "started", "changes", "gap", "cancelled", "absent"];
        if answers.iter().any(|word| name.contains(word)) {
            continue;
        }
        let decoded = Request::decode(Op::from_code(frame.tag).unwrap(), &frame.body).unwrap();
        assert_eq!(request(frame.id, decoded), bytes, "{name}");
    }
}

#[test]
fn the_body_is_left_alone_until_the_operation_is_known() {
    let frame = decode_one(&[0, 0, 0, 5, 0x93, 9, 0xcc, 200, 0xc1]);
    assert_eq!((frame.id, frame.tag), (9, 200));
    assert_eq!(Op::from_code(frame.tag), Err(ProtocolError::UnknownOp(200)));
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_is_read() {
    let mut source = BytesMut::from(&[0, 0, 1, 0][..]);
    let error = FrameCodec::new(255).decode(&mut source).unwrap_err();
    assert_eq!(
        error,
        ProtocolError::FrameTooLong {
            bytes: 256,
            limit: 255
        }
    );
}

#[test]
fn what_is_too_long_to_send_leaves_the_buffer_as_it_was() {
    let mut out = BytesMut::from(&b"before"[..]);
    let error = write_request(&mut out, 10, 1, &commit().into()).unwrap_err();
    assert!(matches!(
        error,
        ProtocolError::FrameTooLong { limit: 10, .. }
    ));
    assert_eq!(&out[..], b"before");
}

#[test]
fn bytes_behind_a_body_are_refused() {
    let body = Bytes::from_static(&[0x80, 0xc0]);
    assert!(matches!(
        Request::decode(Op::Sync, &body),
        Err(ProtocolError::Body { .. })
    ));
    assert!(Request::decode(Op::Sync, &body.slice(..1)).is_ok());
    let cut = Bytes::from_static(&[0x80, 0xdb]);
    assert!(Request::decode(Op::Sync, &cut).is_err());
}

#[test]
fn unknown_fields_are_ignored_but_not_when_nested_too_deep() {
    let nested = |depth: usize| {
        let mut body = vec![0x82, 0xa2, b'i', b'd', 5, 0xa1, b'x'];
        body.extend(std::iter::repeat_n(0x91, depth));
        body.push(0xc0);
        Request::decode(Op::Unpin, &Bytes::from(body))
    };
    assert_eq!(nested(20), Ok(Request::Unpin(Unpin { id: 5 })));
    assert!(nested(BODY_DEPTH).is_err());
    assert!(nested(1_000_000).is_err());
}

#[test]
fn absent_fields_take_their_defaults() {
    let body = Bytes::from_static(b"\x82\xa9namespace\xa1p\xa3key\xa1.");
    let Ok(Request::Lookup(lookup)) = Request::decode(Op::Lookup, &body) else {
        panic!()
    };
    assert!(lookup.follow && !lookup.treeobj && lookup.at == At::Current);
}

#[test]
fn a_long_value_shares_the_memory_of_its_frame_and_a_short_one_does_not() {
    for (size, shared) in [(COPY_BELOW_BYTES - 1, false), (COPY_BELOW_BYTES, true)] {
        let value = Bytes::from(vec![7u8; size]);
        let put = Operation::Put {
            key: "k".into(),
            value: value.clone(),
        };
        let frame = decode_one(&request(
            1,
            Commit {
                operations: vec![put],
                ..commit()
            },
        ));
        let Ok(Request::Commit(decoded)) = Request::decode(Op::Commit, &frame.body) else {
            panic!()
        };
        let [Operation::Put { value: got, .. }] = &decoded.operations[..] else {
            panic!()
        };
        assert_eq!(got, &value);
        let inside = frame.body.as_ptr_range().contains(&got.as_ptr());
        assert_eq!(inside, shared);
    }
}

#[test]
fn answers_to_reads_of_much_decode_to_what_was_encoded() {
    let answers: Vec<_> = goldens().into_iter().collect();
    let body = |name: &str| {
        let (_, frame) = answers.iter().find(|(other, _)| *other == name).unwrap();
        decode_one(frame).body
    };
    let many: LookupManyAnswer = decode_body(&body("lookup_many answer")).unwrap();
    assert_eq!(many.results.len(), 3);
    assert_eq!(encode_body(&many).unwrap(), body("lookup_many answer"));
    let nodes: NodesAnswer = decode_body(&body("nodes answer")).unwrap();
    assert_eq!(nodes.nodes.len(), 1);
    assert_eq!(encode_body(&nodes).unwrap(), body("nodes answer"));
}

#[test]
fn text_is_not_taken_for_bytes() {
    let body = Bytes::from_static(b"\x82\xa8versions\x91\x01\xa6client\xb00123456789abcdef");
    assert!(Request::decode(Op::Hello, &body).is_err());
}

#[test]
fn error_codes_and_operations_are_unique_and_found_again() {
    for (i, code) in ErrorCode::ALL.iter().enumerate() {
        assert_eq!(ErrorCode::from_code(code.code()), *code);
        assert!(
            ErrorCode::ALL[..i]
                .iter()
                .all(|other| other.name() != code.name())
        );
    }
    for op in Op::ALL {
        assert_eq!(Op::from_code(op.code()), Ok(*op));
    }
}

#[test]
fn an_error_message_is_cut_so_that_its_answer_fits() {
    let mut out = BytesMut::new();
    write_error(&mut out, 1, ErrorCode::Invalid, &"é".repeat(FRAME_BYTES));
    let body: ErrorBody = decode_body(&decode_one(&out).body).unwrap();
    assert_eq!(body.message.chars().count(), ERROR_MESSAGE_CHARS);
}

fn keys() -> impl Strategy<Value = SmolStr> {
    "[a-z.]{0,12}".prop_map(SmolStr::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (keys(), bytes()).prop_map(|(key, value)| Operation::Put { key, value }),
        (keys(), bytes()).prop_map(|(key, value)| Operation::Append { key, value }),
        keys().prop_map(|key| Operation::Unlink { key }),
        keys().prop_map(|key| Operation::Mkdir { key }),
        (keys(), keys(), proptest::option::of(keys())).prop_map(|(key, target, namespace)| {
            Operation::Link {
                key,
                target,
                namespace,
            }
        }),
        (keys(), keys()).prop_map(|(from, to)| Operation::Copy { from, to }),
        (keys(), keys()).prop_map(|(from, to)| Operation::Move { from, to }),
        (keys(), any::<i64>()).prop_map(|(key, delta)| Operation::Add { key, delta }),
        (keys(), bytes()).prop_map(|(key, object)| Operation::PutObject { key, object }),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    prop_oneof![
        keys().prop_map(|key| Condition::Absent { key }),
        keys().prop_map(|key| Condition::Present { key }),
        (keys(), bytes()).prop_map(|(key, value)| Condition::Equals { key, value }),
        (keys(), any::<u64>()).prop_map(|(key, since)| Condition::Unchanged { key, since }),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut source = BytesMut::from(&bytes[..]);
        let mut codec = FrameCodec::new(200);
        while let Ok(Some(_)) = codec.decode(&mut source) {}
        let body = Bytes::from(bytes);
        for op in Op::ALL {
            let _ = Request::decode(*op, &body);
        }
        let _ = decode_body::<WatchItem>(&body);
        let _ = decode_body::<RootItem>(&body);
        let _ = decode_body::<LookupAnswer>(&body);
    }

    #[test]
    fn a_damaged_frame_is_read_without_a_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut frames = goldens();
        let mut frame = frames.swap_remove(which.index(frames.len())).1;
        let at = at.index(frame.len());
        frame[at] = byte;
        if let Ok(Some(frame)) = FrameCodec::default().decode(&mut frame) {
            for op in Op::ALL {
                let _ = Request::decode(*op, &frame.body);
            }
            let _ = decode_body::<WatchItem>(&frame.body);
        }
    }

    #[test]
    fn a_commit_comes_out_as_it_went_in_however_the_stream_is_cut(
        id in any::<u64>(),
        number in any::<u64>(),
        name in proptest::option::of(keys()),
        operations in proptest::collection::vec(operations(), 0..8),
        conditions in proptest::collection::vec(conditions(), 0..4),
        cut in 1usize..40,
    ) {
        let commit = Commit { number, name, operations, conditions, ..commit() };
        let sent = request(id, commit.clone());
        let mut source = BytesMut::new();
        let mut got = None;
        for chunk in sent.chunks(cut) {
            source.extend_from_slice(chunk);
            if let Some(frame) = FrameCodec::default().decode(&mut source).unwrap() {
                got = Some((frame.id, Request::decode(Op::Commit, &frame.body).unwrap()));
            }
        }
        prop_assert_eq!(got, Some((id, Request::Commit(commit))));
    }
}

#[test]
fn a_head_and_an_encoded_body_are_the_frame_of_an_answer() {
    let body = Empty {};
    let mut whole = BytesMut::new();
    write_answer(&mut whole, FRAME_BYTES, 300, Status::Item, &body).unwrap();
    let (mut pieces, encoded) = (BytesMut::new(), encode_body(&body).unwrap());
    write_head(&mut pieces, FRAME_BYTES, 300, Status::Item, encoded.len()).unwrap();
    pieces.extend_from_slice(&encoded);
    assert_eq!(pieces, whole);
    let mut none = BytesMut::new();
    assert!(write_head(&mut none, 10, 1, Status::Item, 10).is_err());
    assert!(none.is_empty());
}

#[test]
fn an_answer_in_pieces_is_the_same_and_shares_its_long_payloads() {
    let payloads = [0_usize, 10, 4096, 5000, 20, 5000].map(|length| Bytes::from(vec![7; length]));
    let nodes = payloads.to_vec();
    let value = Some(Bytes::from(vec![8; 9000]));
    let answer = NodesAnswer {
        nodes,
        more: false,
        value,
        position: Position {
            incarnation: 1,
            version: 2,
        },
        root: "root".into(),
        snapshot: "snapshot".into(),
    };
    let fields = answer.nodes.iter().chain(&answer.value);
    let pieces = encode_in_pieces(&answer, fields.clone(), 4096).unwrap();
    assert_eq!(pieces.concat(), encode_body(&answer).unwrap());
    let long: Vec<_> = fields.filter(|field| field.len() >= 4096).collect();
    assert_eq!(long.len(), 4);
    for field in long {
        let shared = |piece: &Bytes| piece.as_ptr() == field.as_ptr() && piece.len() == field.len();
        assert!(pieces.iter().any(shared));
    }
    // If no payloads are named, everything is copied.
    let whole = encode_in_pieces(&answer, std::iter::empty(), 0).unwrap();
    assert_eq!((whole.len(), whole.concat()), (1, pieces.concat()));
}
