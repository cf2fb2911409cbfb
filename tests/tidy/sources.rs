//! Files of the workspace, and their text without what is no code.
//!
//! [`blank`] keeps every line break, so that what is found in the stripped text can be shown with
//! the line it has in the file.

use std::fs;
use std::path::{Path, PathBuf};

/// The top directory of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_path_buf()
}

/// The text of a file, given from the top directory.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether there is such a file or directory.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// The packages of the workspace: their directories, from the top directory.
pub(crate) fn packages() -> Vec<String> {
    let text = read("Cargo.toml");
    let list = text
        .split("members = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .expect("the workspace has members");
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The last name of a package's directory, which is what people call it.
pub(crate) fn package_name(directory: &str) -> String {
    let text = read(&format!("{directory}/Cargo.toml"));
    let line = text.lines().find(|line| line.starts_with("name = "));
    line.and_then(|line| line.split('"').nth(1))
        .unwrap()
        .to_owned()
}

/// Every file below `directory` whose name ends in one of `endings`, sorted, as paths from the top
/// directory. What is built or hidden is left out, but for `.ci`.
pub(crate) fn files(directory: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let hidden = name.starts_with('.') && name != ".ci";
            if hidden || name == "target" || name == "__pycache__" {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let path = path.strip_prefix(root()).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file of every package.
pub(crate) fn rust_files() -> Vec<String> {
    let mut all: Vec<String> = packages()
        .iter()
        .flat_map(|package| files(package, &[".rs"]))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The text with comments, and the contents of strings and characters, made blank.
pub(crate) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let end = match c {
            '/' if chars.get(at + 1) == Some(&'/') => end_of(&chars, at, |rest| rest[0] == '\n'),
            '/' if chars.get(at + 1) == Some(&'*') => {
                end_of(&chars, at + 2, |rest| rest.starts_with(&['*', '/'])) + 2
            }
            'r' if !is_part_of_name(&chars, at) && raw_hashes(&chars, at).is_some() => {
                let hashes = raw_hashes(&chars, at).unwrap();
                let close: Vec<char> = std::iter::once('"')
                    .chain(std::iter::repeat_n('#', hashes))
                    .collect();
                end_of(&chars, at + hashes + 2, |rest| rest.starts_with(&close)) + close.len()
            }
            '"' => end_of_string(&chars, at),
            '\'' => end_of_char(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(c);
            at += 1;
            continue;
        }
        let end = end.min(chars.len());
        out.extend(
            chars[at..end]
                .iter()
                .map(|&c| if c == '\n' { '\n' } else { ' ' }),
        );
        at = end;
    }
    out
}

fn end_of(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len())
        .find(|&at| is_end(&chars[at..]))
        .unwrap_or(chars.len())
}

fn is_part_of_name(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

/// The number of `#` of a raw string that begins here.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn end_of_string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&c) = chars.get(at) {
        at += match c {
            '\\' => 2,
            '"' => return at + 1,
            _ => 1,
        };
    }
    at
}

/// The end of a character literal; a lifetime is none.
fn end_of_char(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => end_of(chars, at + 3, |rest| rest[0] == '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// Stripped code with everything that is compiled for tests only made blank as well.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let end = at + item_length(&rest[at..]);
        out.extend(rest[at..end].chars().filter(|&c| c == '\n'));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The length of the item at the beginning of `code`: to its `;`, or to the brace that closes it.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let text = "let a = \"use x;\"; // use y\nlet c = '\"'; r#\"use \"z\"#; fn f<'a>() {}\n";
    let code = blank(text);
    assert!(!code.contains("use"), "{code}");
    assert!(code.contains("fn f<'a>() {}"), "{code}");
    assert_eq!(code.lines().count(), 2);
    let code =
        without_tests("a;\n#[cfg(test)]\nmod tests {\n fn f() {}\n}\nb;\n#[cfg(test)]\nmod c;\nd;");
    assert_eq!(code, "a;\n\n\n\n\nb;\n\n\nd;");
}
