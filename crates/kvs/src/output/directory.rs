//! The lines of `kvs dir`: `key = value`, `key.` for a directory, `key -> target` for a link, each
//! cut to the width. Values arrive in pieces, so a line may have any length.

use super::escape::{escape, escape_bytes};
use super::pieces::unfinished;

/// Widths up to this one are unlimited: they leave no room for the dots.
const UNLIMITED: usize = 3;
const DOTS: &str = "...";

/// Writes one line.
///
/// With a width above 3 a value stops at its first newline, and a line that is longer than the
/// width is cut three characters before it; `...` stands for whatever is left out. A newline at the
/// very end of a value is dropped without a mark. A byte that is not UTF-8 counts as one character;
/// a terminal gets it written out, as four.
#[derive(Debug)]
pub(crate) struct DirectoryLine {
    width: usize,
    terminal: bool,
    /// The end of the value so far, if it may be the beginning of a character.
    kept: Vec<u8>,
    /// Characters of the line so far.
    length: usize,
    /// The last of them, which dots may replace.
    last: Vec<u8>,
    /// The value's first newline was passed.
    ended: bool,
    /// Part of the value is left out.
    cut: bool,
}

impl DirectoryLine {
    /// An empty line. Widths up to 3 are unlimited.
    pub(crate) fn new(width: usize, terminal: bool) -> Self {
        Self {
            width,
            terminal,
            kept: Vec::new(),
            length: 0,
            last: Vec::new(),
            ended: false,
            cut: false,
        }
    }

    /// Most bytes of a value that can be shown; `None` if unlimited.
    pub(crate) fn most(width: usize) -> Option<u64> {
        // A character has at most four bytes.
        (width > UNLIMITED).then(|| (width as u64).saturating_add(1).saturating_mul(4))
    }

