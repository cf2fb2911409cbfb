//! Records are taken apart in one place, so that nothing has to be kept equal to it by hand (RFC
//! 0008).

use super::expect_none;
use super::sources::{blank, read, rust_files, without_tests};

/// The one module that may.
pub(crate) const FOLD: &str = "crates/kvs-engine/src/state/";

/// The places in `code` where a pattern names a kind of record.
fn patterns(code: &str) -> Vec<usize> {
    let uses = code.match_indices("Record::").filter(|&(at, _)| {
        // `VersionRecord::effects` is no kind of record.
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
    });
    let is_pattern = |&(at, name): &(usize, &str)| {
        let before = code[..at].trim_end().trim_end_matches("Some(").trim_end();
        let after = &code[at + name.len()..];
        let kind = after.find(|c: char| !c.is_alphanumeric() && c != '_');
        let after = after[kind.unwrap_or(after.len())..].trim_start();
        let after = after[group(after)..].trim_start_matches([')', ' ', '\n']);
        before.ends_with("let") || after.starts_with("=>") || after.starts_with('|')
    };
    uses.filter(is_pattern).map(|(at, _)| at).collect()
}

/// The length of the bracketed fields that a text begins with.
fn group(text: &str) -> usize {
    let mut depth = 0;
    if !text.starts_with(['(', '{']) {
        return 0;
    }
    for (at, c) in text.char_indices() {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Places outside of the fold that take records apart.
pub(crate) fn outside_the_fold() -> Vec<String> {
    let mut findings = Vec::new();
    for file in rust_files() {
        let product = file.starts_with("crates/") && file.contains("/src/");
        if !product || file.starts_with(FOLD) {
            continue;
        }
        let code = without_tests(&blank(&read(&file)));
        let lines = patterns(&code).into_iter();
        let lines = lines.map(|at| code[..at].lines().count());
        findings.extend(lines.map(|line| format!("{file}:{line}")));
    }
    findings
}

#[test]
fn only_the_fold_takes_records_apart() {
    expect_none(
        "kinds of records are matched outside of the fold",
        outside_the_fold(),
    );
}

#[test]
fn patterns_are_told_from_constructors() {
    for pattern in [
        "match r { Record::Version(v) => 1 }",
        "match r { Record::Shared { name, uid } => 1 }",
        "match r { A | Record::Unpinned { .. } => 1 }",
        "if let Record::Version(record) = record {}",
        "let Some(Record::Version(v)) = last else {}",
        "match r { Ok(Some(Record::Pinned(pin))) => pin }",
    ] {
        assert_eq!(patterns(pattern).len(), 1, "{pattern}");
    }
    for other in [
        "push(Record::PackAdded { pack })",
        "ids.map(|pack| Record::PackAdded { pack }).collect()",
        "Record::Version(Arc::new(v));",
        "VersionRecord::effects(v) => 1",
    ] {
        assert_eq!(patterns(other), [0; 0], "{other}");
    }
}
