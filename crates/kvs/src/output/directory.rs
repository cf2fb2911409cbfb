//! The lines of `kvs dir`: `key = value`, `key.` for a directory, `key -> target` for a link, each
//! cut to the width.

use super::escape::escape;

/// What is shown behind a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The bytes of a value.
    Value(Vec<u8>),
    /// A directory.
    Directory,
    /// A link: `target` or `namespace::target`.
    Link(String),
}

/// Widths up to this one mean "as long as it is": they leave no room for the dots.
const UNLIMITED: usize = 3;
/// What a cut line ends in.
const DOTS: &str = "...";

/// One line of `kvs dir`, not ended.
///
/// With a width above 3 a value stops at its first newline, and a line that is longer than the width
/// is cut three characters before it; `...` stands for whatever is left out. A newline at the very
/// end of a value is dropped without a mark. `keys_only` shows nothing behind the key.
pub(crate) fn directory_line(
    key: &str,
    shown: &Shown,
    keys_only: bool,
    width: usize,
    terminal: bool,
) -> String {
    let limited = width > UNLIMITED;
    let (line, cut_value) = match shown {
        Shown::Directory => (format!("{key}."), false),
        _ if keys_only => (key.to_owned(), false),
        Shown::Link(target) => (format!("{key} -> {target}"), false),
        Shown::Value(value) => {
            let text = String::from_utf8_lossy(value);
            match text.split_once('\n') {
                Some((first, rest)) if limited => (format!("{key} = {first}"), !rest.is_empty()),
                _ => (format!("{key} = {text}"), false),
            }
        }
    };
    let line = if terminal {
        escape(&line).into_owned()
    } else {
        line
    };
    if !limited {
        return line;
    }
    let length = line.chars().count() + if cut_value { DOTS.len() } else { 0 };
    if length > width {
        let kept: String = line.chars().take(width - DOTS.len()).collect();
        kept + DOTS
    } else if cut_value {
        line + DOTS
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Shown {
        Shown::Value(text.as_bytes().to_vec())
    }

    fn plain(key: &str, shown: &Shown, width: usize) -> String {
        directory_line(key, shown, false, width, false)
    }

    #[test]
    fn each_kind_has_its_form() {
        assert_eq!(plain("a.b", &value("c"), 80), "a.b = c");
        assert_eq!(plain("a.b", &value(""), 80), "a.b = ");
        assert_eq!(plain("a.b", &Shown::Directory, 80), "a.b.");
        assert_eq!(plain("a.b", &Shown::Link("x.y".into()), 80), "a.b -> x.y");
        assert_eq!(
            plain("a.b", &Shown::Link("ns::x.y".into()), 80),
            "a.b -> ns::x.y"
        );
    }

    #[test]
    fn a_line_as_long_as_the_width_stays_whole() {
        assert_eq!(plain("key", &value("1234"), 10), "key = 1234");
    }

    #[test]
    fn a_longer_line_is_cut_three_before_the_width() {
        assert_eq!(plain("key", &value("12345"), 10), "key = 1...");
        assert_eq!(plain("key", &value("12345"), 4), "k...");
    }

    #[test]
    fn widths_of_zero_to_three_are_unlimited() {
        for width in 0..=3 {
            assert_eq!(plain("key", &value("12345\n6"), width), "key = 12345\n6");
        }
    }

    #[test]
    fn a_limited_value_stops_at_its_first_newline() {
        assert_eq!(plain("k", &value("one\ntwo"), 80), "k = one...");
        assert_eq!(plain("k", &value("one\n"), 80), "k = one");
        assert_eq!(plain("k", &value("123456\nx"), 10), "k = 123...");
    }

    #[test]
    fn keys_only_shows_no_value_and_marks_directories() {
        assert_eq!(directory_line("k", &value("v"), true, 80, false), "k");
        assert_eq!(
            directory_line("k", &Shown::Link("t".into()), true, 80, false),
            "k"
        );
        assert_eq!(
            directory_line("k", &Shown::Directory, true, 80, false),
            "k."
        );
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(plain("k", &value("äöüäöü"), 9), "k = äö...");
    }

    #[test]
    fn a_terminal_gets_control_characters_written_out() {
        assert_eq!(
            directory_line("k", &value("\u{1b}[1m"), false, 0, true),
            "k = \\u{1b}[1m"
        );
    }
}
