//! Bytes that no client sends: they cost their own connection at most, never the daemon and never
//! another client.

use crate::raw::Raw;
use kvs_client::{ErrorCode, Namespace};
use kvs_testkit::{Home, Random};

/// That a client is served as if nothing had happened.
async fn served(primary: &Namespace, number: u64) {
    primary.put("number", number.to_string()).await.unwrap();
    let value = primary.get("number").await.unwrap().unwrap();
    assert_eq!(value, number.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_do_no_harm() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let seed = Random::fresh_seed();
    let mut random = Random::new(seed);
    for round in 0..200 {
        let greeted = random.below(2) == 0;
        let mut raw = if greeted {
            Raw::greeted(&home.socket())
        } else {
            Raw::silent(&home.socket())
        };
        let count = 1 + random.below(2_000) as usize;
        raw.send(&random.bytes(count));
        if random.below(2) == 0 {
            raw.finish();
            while raw.answer().is_some() {}
        }
        drop(raw);
        served(&primary, round).await;
    }
    let ended = daemon.stop().unwrap();
    assert!(ended.status.success(), "seed {seed}: {}", ended.message);
    assert!(
        !ended.message.contains("panicked"),
        "seed {seed}: {}",
        ended.message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_with_random_content_do_no_harm() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let seed = Random::fresh_seed();
    let mut random = Random::new(seed);
    for round in 0..200 {
        let mut raw = Raw::greeted(&home.socket());
        for id in 0..20 {
            // A right envelope with an arbitrary operation, and a body that is a map at least.
            let mut content = vec![
                0x93,
                id,
                random.below(24) as u8,
                0x81 + random.below(4) as u8,
            ];
            let count = random.below(60) as usize;
            content.extend(random.bytes(count));
            raw.frame(&content);
        }
        raw.finish();
        while raw.answer().is_some() {}
        served(&primary, round).await;
    }
    let ended = daemon.stop().unwrap();
    assert!(ended.status.success(), "seed {seed}: {}", ended.message);
    assert!(
        !ended.message.contains("panicked"),
        "seed {seed}: {}",
        ended.message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_request_is_answered_under_its_id_and_the_connection_goes_on() {
    let home = Home::new().unwrap();
    let _daemon = home.start().unwrap();
    let mut raw = Raw::greeted(&home.socket());
    let cases: [(&[u8], ErrorCode); 6] = [
        // An operation that does not exist.
        (&[0x93, 9, 99, 0x80], ErrorCode::UnknownOperation),
        // A lookup without its fields.
        (&[0x93, 9, 3, 0x80], ErrorCode::BadRequest),
        // A body that is no map.
        (&[0x93, 9, 3, 0xc0], ErrorCode::BadRequest),
        // A body that ends early.
        (&[0x93, 9, 3, 0x81, 0xa3, b'k'], ErrorCode::BadRequest),
        // No body at all.
        (&[0x93, 9, 3], ErrorCode::BadRequest),
        // Something behind the body.
        (&[0x93, 9, 17, 0x80, 0xc0], ErrorCode::BadRequest),
    ];
    for (content, code) in cases {
        assert!(raw.frame(content));
        let answer = raw.answer().expect("the connection goes on");
        assert_eq!((answer.id, answer.error()), (9, code), "{content:?}");
    }
    // Credit and cancel of what is not there have no answer.
    assert!(raw.frame(&[0x93, 9, 9, 0x81, 0xa3, b'a', b'd', b'd', 1]));
    assert!(raw.frame(&[0x93, 9, 10, 0x80]));
    assert!(raw.frame(&[0x93, 10, 17, 0x80]));
    assert_eq!(raw.answer().unwrap().id, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stop_in_the_middle_of_a_frame_are_forgotten() {
    let home = Home::new().unwrap();
    let daemon = home.start().unwrap();
    let primary = daemon.primary().await.unwrap();
    let mut open = Vec::new();
    for round in 0..100 {
        let mut raw = Raw::greeted(&home.socket());
        raw.send(&[0, 0, 1, 0, 0x93]);
        if round % 2 == 0 {
            open.push(raw);
        }
        served(&primary, round).await;
    }
    let ended = daemon.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.message);
}
