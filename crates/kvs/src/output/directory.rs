//! The lines of `kvs dir`: `key = value`, `key.` for a directory, `key -> target` for a link, each
//! cut to the width. A value comes piece by piece, so a line may be of any length.

use super::escape::escape;
use super::pieces::{Encoding, Pieces};

/// Widths up to this one mean "as long as it is": they leave no room for the dots.
const UNLIMITED: usize = 3;
/// What a cut line ends in.
const DOTS: &str = "...";

/// Writes one line.
///
/// With a width above 3 a value stops at its first newline, and a line that is longer than the
/// width is cut three characters before it; `...` stands for whatever is left out. A newline at the
/// very end of a value is dropped without a mark.
#[derive(Debug)]
pub(crate) struct DirectoryLine {
    width: usize,
    terminal: bool,
    value: Pieces,
    /// Characters of the line so far.
    length: usize,
    /// The last of them, which dots may replace.
    last: String,
    /// The value's first newline was passed.
    ended: bool,
    /// Something of the value is left out.
    cut: bool,
}

impl DirectoryLine {
    /// An empty line; a width up to 3 is none.
    pub(crate) fn new(width: usize, terminal: bool) -> Self {
        Self {
            width,
            terminal,
            value: Pieces::new(Encoding::Text),
            length: 0,
            last: String::new(),
            ended: false,
            cut: false,
        }
    }

    /// How many bytes of a value may show; `None` for all of them.
    pub(crate) fn most(width: usize) -> Option<u64> {
        // A character takes at most four.
        (width > UNLIMITED).then(|| (width as u64).saturating_add(1).saturating_mul(4))
    }

    /// Adds text that is no value.
    pub(crate) fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !self.is_limited() {
            out.extend_from_slice(self.shown(text).as_bytes());
            return;
        }
        let room = self.width - DOTS.len();
        for c in self.shown(text).chars() {
            if self.is_full() {
                return;
            }
            self.length += 1;
            if self.length <= room {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                self.last.push(c);
            }
        }
    }

    /// Adds bytes of the value; whether more of it can show.
    pub(crate) fn value(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let mut text = Vec::new();
        self.value.feed(bytes, &mut text);
        self.decoded(&text, out)
    }

    /// The value goes on, but no more of it is at hand.
    pub(crate) fn goes_on(&mut self) {
        self.cut = self.ended;
    }

    /// Ends the line.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        std::mem::replace(&mut self.value, Pieces::new(Encoding::Text)).finish(&mut text);
        self.decoded(&text, out);
        let dots = if self.cut { DOTS.len() } else { 0 };
        if self.is_limited() && self.length + dots > self.width {
            out.extend_from_slice(DOTS.as_bytes());
        } else {
            out.extend_from_slice(self.last.as_bytes());
            if self.cut {
                out.extend_from_slice(DOTS.as_bytes());
            }
        }
        out.push(b'\n');
    }

    fn decoded(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let text = String::from_utf8_lossy(text);
        if !self.is_limited() {
            self.text(&text, out);
            return true;
        }
        if self.ended {
            self.cut |= !text.is_empty();
            return !self.cut;
        }
        match text.split_once('\n') {
            Some((first, rest)) => {
                self.text(first, out);
                (self.ended, self.cut) = (true, !rest.is_empty());
            }
            None => self.text(&text, out),
        }
        !self.cut && !self.is_full()
    }

    fn shown<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        match self.terminal {
            true => escape(text),
            false => text.into(),
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
    fn in_pieces(key: &str, value: &[u8], width: usize, terminal: bool, size: usize) -> String {
        let (mut line, mut out) = (DirectoryLine::new(width, terminal), Vec::new());
        line.text(&format!("{key} = "), &mut out);
        for piece in value.chunks(size) {
            if !line.value(piece, &mut out) {
                break;
            }
        }
        line.finish(&mut out);
        let line = String::from_utf8(out).unwrap();
        line.strip_suffix('\n').unwrap().to_owned()
    }

    #[track_caller]
    fn plain(key: &str, value: &str, width: usize) -> String {
        let whole = in_pieces(key, value.as_bytes(), width, false, 1000);
        for size in 1..4 {
            assert_eq!(in_pieces(key, value.as_bytes(), width, false, size), whole);
        }
        whole
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
        let line = in_pieces("k", b"\x1b[1m\n\xff", 0, true, 2);
        assert_eq!(line, "k = \\u{1b}[1m\\n\u{fffd}");
    }
}
