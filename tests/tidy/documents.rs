//! The documents name files that exist, and the map of the code leaves no part of it out.

use std::collections::HashSet;

use super::expect_none;
use super::sources::{exists, files, packages, read};

/// Documents whose file names are checked.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs",
    "rfcs",
];

/// Directories of the project that documents name files in.
const TOP: &[&str] = &["crates", "tests", "benches", "docs", "rfcs", ".ci"];

fn is_file_name(text: &str) -> bool {
    let endings = [".rs", ".md", ".toml", ".py", ".sh"];
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let named = endings.iter().any(|ending| text.ends_with(ending)) && text.len() > 4;
    plain && named && !text.starts_with('.')
}

/// Names in a document's code that `is_name` accepts, each with the directory that the section is
/// about: a heading may name one, and names below it may be given from there.
fn named(text: &str, is_name: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut directory = String::new();
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        if line.starts_with('#') {
            let named = line.split('`').nth(1).unwrap_or_default();
            directory = if exists(named) {
                named.trim_end_matches('/').to_owned()
            } else {
                String::new()
            };
        }
        for name in line.split('`').skip(1).step_by(2) {
            if is_name(name) {
                found.push((directory.clone(), name.to_owned()));
            }
        }
    }
    found
}

#[test]
fn the_map_of_the_code_names_only_what_exists() {
    let text = read("docs/ARCHITECTURE.md");
    let findings = named(&text, is_file_name)
        .into_iter()
        .filter(|(directory, name)| {
            let near = [
                format!("{directory}/{name}"),
                format!("{directory}/src/{name}"),
            ];
            !exists(name) && (directory.is_empty() || !near.iter().any(|path| exists(path)))
        });
    expect_none(
        "docs/ARCHITECTURE.md names what is not there",
        findings
            .map(|(directory, name)| format!("{name} ({directory})"))
            .collect(),
    );
}

/// All documents of the project.
fn documents() -> Vec<String> {
    let all = DOCUMENTS.iter();
    all.flat_map(|name| match name.ends_with(".md") {
        true => vec![(*name).to_owned()],
        false => files(name, &[".md"]),
    })
    .collect()
}

/// Whether a text in code is a path of the project: it begins with one of its directories, or
/// ends as a file does.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let first = text.split('/').next().unwrap_or_default();
    let inside = TOP.contains(&first) && text.chars().all(plain);
    text.contains('/') && (inside || is_file_name(text))
}

#[test]
fn paths_in_documents_lead_to_files() {
    let names: HashSet<String> = TOP
        .iter()
        .flat_map(|top| files(top, &[".rs", ".py", ".sh"]))
        .filter_map(|path| Some(path.rsplit_once('/')?.1.to_owned()))
        .collect();
    let mut findings = Vec::new();
    for document in documents() {
        let text = read(&document);
        for (directory, name) in named(&text, is_path) {
            // The map gives some from the directory of their section; it has a test of its own.
            if !exists(&name) && !exists(&joined(&directory, &name)) {
                findings.push(format!("{document}: {name}"));
            }
        }
        for (_, name) in named(&text, is_file_name) {
            let checked = !name.contains('/') && !name.ends_with(".md") && !name.ends_with(".toml");
            if checked && !names.contains(&name) {
                findings.push(format!("{document}: {name}"));
            }
        }
    }
    expect_none("documents name what is not there", findings);
}

#[test]
fn the_map_of_the_code_has_every_part_of_every_crate() {
    let text = read("docs/ARCHITECTURE.md");
    let mut findings = Vec::new();
    for package in packages()
        .iter()
        .filter(|package| package.starts_with("crates/"))
    {
        let heading = format!("# `{package}`");
        let section = text
            .split(&heading)
            .nth(1)
            .and_then(|rest| rest.split("\n#").next())
            .unwrap_or_default();
        for file in files(&format!("{package}/src"), &[".rs"]) {
            let inside = file
                .trim_start_matches(&format!("{package}/src/"))
                .to_owned();
            let top = match inside.split_once('/') {
                Some((directory, _)) => format!("`{directory}/"),
                None => format!("`{inside}`"),
            };
            let as_file = top.trim_end_matches('/').to_owned() + ".rs`";
            let module = ["lib.rs", "main.rs", "tests.rs"].contains(&inside.as_str())
                || inside.starts_with("tests/");
            if !module && !section.contains(&top) && !section.contains(&as_file) {
                findings.push(format!("{package}: {inside}"));
            }
        }
    }
    expect_none("docs/ARCHITECTURE.md leaves out", findings);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for document in documents() {
        let text = read(&document);
        let directory = document
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            let outside = path.contains("://") || path.is_empty();
            if !outside && !exists(&joined(directory, path)) {
                findings.push(format!("{document}: {target}"));
            }
        }
    }
    expect_none("links that lead nowhere", findings);
}

fn joined(directory: &str, path: &str) -> String {
    if directory.is_empty() {
        return path.to_owned();
    }
    format!("{directory}/{path}")
}
