//! A connection that sends whatever a test wants, frames or not.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use bytes::BytesMut;
use kvs_client::ErrorCode;
use kvs_proto::{ErrorBody, FRAME_BYTES, Hello, Request, Status, decode_body, write_request};
use kvs_testkit::PATIENCE;

/// A blocking connection. Every read has a bound that only a failure reaches.
pub(crate) struct Raw(UnixStream);

/// An answer with its body still encoded.
pub(crate) struct Answer {
    pub(crate) id: u64,
    pub(crate) status: Status,
    pub(crate) body: bytes::Bytes,
}

impl Answer {
    /// The error that it must be.
    #[track_caller]
    pub(crate) fn error(&self) -> ErrorCode {
        assert_eq!(self.status, Status::Error, "no error: {:?}", self.body);
        decode_body::<ErrorBody>(&self.body).unwrap().kind()
    }
}

impl Raw {
    /// A connection on which nothing was said yet.
    pub(crate) fn silent(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// A connection after its hello.
    pub(crate) fn greeted(socket: &Path) -> Self {
        let mut raw = Self::silent(socket);
        raw.request(0, hello());
        let answer = raw.answer().unwrap();
        assert_eq!((answer.id, answer.status), (0, Status::Final));
        raw
    }

    /// Sends bytes as they are; false if the daemon has closed the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        match self.0.write_all(bytes) {
            Ok(()) => true,
            Err(error) => {
                let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                assert!(closed.contains(&error.kind()), "{error}");
                false
            }
        }
    }

    /// Sends a request.
    #[track_caller]
    pub(crate) fn request(&mut self, id: u64, request: impl Into<Request>) {
        let mut frame = BytesMut::new();
        write_request(&mut frame, FRAME_BYTES, id, &request.into()).unwrap();
        assert!(self.send(&frame), "the daemon has closed the connection");
    }

    /// Sends a frame of these bytes.
    pub(crate) fn frame(&mut self, content: &[u8]) -> bool {
        let mut frame = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(content);
        self.send(&frame)
    }

    /// The next answer; `None` when the daemon has closed the connection.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let head = self.take(4)?;
        let length = u32::from_be_bytes(head.try_into().unwrap());
        let content = bytes::Bytes::from(self.take(length as usize)?);
        assert_eq!(content[0], 0x93, "no array of three");
        let (id, rest) = integer(&content[1..]);
        let (status, rest) = integer(rest);
        let body = content.slice(content.len() - rest.len()..);
        let status = Status::from_code(status).unwrap();
        Some(Answer { id, status, body })
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        // The daemon may have closed it already.
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.0.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) => {
                let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                assert!(closed.contains(&error.kind()), "{error}");
                None
            }
        }
    }
}

/// A MessagePack integer, and what is behind it.
fn integer(bytes: &[u8]) -> (u64, &[u8]) {
    let width = match bytes[0] {
        0..0x80 => return (u64::from(bytes[0]), &bytes[1..]),
        0xcc => 1,
        0xcd => 2,
        0xce => 4,
        0xcf => 8,
        other => panic!("{other:#x} is no integer"),
    };
    let (digits, rest) = bytes[1..].split_at(width);
    let append = |value, digit: &u8| value << 8 | u64::from(*digit);
    (digits.iter().fold(0, append), rest)
}

/// An ordinary hello.
pub(crate) fn hello() -> Hello {
    Hello {
        versions: vec![kvs_proto::PROTOCOL_VERSION],
        client: kvs_testkit::Random::new(kvs_testkit::Random::fresh_seed())
            .bytes(16)
            .try_into()
            .unwrap(),
        namespaces: Vec::new(),
        software: "raw".into(),
    }
}
