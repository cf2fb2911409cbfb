//! Decodes events from bytes that arrive in pieces: ranges of a long log, or appends to a followed
//! one. Holds at most one unfinished line in memory.

use super::entry::{Entry, Malformed};
use crate::limits::EVENTLOG_LINE_BYTES;

/// Decodes a log from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    unfinished: Vec<u8>,
}

impl Decoder {
    /// Returns the events that `bytes` complete. With an error, returns also the events before the
    /// malformed one.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (Vec<Entry>, Result<(), Malformed>) {
        let mut entries = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.unfinished.len() + line.len() > EVENTLOG_LINE_BYTES {
                return (entries, Err(Malformed));
            }
            self.unfinished.extend_from_slice(line);
            if line.last() != Some(&b'\n') {
                break;
            }
            let whole = std::mem::take(&mut self.unfinished);
            let text = whole.strip_suffix(b"\n").unwrap_or(&whole);
            let entry = std::str::from_utf8(text).map_err(|_| Malformed);
            match entry.and_then(Entry::parse) {
                Ok(entry) => entries.push(entry),
                Err(malformed) => return (entries, Err(malformed)),
            }
        }
        (entries, Ok(()))
    }

    /// Checks that the log may end here: the last line must be complete.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.unfinished.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "{\"timestamp\":1.0,\"name\":\"é\"}\n{\"timestamp\":2.0,\"name\":\"b\"}\n";

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        for cut in 0..=LOG.len() {
            let (first, second) = LOG.as_bytes().split_at(cut);
            let mut decoder = Decoder::default();
            let (mut entries, _) = decoder.feed(first);
            entries.extend(decoder.feed(second).0);
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            assert_eq!(names, ["é", "b"], "{cut}");
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn an_empty_log_has_no_events() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b""), (Vec::new(), Ok(())));
        assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn an_unended_line_is_malformed_only_at_the_end() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"foo"), (Vec::new(), Ok(())));
        assert_eq!(decoder.finish(), Err(Malformed));
    }

    #[test]
    fn blank_lines_and_other_bytes_are_malformed() {
        for bad in [&b"\n"[..], b"foo\n", b"\xff\n"] {
            let mut decoder = Decoder::default();
            let bytes = [LOG.as_bytes(), bad, LOG.as_bytes()].concat();
            let (entries, result) = decoder.feed(&bytes);
            assert_eq!((entries.len(), result), (2, Err(Malformed)));
        }
    }
}
