//! Every file has a header, stays short, is compiled, and holds nothing unfinished and no trace of
//! the machine on which it was written.

use std::collections::BTreeSet;

use super::expect_none;
use super::modules::all;
use super::sources::{blank, files, read, rust_files, without_tests};

/// Most lines of a file, its tests not counted.
const FILE_LINES: usize = 400;

#[test]
fn every_file_begins_with_a_header() {
    let bare = rust_files().into_iter().filter(|file| {
        let text = read(file);
        let first = text
            .lines()
            .find(|line| !line.starts_with("#!"))
            .unwrap_or_default();
        first.trim_start_matches("//!").trim().is_empty() || !first.starts_with("//!")
    });
    expect_none("files without a header", bare.collect());
}

/// Files of too many lines.
pub(crate) fn long() -> Vec<String> {
    let modules = all();
    let tests: BTreeSet<&str> = modules
        .values()
        .flat_map(|modules| &modules.0)
        .filter(|module| module.test)
        .map(|module| module.file.as_str())
        .collect();
    let mut findings = Vec::new();
    for file in rust_files() {
        if tests.contains(file.as_str()) || is_test(&file) {
            continue;
        }
        let lines = lines_without_tests(&file);
        if lines >= FILE_LINES {
            findings.push(format!("{file}: {lines} lines"));
        }
    }
    findings
}

#[test]
fn no_file_is_long() {
    expect_none("long files", long());
}

/// The lines of a file, those that are compiled for tests only left out.
pub(crate) fn lines_without_tests(file: &str) -> usize {
    let text = read(file);
    let code = blank(&text);
    let in_tests = code.lines().count() - lines_outside_tests(&code);
    text.lines().count() - in_tests
}

/// Whether the file is of a test binary.
fn is_test(file: &str) -> bool {
    file.contains("/tests/") || (file.starts_with("tests/") && !file.starts_with("tests/src/"))
}

/// Lines that do not belong to an item that is compiled for tests only.
fn lines_outside_tests(code: &str) -> usize {
    let kept = without_tests(code);
    let pairs = code.lines().zip(kept.lines());
    // A line that only tests have is blank in the one and not in the other; blank lines between
    // them count as outside, which errs on the strict side.
    code.lines().count()
        - pairs
            .filter(|(all, kept)| all.trim() != kept.trim())
            .count()
}

#[test]
fn every_file_is_compiled() {
    let modules = all();
    let known: BTreeSet<&str> = modules
        .values()
        .flat_map(|modules| &modules.0)
        .map(|module| module.file.as_str())
        .collect();
    let forgotten = rust_files()
        .into_iter()
        .filter(|file| !known.contains(file.as_str()));
    expect_none("files that no module declares", forgotten.collect());
}

#[test]
fn nothing_is_unfinished_or_left_out() {
    let marks = ["#[ignore", "todo!", "unimplemented!"];
    let mut findings = Vec::new();
    for file in rust_files() {
        let code = blank(&read(&file));
        for (number, line) in code.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                findings.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    expect_none("unfinished or ignored", findings);
}

#[test]
fn no_file_names_a_directory_of_somebodys_machine() {
    // Put together, so that this file does not find itself.
    let homes = ["ho", "ro", "Use"].map(|start| match start {
        "ho" => format!("/{start}me/"),
        "ro" => format!("/{start}ot/"),
        _ => format!("/{start}rs/"),
    });
    let mut findings = Vec::new();
    for file in files("", &[".rs", ".md", ".toml", ".py", ".sh", ".yml", "run"]) {
        for (number, line) in read(&file).lines().enumerate() {
            if homes.iter().any(|home| line.contains(home.as_str())) {
                findings.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    expect_none("paths of a machine", findings);
}
