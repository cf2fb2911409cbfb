//! The column layout of `kvs ls`: names from left to right, all columns as wide as the longest name
//! plus four spaces, no trailing spaces.

/// Spaces between the longest name and the next column.
const GAP: usize = 4;

/// Lays out names in lines of at most `width` characters (`None`: one line). A line has at least
/// one name, however long.
#[derive(Debug)]
pub(crate) struct Columns {
    column: usize,
    in_line: usize,
    /// Names in the current line.
    placed: usize,
    /// Characters of the last name.
    last: usize,
}

impl Columns {
    /// Columns for names of at most `longest` characters.
    pub(crate) fn new(longest: usize, width: Option<usize>) -> Self {
        let column = longest + GAP;
        Self {
            column,
            in_line: width.map_or(usize::MAX, |width| width / column).max(1),
            placed: 0,
            last: 0,
        }
    }

    /// Appends the next name to `out`, with the padding or newline before it.
    pub(crate) fn name(&mut self, name: &str, out: &mut String) {
        if self.placed == self.in_line {
            out.push('\n');
            self.placed = 0;
        } else if self.placed > 0 {
            let space = self.column.saturating_sub(self.last);
            out.extend(std::iter::repeat_n(' ', space));
        }
        out.push_str(name);
        self.placed += 1;
        self.last = name.chars().count();
    }

    /// Ends the last line, if there is one.
    pub(crate) fn finish(self, out: &mut String) {
        if self.placed > 0 {
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str], width: Option<usize>) -> String {
        let longest = names.iter().map(|name| name.chars().count()).max();
        let mut columns = Columns::new(longest.unwrap_or(0), width);
        let mut out = String::new();
        for name in names {
            columns.name(name, &mut out);
        }
        columns.finish(&mut out);
        out
    }

    #[test]
    fn columns_are_as_wide_as_the_longest_name_and_four() {
        let names = ["a", "bcd", "e", "f", "g"];
        assert_eq!(columns(&names, Some(21)), "a      bcd    e\nf      g\n");
    }

    #[test]
    fn fifty_names_of_four_make_five_ten_or_twenty_five_lines() {
        let names: Vec<String> = (0..50).map(|n| format!("{n:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(columns(&names, Some(80)).lines().count(), 5);
        assert_eq!(columns(&names, Some(40)).lines().count(), 10);
        assert_eq!(columns(&names, Some(20)).lines().count(), 25);
    }

    #[test]
    fn a_narrow_width_gives_one_name_a_line() {
        assert_eq!(columns(&["abc", "d"], Some(1)), "abc\nd\n");
    }

    #[test]
    fn no_width_gives_one_line() {
        assert_eq!(columns(&["abc", "d", "e"], None), "abc    d      e\n");
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(columns(&[], Some(80)), "");
    }

    #[test]
    fn width_counts_characters_not_bytes() {
        assert_eq!(columns(&["äö", "b"], Some(12)), "äö    b\n");
    }
}
