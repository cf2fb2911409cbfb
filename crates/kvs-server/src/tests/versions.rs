//! Clients of other protocol versions get an error that names their version and the needed one.

use kvs_proto::{ErrorBody, ErrorCode, Status};

use super::{Admission, OWNER, Raw, body, daemon};

/// The golden hello of version 1 of the protocol.
const FIRST: &[u8] = b"\0\0\0\x4c\x93\0\x01\x84\xa8versions\x91\x01\xa6client\xc4\x100123456789\
abcdef\xaanamespaces\x91\xa7primary\xa8software\xa6golden";

/// A hello of a possible later version: only the form of `versions` is known.
const LATER: &[u8] =
    b"\0\0\0\x25\x93\0\x01\x83\xa8versions\x92\x03\x04\xa6client\x05\xa8software\x93\
\x01\x02\x03";

const NAMES_NONE: &[u8] = b"\0\0\0\x0e\x93\0\x01\x81\xa8versions\x90";

#[tokio::test]
async fn a_client_of_another_version_is_told_both() {
    let shared = daemon().await;
    for (sent, client) in [
        (FIRST, "speaks version 1"),
        (LATER, "speaks version 4"),
        (NAMES_NONE, "names none"),
    ] {
        let mut raw = Raw::connect(&shared, OWNER, Admission::Served);
        raw.0.out.frames().extend_from_slice(sent);
        raw.0.flush().await.unwrap();
        let refusal = raw.receive().await;
        assert_eq!((refusal.id, refusal.tag), (0, Status::Error.code()));
        let refusal: ErrorBody = body(&refusal);
        assert_eq!(refusal.kind(), ErrorCode::ProtocolVersion);
        let told = format!("this daemon speaks version 2 of the protocol, the client {client}");
        assert_eq!(refusal.message, told);
        assert!(raw.ended().await);
    }
}
