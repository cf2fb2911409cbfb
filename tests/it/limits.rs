//! The limits of the protocol: what is over one is refused, and nothing else suffers.

use crate::raw::{Raw, hello};
use kvs_client::ErrorCode;
use kvs_proto::{
    BODY_DEPTH, Commit, FRAME_BYTES, HelloAnswer, Info, Operation, STREAMS, Status, Wait, Watch,
    WatchItem, decode_body,
};
use kvs_testkit::Home;

fn commit(number: u64, key: &str, value: Vec<u8>) -> Commit {
    let operation = Operation::Put {
        key: key.into(),
        value: value.into(),
    };
    Commit::new("primary", number, vec![operation])
}

fn watch() -> Watch {
    Watch {
        credit: 1,
        ..Watch::new("primary")
    }
}

fn info() -> Info {
    Info {
        namespace: "primary".into(),
        at: kvs_client::At::Current,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_over_the_limit_closes_its_connection_only() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    for length in [FRAME_BYTES as u32 + 1, u32::MAX] {
        let mut raw = Raw::greeted(&home.socket());
        raw.request(1, commit(1, "before", b"kept".to_vec()));
        raw.send(&length.to_be_bytes());
        let answer = raw.answer().expect("what came before it is answered");
        assert_eq!((answer.id, answer.status), (1, Status::Final));
        assert!(raw.answer().is_none());
    }
    let value = primary.get("before").await.unwrap();
    assert_eq!(value.as_deref(), Some(&b"kept"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_fills_a_frame_is_stored_and_read_in_ranges() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let value = kvs_testkit::Random::new(1).bytes(FRAME_BYTES - 4_096);
    primary.put("large", value.clone()).await.unwrap();
    assert_eq!(primary.get("large").await.unwrap().unwrap(), value);
    let error = primary
        .put("larger", vec![0; FRAME_BYTES])
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::TooBig);
    assert_eq!(primary.get("larger").await.unwrap(), None);
}

#[test]
fn a_stream_over_the_limit_is_refused_and_the_others_stay() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::greeted(&home.socket());
    let streams = STREAMS as u64;
    for id in 1..=streams {
        raw.request(id, watch());
        let answer = raw.answer().unwrap();
        assert_eq!((answer.id, answer.status), (id, Status::Item));
    }
    raw.request(streams + 1, watch());
    let refused = raw.answer().unwrap();
    assert_eq!(
        (refused.id, refused.error()),
        (streams + 1, ErrorCode::Limit)
    );
    raw.request(streams + 2, commit(1, "a", b"1".to_vec()));
    let mut items = 0;
    let mut answered = false;
    while items < streams || !answered {
        let answer = raw.answer().unwrap();
        if answer.id == streams + 2 {
            assert_eq!(answer.status, Status::Final);
            answered = true;
            continue;
        }
        assert_eq!(answer.status, Status::Item);
        if let WatchItem::Changes(_) = decode_body(&answer.body).unwrap() {
            items += 1;
        }
    }
}

#[test]
fn requests_beyond_those_in_flight_wait_and_are_answered() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::greeted(&home.socket());
    let count = 4 * kvs_proto::REQUESTS_IN_FLIGHT as u64;
    // More than the daemon takes at once and fewer than the socket's buffers hold.
    for id in 1..=count {
        raw.request(id, commit(id, "a", id.to_string().into_bytes()));
    }
    for id in 1..=count {
        let answer = raw.answer().unwrap();
        assert_eq!((answer.id, answer.status), (id, Status::Final));
    }
}

#[test]
fn a_body_that_is_nested_too_deep_is_refused_under_its_id() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::greeted(&home.socket());
    for depth in [BODY_DEPTH + 1, 1_000, 100_000, 1_000_000] {
        // [7, info, {"x": [[[…]]]}]
        let mut content = vec![0x93, 7, 6, 0x81, 0xa1, b'x'];
        content.extend(std::iter::repeat_n(0x91, depth));
        content.push(0xc0);
        assert!(raw.frame(&content));
        let answer = raw.answer().unwrap();
        assert_eq!((answer.id, answer.error()), (7, ErrorCode::BadRequest));
    }
    raw.request(8, info());
    assert_eq!(raw.answer().unwrap().status, Status::Final);
}

#[test]
fn an_id_that_is_in_use_is_refused() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::greeted(&home.socket());
    raw.request(5, watch());
    assert_eq!(raw.answer().unwrap().status, Status::Item);
    raw.request(5, watch());
    let answer = raw.answer().unwrap();
    assert_eq!((answer.id, answer.error()), (5, ErrorCode::BadRequest));
    raw.request(6, info());
    assert_eq!(raw.answer().unwrap().id, 6);
}

#[test]
fn the_first_request_is_hello_of_a_known_version() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::silent(&home.socket());
    raw.request(3, info());
    let answer = raw.answer().unwrap();
    assert_eq!((answer.id, answer.error()), (3, ErrorCode::ProtocolVersion));
    assert!(raw.answer().is_none());
    let mut raw = Raw::silent(&home.socket());
    let mut unknown = hello();
    unknown.versions = vec![0, 999];
    raw.request(4, unknown);
    let answer = raw.answer().unwrap();
    assert_eq!((answer.id, answer.error()), (4, ErrorCode::ProtocolVersion));
    assert!(raw.answer().is_none());
    let mut raw = Raw::silent(&home.socket());
    let mut both = hello();
    both.versions.push(999);
    raw.request(5, both);
    let answer: HelloAnswer = decode_body(&raw.answer().unwrap().body).unwrap();
    assert_eq!(answer.version, kvs_proto::PROTOCOL_VERSION);
}

#[test]
fn waits_end_by_cancel() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::greeted(&home.socket());
    raw.request(
        1,
        Wait {
            namespace: "primary".into(),
            version: u64::MAX,
            incarnation: None,
        },
    );
    raw.request(1, kvs_proto::Request::Cancel(kvs_proto::Empty {}));
    let answer = raw.answer().unwrap();
    assert_eq!((answer.id, answer.error()), (1, ErrorCode::Cancelled));
    raw.request(2, info());
    assert_eq!(raw.answer().unwrap().id, 2);
}
