//! Writes bytes of any length in formats for people and programs, piece by piece. Buffers only the
//! few bytes at the end of a piece that the next may complete.

use data_encoding::BASE64;

use super::escape::{escape_bytes, escape_value};

/// How many bytes at the end of `bytes` may be the beginning of a character whose rest comes with
/// the next piece.
pub(super) fn unfinished(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => return 0,
        };
        return if back + 1 < length { back + 1 } else { 0 };
    }
    0
}

/// Checks whether bytes that arrive in pieces are UTF-8.
#[derive(Debug, Default)]
pub(crate) struct Utf8Check {
    kept: Vec<u8>,
    failed: bool,
}

impl Utf8Check {
    /// Takes the next bytes. Returns whether the whole may still be UTF-8.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        if !self.failed {
            let mut all = std::mem::take(&mut self.kept);
            all.extend_from_slice(bytes);
            let (whole, rest) = all.split_at(all.len() - unfinished(&all));
            self.failed = std::str::from_utf8(whole).is_err();
            self.kept = rest.to_vec();
        }
        !self.failed
    }

    /// Whether all bytes were UTF-8.
    pub(crate) fn is_text(&self) -> bool {
        !self.failed && self.kept.is_empty()
    }
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Unchanged.
    Exact,
    /// For a terminal: newlines and tabs stay; other control characters and invalid UTF-8 are
    /// escaped.
    Terminal,
    /// Within a line: all control characters and what is not UTF-8 are written out.
    Line,
    /// The inside of a JSON string. The bytes must be UTF-8.
    Json,
    Base64,
}

/// Writes one value in an encoding.
#[derive(Debug)]
pub(crate) struct Pieces {
    encoding: Encoding,
    kept: Vec<u8>,
}

impl Pieces {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            kept: Vec::new(),
        }
    }

    /// Writes the next bytes to `out`, except a few that depend on the next piece.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Exact => out.extend_from_slice(bytes),
            // Only single bytes are escaped, so a piece may end inside a character.
            Encoding::Json => json_text(bytes, out),
            Encoding::Base64 => {
                self.kept.extend_from_slice(bytes);
                let (whole, _) = self.kept.split_at(self.kept.len() - self.kept.len() % 3);
                out.extend_from_slice(BASE64.encode(whole).as_bytes());
                let whole = whole.len();
                self.kept.drain(..whole);
            }
            Encoding::Terminal | Encoding::Line => {
                self.kept.extend_from_slice(bytes);
                let whole = self.kept.len() - unfinished(&self.kept);
                let (now, _) = self.kept.split_at(whole);
                text(self.encoding, now, out);
                self.kept.drain(..whole);
            }
        }
    }

    /// Writes the bytes that are still buffered.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Base64 => out.extend_from_slice(BASE64.encode(&self.kept).as_bytes()),
            encoding => text(encoding, &self.kept, out),
        }
    }
}

fn text(encoding: Encoding, bytes: &[u8], out: &mut Vec<u8>) {
    match encoding {
        Encoding::Terminal => out.extend_from_slice(escape_value(bytes).as_bytes()),
        _ => out.extend_from_slice(escape_bytes(bytes).as_bytes()),
    }
}

fn json_text(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
    {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = escaped.split_first() else {
            return;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// A JSON object in two halves, between which the value of a member is written in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Halves {
    pub(crate) before: String,
    pub(crate) after: String,
}

impl Halves {
    /// Splits an object at the first member `name` whose value is `mark`. This cannot match inside
    /// a string, because quotes in strings are escaped.
    pub(crate) fn new(object: &str, name: &str, mark: &str) -> Option<Self> {
        let (before, after) = object.split_once(&format!("\"{name}\":{mark}"))?;
        Some(Self {
            before: format!("{before}\"{name}\":"),
            after: after.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The output for bytes that arrive in pieces of these lengths.
    fn written(encoding: Encoding, bytes: &[u8], lengths: &[usize]) -> Vec<u8> {
        let (mut pieces, mut out, mut rest) = (Pieces::new(encoding), Vec::new(), bytes);
        for length in lengths.iter().cycle() {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            pieces.feed(piece, &mut out);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        pieces.finish(&mut out);
        out
    }

    proptest! {
        #[test]
        fn pieces_are_written_as_the_whole_is(
            text in "[a-zé€😀\\x00-\\x1f\"\\\\\u{202e}]{0,40}",
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            lengths in proptest::collection::vec(1usize..6, 1..5),
        ) {
            for bytes in [text.as_bytes(), &bytes] {
                for (encoding, whole) in [
                    (Encoding::Exact, bytes.to_vec()),
                    (Encoding::Terminal, escape_value(bytes).into_bytes()),
                    (Encoding::Line, escape_bytes(bytes).into_bytes()),
                    (Encoding::Base64, BASE64.encode(bytes).into_bytes()),
                ] {
                    prop_assert_eq!(written(encoding, bytes, &lengths), whole, "{:?}", encoding);
                }
                let mut check = Utf8Check::default();
                for piece in bytes.chunks(lengths[0]) {
                    check.feed(piece);
                }
                prop_assert_eq!(check.is_text(), std::str::from_utf8(bytes).is_ok());
            }
            let json = format!("\"{}\"", String::from_utf8(written(Encoding::Json, text.as_bytes(), &lengths)).unwrap());
            prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn an_object_is_taken_apart_at_its_own_member_and_not_within_a_string() {
        let key = "\"value\":\"\\u0000\"";
        let object = serde_json::json!({ "key": key, "value": "\0", "z": 1 }).to_string();
        let halves = Halves::new(&object, "value", "\"\\u0000\"").unwrap();
        assert!(halves.before.ends_with("\",\"value\":"), "{halves:?}");
        assert_eq!(halves.after, ",\"z\":1}");
        assert_eq!(Halves::new(&object, "other", "1"), None);
    }
}
