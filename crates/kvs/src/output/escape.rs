//! Makes text safe for a terminal: a key or value must not be able to move another user's cursor,
//! change the window title or hide a line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes every control character (`\n`, `\t`, `\u{1b}`), so that a line stays one line. Text
/// without control characters is not copied.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hostile) {
        Cow::Owned(written_out(text, |_| false))
    } else {
        Cow::Borrowed(text)
    }
}

/// The same for bytes: every one that is not UTF-8 is written out as well (`\xff`).
pub(crate) fn escape_bytes(value: &[u8]) -> String {
    escaped(value, |_| false)
}

/// A value as a terminal may get it: line ends and tabs stay, other control characters are written
/// out, and so is every byte that is not UTF-8 (`\xff`).
pub(crate) fn escape_value(value: &[u8]) -> String {
    escaped(value, |c| c == '\n' || c == '\t')
}

fn escaped(value: &[u8], keep: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.push_str(&written_out(chunk.valid(), &keep));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Control characters and Unicode direction overrides.
fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn written_out(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) && !keep(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(
            escape("lwj.17.état"),
            Cow::Borrowed("lwj.17.état")
        ));
    }

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(
            escape("a\u{1b}[2Jb\n\tc\u{7f}\u{9b}"),
            "a\\u{1b}[2Jb\\n\\tc\\u{7f}\\u{9b}"
        );
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
    }

    #[test]
    fn a_value_keeps_its_lines() {
        assert_eq!(escape_value(b"a\n\tb\r\x1b\xffc"), "a\n\tb\\r\\u{1b}\\xffc");
        assert_eq!(escape_bytes(b"a\n\xc3\xa9\xffc"), "a\\né\\xffc");
    }
}
