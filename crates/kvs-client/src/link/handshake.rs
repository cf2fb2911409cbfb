//! One attempt to connect and say hello.

use crate::error::ClientError;
use crate::transport::{Connector, Transport};
use bytes::BytesMut;
use kvs_proto::{
    ErrorBody, ErrorCode, FRAME_BYTES, Frame, FrameCodec, Hello, HelloAnswer, PROTOCOL_VERSION,
    Request, Status, answered_version, decode_body, write_request,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::Decoder;

/// The id of `hello`; other requests begin at 1.
const HELLO_ID: u64 = 0;

/// A connection after its handshake.
pub(crate) struct Established {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) read: BytesMut,
    pub(crate) server: HelloAnswer,
}

/// Whether another attempt cannot help.
pub(crate) fn is_final(error: &ClientError) -> bool {
    matches!(
        error.code,
        ErrorCode::ProtocolVersion | ErrorCode::Permission | ErrorCode::BadRequest
    )
}

/// Connects once. The future borrows nothing, so that its owner can do other work meanwhile.
pub(crate) fn connect(
    connector: &Arc<dyn Connector>,
    hello: &Hello,
    timeout: Duration,
) -> impl Future<Output = Result<Established, ClientError>> + Send + use<> {
    let address = connector.address();
    let (connector, hello) = (connector.clone(), hello.clone());
    async move {
        match tokio::time::timeout(timeout, attempt(connector, hello)).await {
            Ok(Ok(established)) => Ok(established),
            Ok(Err(error)) if error.code == ErrorCode::Disconnected => {
                Err(ClientError::disconnected(format!(
                    "cannot connect to {address}: {}",
                    error.message
                )))
            }
            // The daemon's own words: it refused the connection, and says why.
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ClientError::disconnected(format!(
                "cannot connect to {address}: no answer in {} s; is it a kvs daemon?",
                timeout.as_secs_f32()
            ))),
        }
    }
}

async fn attempt(connector: Arc<dyn Connector>, hello: Hello) -> Result<Established, ClientError> {
    let failed = |error: std::io::Error| ClientError::disconnected(plain(&error));
    let mut transport = connector.connect().await.map_err(failed)?;
    let mut out = BytesMut::new();
    write_request(&mut out, FRAME_BYTES, HELLO_ID, &Request::Hello(hello))?;
    transport.write_all(&out).await.map_err(failed)?;
    let mut read = BytesMut::new();
    let mut codec = FrameCodec::default();
    let frame: Frame = loop {
        // Any program may listen at a path: what it sends is not to be taken at its word.
        if let Some(frame) = codec.decode(&mut read).map_err(|_| is_another_program())? {
            break frame;
        }
        if transport.read_buf(&mut read).await.map_err(failed)? == 0 {
            return Err(ClientError::disconnected("it closed the connection"));
        }
    };
    match Status::from_code(frame.tag) {
        Ok(Status::Final) if frame.id == HELLO_ID => {
            let version = answered_version(&frame.body);
            if version != Some(PROTOCOL_VERSION) {
                return Err(is_another_version(version));
            }
            let server: HelloAnswer =
                decode_body(&frame.body).map_err(|_| is_another_version(version))?;
            Ok(Established {
                transport,
                read,
                server,
            })
        }
        Ok(Status::Error) => {
            let refusal: ErrorBody = decode_body(&frame.body).map_err(|_| is_another_program())?;
            let mut refusal = ClientError::from(refusal);
            if refusal.code == ErrorCode::ProtocolVersion {
                let told = refusal.message;
                refusal.message = format!("{told} (this client: version {PROTOCOL_VERSION})");
            }
            Err(refusal)
        }
        _ => Err(is_another_program()),
    }
}

/// What comes is no frame of this protocol. Nothing is wrong with what was asked for.
fn is_another_program() -> ClientError {
    ClientError::disconnected("what listens there is not a kvs daemon")
}

/// A daemon answers hello in another version of the protocol than the one that was offered.
fn is_another_version(answered: Option<u32>) -> ClientError {
    let daemon = answered.map_or_else(
        || "does not tell its version".to_owned(),
        |version| format!("answers in version {version}"),
    );
    let message = format!(
        "the daemon {daemon} of the protocol, this client speaks version {PROTOCOL_VERSION}"
    );
    ClientError::new(ErrorCode::ProtocolVersion, message)
}

/// The text of an operating system error without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