    /// Appends text other than the value.
    pub(crate) fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let shown = match self.terminal {
            true => escape(text),
            false => text.into(),
        };
        self.characters(shown.as_bytes(), out);
    }

    /// Appends bytes of the value. Returns whether more of it can be shown.
    pub(crate) fn value(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut value = std::mem::take(&mut self.kept);
        value.extend_from_slice(bytes);
        self.kept = value.split_off(value.len() - unfinished(&value));
        self.whole(&value, out)
    }

    /// Notes that the value continues but the rest was not read.
    pub(crate) fn goes_on(&mut self) {
        self.cut = self.ended;
    }

    /// Ends the line.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.kept);
        self.whole(&rest, out);
        let dots = if self.cut { DOTS.len() } else { 0 };
        if self.is_limited() && self.length + dots > self.width {
            out.extend_from_slice(DOTS.as_bytes());
        } else {
            out.extend_from_slice(&self.last);
            if self.cut {
                out.extend_from_slice(DOTS.as_bytes());
            }
        }
        out.push(b'\n');
    }

    /// Adds bytes of the value that end with a character; whether more of it can show.
    fn whole(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.is_limited() {
            self.shown(bytes, out);
            return true;
        }
        if self.ended {
            self.cut |= !bytes.is_empty();
            return !self.cut;
        }
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        self.shown(lines.next().unwrap_or_default(), out);
        if let Some(rest) = lines.next() {
            (self.ended, self.cut) = (true, !rest.is_empty());
        }
        !self.cut && !self.is_full()
    }

    fn shown(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.terminal {
            true => self.characters(escape_bytes(bytes).as_bytes(), out),
            false => self.characters(bytes, out),
        }
    }

    /// Adds characters, and bytes that are none, as far as the width goes.
    fn characters(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.is_limited() {
            out.extend_from_slice(bytes);
            return;
        }
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                self.one(c.encode_utf8(&mut [0; 4]).as_bytes(), out);
            }
            for byte in chunk.invalid() {
                self.one(&[*byte], out);
            }
        }
    }

    fn one(&mut self, character: &[u8], out: &mut Vec<u8>) {
        if self.is_full() {
            return;
        }
        self.length += 1;
        if self.length <= self.width - DOTS.len() {
            out.extend_from_slice(character);
        } else {
            self.last.extend_from_slice(character);
        }
    }

    fn is_limited(&self) -> bool {
        self.width > UNLIMITED
    }

    fn is_full(&self) -> bool {
        self.length > self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a value that comes in pieces of so many bytes.
    fn in_pieces(key: &str, value: &[u8], width: usize, terminal: bool, size: usize) -> Vec<u8> {
        let (mut line, mut out) = (DirectoryLine::new(width, terminal), Vec::new());
        line.text(&format!("{key} = "), &mut out);
        for piece in value.chunks(size) {
            if !line.value(piece, &mut out) {
                break;
            }
        }
        line.finish(&mut out);
        out.strip_suffix(b"\n").unwrap().to_owned()
    }

    /// The line, which is the same in pieces of any length.
    #[track_caller]
    fn line(value: &[u8], width: usize, terminal: bool) -> Vec<u8> {
        let whole = in_pieces("k", value, width, terminal, 1000);
        for size in 1..5 {
            assert_eq!(in_pieces("k", value, width, terminal, size), whole);
        }
        whole
    }

    #[track_caller]
    fn plain(key: &str, value: &str, width: usize) -> String {
        let whole = in_pieces(key, value.as_bytes(), width, false, 1000);
        for size in 1..4 {
            assert_eq!(in_pieces(key, value.as_bytes(), width, false, size), whole);
        }
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn a_value_stands_behind_its_key() {
        assert_eq!(plain("a.b", "c", 80), "a.b = c");
        assert_eq!(plain("a.b", "", 80), "a.b = ");
    }

    #[test]
    fn a_line_as_long_as_the_width_stays_whole() {
        assert_eq!(plain("key", "1234", 10), "key = 1234");
    }

    #[test]
    fn a_longer_line_is_cut_three_before_the_width() {
        assert_eq!(plain("key", "12345", 10), "key = 1...");
        assert_eq!(plain("key", "12345", 4), "k...");
        assert_eq!(plain("key", &"x".repeat(100_000), 10), "key = x...");
    }

    #[test]
    fn widths_of_zero_to_three_are_unlimited() {
        for width in 0..=3 {
            assert_eq!(plain("key", "12345\n6", width), "key = 12345\n6");
        }
    }

    #[test]
    fn a_limited_value_stops_at_its_first_newline() {
        assert_eq!(plain("k", "one\ntwo", 80), "k = one...");
        assert_eq!(plain("k", "one\n", 80), "k = one");
        assert_eq!(plain("k", "123456\nx", 10), "k = 123...");
        let (mut line, mut out) = (DirectoryLine::new(80, false), Vec::new());
        line.value(b"one\n", &mut out);
        line.goes_on();
        line.finish(&mut out);
        assert_eq!(out, b"one...\n");
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(plain("k", "äöüäöü", 9), "k = äö...");
        assert!(DirectoryLine::most(9) >= Some(40) && DirectoryLine::most(3).is_none());
    }

    #[test]
    fn a_terminal_gets_control_characters_written_out() {
        assert_eq!(line(b"\x1b[1m\n\xff", 0, true), b"k = \\u{1b}[1m\\n\\xff");
    }

    #[test]
    fn a_pipe_gets_bytes_that_are_not_utf8_and_a_terminal_their_codes() {
        for value in [
            b"\xff".as_slice(),
            b"a\xffb\xc3",
            b"\xe2\x82",
            b"\xf0\x9f\x98\x80\x80",
            b"\xed\xa0\x80\0\xfe",
        ] {
            let whole = [b"k = ", value].concat();
            for width in [0, 80] {
                assert_eq!(line(value, width, false), whole);
            }
            assert!(line(value, 80, true).starts_with(b"k = "));
        }
        assert_eq!(line(b"a\xff", 80, true), b"k = a\\xff");
        // Each counts as one character, written out as four.
        assert_eq!(line(b"\xff\xfe\xfd\xfc", 8, false), b"k = \xff\xfe\xfd\xfc");
        assert_eq!(line(b"\xff\xfe\xfd\xfc\xfb", 8, false), b"k = \xff...");
        assert_eq!(line(b"\xff", 8, true), b"k = \\xff");
        assert_eq!(line(b"\xffa", 8, true), b"k = \\...");
        assert_eq!(line(b"\xff\n\xff", 80, false), b"k = \xff...");
    }
}
