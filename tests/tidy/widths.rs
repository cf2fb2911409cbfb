//! Comments and documents are read in columns of 100 characters. Tables, code and what cannot be
//! broken are left out.

use super::expect_none;
use super::sources::{files, read, rust_files};

/// Characters of a line.
const COLUMNS: usize = 100;

/// Numbers of the lines that are too long; `text` is made of what `prose` finds in a line.
fn long_lines<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<usize> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (at, (line, prose)) in lines.enumerate() {
        let prose = prose.trim();
        let fence = prose.starts_with("```");
        fenced ^= fence;
        let table = prose.starts_with('|') || prose.starts_with("[") && prose.contains("]: ");
        let long = line.chars().count() > COLUMNS;
        // One word, or one code span, cannot be broken.
        let breakable = words(prose) > 1;
        if long && breakable && !fenced && !fence && !table {
            found.push(at + 1);
        }
    }
    found
}

/// The words of a line, each code span counted as one.
fn words(prose: &str) -> usize {
    let spans = prose.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.to_owned(),
        _ => part.replace(' ', "_"),
    });
    spans.collect::<String>().split_whitespace().count()
}

#[test]
fn documents_are_at_most_100_columns_wide() {
    let mut findings = Vec::new();
    for file in files("", &[".md"]) {
        let text = read(&file);
        let lines = long_lines(text.lines().map(|line| (line, line)));
        findings.extend(lines.iter().map(|line| format!("{file}:{line}")));
    }
    expect_none("lines of documents over 100 columns", findings);
}

#[test]
fn comments_are_at_most_100_columns_wide() {
    let mut findings = Vec::new();
    for file in rust_files() {
        let text = read(&file);
        let comment = |line: &'_ str| -> Option<usize> {
            let start = line.trim_start();
            start.starts_with("//").then(|| line.len() - start.len())
        };
        let lines = long_lines(text.lines().map(|line| match comment(line) {
            Some(at) => (line, line[at..].trim_start_matches(['/', '!'])),
            None => ("", ""),
        }));
        findings.extend(lines.iter().map(|line| format!("{file}:{line}")));
    }
    expect_none("comments over 100 columns", findings);
}

#[test]
fn what_cannot_be_broken_may_be_long() {
    let long = "x".repeat(COLUMNS);
    let text = format!("a {long}\n`a {long}`\n| a {long} |\n```\na {long}\n```\na {long}");
    let lines = long_lines(text.lines().map(|line| (line, line)));
    assert_eq!(lines, [1, 7]);
}
