//! The column layout of `kvs ls`: names from left to right, in columns all as wide as the longest
//! name and four spaces, nothing behind the last name of a line.

/// Spaces between the longest name and the next column.
const GAP: usize = 4;

/// Lays names out in lines of at most `width` characters (`None`: one line), each line ended.
///
/// A line has at least one name, however long. No names give no lines.
pub(crate) fn columns(names: &[String], width: Option<usize>) -> String {
    let column = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        + GAP;
    let in_line = width.map_or(names.len(), |width| width / column).max(1);
    let mut out = String::new();
    for line in names.chunks(in_line) {
        let mut names = line.iter().peekable();
        while let Some(name) = names.next() {
            out.push_str(name);
            if names.peek().is_some() {
                out.extend(std::iter::repeat_n(' ', column - name.chars().count()));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_the_longest_name_and_four() {
        let names = names(&["a", "bcd", "e", "f", "g"]);
        assert_eq!(columns(&names, Some(21)), "a      bcd    e\nf      g\n");
    }

    #[test]
    fn fifty_names_of_four_make_five_ten_or_twenty_five_lines() {
        let names: Vec<String> = (0..50).map(|n| format!("{n:04}")).collect();
        assert_eq!(columns(&names, Some(80)).lines().count(), 5);
        assert_eq!(columns(&names, Some(40)).lines().count(), 10);
        assert_eq!(columns(&names, Some(20)).lines().count(), 25);
    }

    #[test]
    fn a_narrow_width_gives_one_name_a_line() {
        assert_eq!(columns(&names(&["abc", "d"]), Some(1)), "abc\nd\n");
    }

    #[test]
    fn no_width_gives_one_line() {
        assert_eq!(
            columns(&names(&["abc", "d", "e"]), None),
            "abc    d      e\n"
        );
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(columns(&[], Some(80)), "");
    }

    #[test]
    fn width_counts_characters_not_bytes() {
        assert_eq!(columns(&names(&["äö", "b"]), Some(12)), "äö    b\n");
    }
}
