//! The subset of HTTP/2 that gRPC on one host needs: requests with a fixed set of headers, and
//! answers of which only the data matters. Received headers are not decoded.

use anyhow::{Context, bail, ensure};

/// The client's connection preface.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Size of a frame header in bytes.
const HEAD: usize = 9;

/// Initial flow-control window in bytes.
const WINDOW: i64 = 65_535;

/// Maximum window size, so that the peer is never blocked.
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// The window is reopened after this many received bytes.
const OPEN_EVERY: u32 = 1 << 30;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Setting: initial window of a new stream, in bytes.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Indexes in the static table of HPACK.
const METHOD_POST: u8 = 0x80 | 3;
const SCHEME_HTTP: u8 = 0x80 | 6;
const AUTHORITY: u8 = 1;
const PATH: u8 = 4;
const CONTENT_TYPE: u8 = 31;

/// A literal header field added to the dynamic table.
const INDEXED: u8 = 0x40;

/// The newest entry of the dynamic table, as an indexed field.
const NEWEST: u8 = 0x80 | 62;

/// The client side of a connection.
pub(crate) struct Http2 {
    next_stream: u32,
    /// The path whose headers are in the dynamic table.
    path: &'static str,
    /// Bytes of data that may still be sent.
    window: i64,
    received: u32,
}

/// A received event.
pub(crate) enum Came<'a> {
    /// A message.
    Message(&'a [u8]),
    /// The end of an answer.
    End,
    /// Headers, or a frame that concerns the connection.
    Nothing,
}

impl Http2 {
    /// Appends the connection preface and settings.
    pub(crate) fn open(out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(PREFACE);
        head(out, 6, SETTINGS, 0, 0);
        out.extend_from_slice(&INITIAL_WINDOW_SIZE.to_be_bytes());
        out.extend_from_slice(&LARGEST_WINDOW.to_be_bytes());
        open_window(out, LARGEST_WINDOW - WINDOW as u32);
        Self {
            next_stream: 1,
            path: "",
            window: WINDOW,
            received: 0,
        }
    }

    /// Appends a gRPC request with one message; `last` closes the stream for sending.
    pub(crate) fn request(
        &mut self,
        path: &'static str,
        message: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let stream = self.next_stream;
        self.next_stream += 2;
        let start = out.len();
        head(out, 0, HEADERS, END_HEADERS, stream);
        out.extend_from_slice(&[METHOD_POST, SCHEME_HTTP]);
        if self.path == path {
            // In the original order: pseudo-headers must come first.
            out.extend_from_slice(&[NEWEST + 3, NEWEST + 2, NEWEST + 1, NEWEST]);
        } else {
            self.path = path;
            for (name, value) in [
                (PATH, path),
                (AUTHORITY, "localhost"),
                (CONTENT_TYPE, "application/grpc"),
                (0, "trailers"),
            ] {
                out.push(INDEXED | name);
                if name == 0 {
                    text(out, "te");
                }
                text(out, value);
            }
        }
        let length = (out.len() - start - HEAD) as u32;
        let bytes = length.to_be_bytes();
        if let (Some(field), [_, rest @ ..]) = (out.get_mut(start..start + 3), bytes) {
            field.copy_from_slice(&rest);
        }
        let length = 5 + message.len() as u32;
        self.window -= i64::from(length);
        ensure!(self.window >= 0, "more in flight than the window holds");
        head(out, length, DATA, if last { END_STREAM } else { 0 }, stream);
        out.push(0);
        out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        out.extend_from_slice(message);
        Ok(())
    }

    /// Consumes one frame from the front of `input`; `None` if it is incomplete. Returns the bytes
    /// consumed and the event.
    pub(crate) fn take<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
    ) -> anyhow::Result<Option<(usize, Came<'a>)>> {
        let Some([a, b, c, kind, flags, _stream @ ..]) = input.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let end = HEAD + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some(payload) = input.get(HEAD..end) else {
            return Ok(None);
        };
        let came = match *kind {
            DATA => {
                self.received += payload.len() as u32;
                if self.received >= OPEN_EVERY {
                    open_window(out, self.received);
                    self.received = 0;
                }
                match payload.split_at_checked(5) {
                    Some(([0, length @ ..], message)) => {
                        let whole = length == (message.len() as u32).to_be_bytes();
                        ensure!(whole, "a message is not in one frame");
                        Came::Message(message)
                    }
                    _ => bail!("data that is no message"),
                }
            }
            HEADERS if flags & END_STREAM != 0 => Came::End,
            SETTINGS if flags & ACK == 0 => {
                head(out, 0, SETTINGS, ACK, 0);
                Came::Nothing
            }
            PING if flags & ACK == 0 => {
                head(out, payload.len() as u32, PING, ACK, 0);
                out.extend_from_slice(payload);
                Came::Nothing
            }
            WINDOW_UPDATE => {
                let more = payload.first_chunk().context("a short frame")?;
                // Updates of a single stream do not matter: streams are short.
                if input.get(5..HEAD) == Some(&[0; 4]) {
                    self.window += i64::from(u32::from_be_bytes(*more));
                }
                Came::Nothing
            }
            RST_STREAM | GOAWAY => bail!("the request was refused: {payload:?}"),
            _ => Came::Nothing,
        };
        Ok(Some((end, came)))
    }
}

fn head(out: &mut Vec<u8>, length: u32, kind: u8, flags: u8, stream: u32) {
    let [_, length @ ..] = length.to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

fn open_window(out: &mut Vec<u8>, bytes: u32) {
    head(out, 4, WINDOW_UPDATE, 0, 0);
    out.extend_from_slice(&bytes.to_be_bytes());
}

/// Appends a string of less than 127 bytes without compression.
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sent_whole_once_and_then_by_number() {
        let mut out = Vec::new();
        let mut http = Http2::open(&mut out);
        out.clear();
        http.request("/a/B", b"xyz", true, &mut out).unwrap();
        assert!(out.windows(4).any(|four| four == b"/a/B"));
        out.clear();
        http.request("/a/B", b"xyz", true, &mut out).unwrap();
        assert_eq!(out.len(), HEAD + 6 + HEAD + 5 + 3);
        assert_eq!(out.get(..HEAD), Some(&[0, 0, 6, 1, 4, 0, 0, 0, 3][..]));
    }

    #[test]
    fn a_ping_is_answered_and_a_message_is_unpacked() {
        let mut http = Http2::open(&mut Vec::new());
        let mut input = Vec::new();
        head(&mut input, 8, PING, 0, 0);
        input.extend_from_slice(b"12345678");
        let mut out = Vec::new();
        let (taken, came) = http.take(&input, &mut out).unwrap().unwrap();
        assert!(taken == input.len() && matches!(came, Came::Nothing));
        assert!(out.ends_with(b"12345678") && out.get(4) == Some(&ACK));
        let mut input = Vec::new();
        head(&mut input, 7, DATA, 0, 1);
        input.extend_from_slice(b"\0\0\0\0\x02ok");
        assert!(http.take(&input[..10], &mut out).unwrap().is_none());
        let (_, came) = http.take(&input, &mut out).unwrap().unwrap();
        assert!(matches!(came, Came::Message(b"ok")));
    }
}
