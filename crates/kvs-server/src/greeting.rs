//! The handshake: checks and answers the hello of a connection, including its limits.

use std::io;

use kvs_engine::{At, Principal};
use kvs_proto::{
    ErrorCode, FRAME_BYTES, Frame, HelloAnswer, NamespacePosition, Op, PROTOCOL_VERSION,
    REQUESTS_IN_FLIGHT, Request, STREAMS, ServerLimits, Status, offered_versions, write_answer,
    write_error,
};
use smol_str::{SmolStr, ToSmolStr};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::failure::Failure;
use super::ops::Context;
use super::outgoing;
use super::shared::{Admission, SOFTWARE, Shared};
use crate::limits::{
    ANSWER_BYTES, COMMIT_BYTES_IN_FLIGHT, GUEST_ANSWER_BYTES, GUEST_COMMIT_BYTES_IN_FLIGHT,
    GUEST_REQUESTS_IN_FLIGHT, GUEST_ROUNDS, GUEST_STREAM_TURNS, GUEST_STREAMS, GUEST_TURN_REQUESTS,
    HELLO_NAMESPACES, SESSION_ROUNDS, STREAM_TURNS,
};

/// Answers the hello; returns the client's id if the connection may continue.
pub(crate) async fn greet<S>(
    connection: &mut Connection<S>,
    context: &Context,
    admission: Admission,
) -> io::Result<Option<[u8; 16]>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = match connection.read_frame().await {
        Ok(Some(frame)) => frame,
        Ok(None) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    };
    let (client, answer) = match hello(context, &frame, admission).await {
        Ok(welcome) => welcome,
        Err(failure) => {
            write_error(
                connection.out.frames(),
                frame.id,
                failure.code,
                &failure.message,
            );
            return Ok(None);
        }
    };
    write_answer(
        connection.out.frames(),
        FRAME_BYTES,
        frame.id,
        Status::Final,
        &answer,
    )
    .map_err(io::Error::other)?;
    connection.greeted();
    Ok(Some(client))
}

/// Checks the first frame of a connection.
async fn hello(
    context: &Context,
    frame: &Frame,
    admission: Admission,
) -> Result<([u8; 16], HelloAnswer), Failure> {
    if frame.tag != Op::Hello.code() {
        let message = "the first request of a connection is hello";
        return Err(Failure::new(ErrorCode::ProtocolVersion, message));
    }
    let offered = offered_versions(&frame.body)?;
    if !offered.contains(&PROTOCOL_VERSION) {
        return Err(another_version(&offered));
    }
    let Request::Hello(hello) = Request::decode(Op::Hello, &frame.body)? else {
        return Err(Failure::new(ErrorCode::BadRequest, "not a hello"));
    };
    let Context { shared, caller } = context;
    if !shared.serves(*caller) {
        let message = format!("this daemon serves uid {} only", shared.owner);
        return Err(Failure::new(ErrorCode::Permission, message));
    }
    if admission != Admission::Served {
        let message = if shared.is_guest(*caller) {
            format!("too many connections of {caller} or in all")
        } else {
            format!("{} connections are open", shared.most_connections())
        };
        return Err(Failure::new(ErrorCode::Limit, message));
    }
    let mut positions = Vec::new();
    for namespace in hello.namespaces.into_iter().take(HELLO_NAMESPACES) {
        if let Ok(view) = shared.engine.view(*caller, &namespace, At::Current).await {
            let position = outgoing::position(view.position());
            positions.push(NamespacePosition {
                namespace,
                position,
            });
        }
    }
    let answer = HelloAnswer {
        version: PROTOCOL_VERSION,
        uid: caller.uid(),
        algorithm: shared.engine.algorithm().to_smolstr(),
        software: SmolStr::new_static(SOFTWARE),
        limits: Room::of(shared, *caller).limits(),
        positions,
        temporary: shared.temporary,
    };
    Ok((hello.client, answer))
}

/// The error for a client that speaks none of this daemon's versions.
fn another_version(offered: &[u32]) -> Failure {
    let newest = offered.iter().max();
    let client = newest.map_or_else(
        || "names none".to_owned(),
        |newest| format!("speaks version {newest}"),
    );
    let message = format!(
        "this daemon speaks version {PROTOCOL_VERSION} of the protocol, the client {client}"
    );
    Failure::new(ErrorCode::ProtocolVersion, message)
}

/// Limits on what a connection may have in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Unanswered requests.
    pub(crate) requests: usize,
    /// Bytes of commits.
    pub(crate) commit_bytes: usize,
    /// Streams and waits.
    pub(crate) streams: usize,
    /// Bytes of answers being built.
    pub(crate) answer_bytes: usize,
    /// Limits of one turn: requests, rounds, and turns of its streams.
    pub(crate) turn: (usize, usize, usize),
}

impl Room {
    /// The limits of a connection of this user.
    pub(crate) fn of(shared: &Shared, principal: Principal) -> Room {
        if shared.is_guest(principal) {
            Room {
                requests: GUEST_REQUESTS_IN_FLIGHT,
                commit_bytes: GUEST_COMMIT_BYTES_IN_FLIGHT,
                streams: GUEST_STREAMS,
                answer_bytes: GUEST_ANSWER_BYTES,
                turn: (GUEST_TURN_REQUESTS, GUEST_ROUNDS, GUEST_STREAM_TURNS),
            }
        } else {
            Room {
                requests: REQUESTS_IN_FLIGHT,
                commit_bytes: COMMIT_BYTES_IN_FLIGHT,
                streams: STREAMS,
                answer_bytes: ANSWER_BYTES,
                turn: (usize::MAX, SESSION_ROUNDS, STREAM_TURNS),
            }
        }
    }

    /// The limits that are reported to the client.
    pub(crate) fn limits(&self) -> ServerLimits {
        let mut limits = ServerLimits::default();
        limits.requests_in_flight = self.requests as u64;
        limits.streams = self.streams as u64;
        limits
    }
}
