//! Public items are there for other crates: what none of them uses is not public.
//!
//! The check goes by names. An item counts as used if another crate, a test or an example has its
//! name, or if a public signature of its own crate has it. Of the client library, which is for
//! users, its own tests and the examples in its documentation count as well.

use std::collections::{BTreeMap, BTreeSet};

use super::expect_none;
use super::sources::{blank, read, rust_files, without_tests};
use super::tokens::tokens;

/// The libraries of the product.
const LIBRARIES: &[&str] = &[
    "kvs-tree",
    "kvs-storage",
    "kvs-engine",
    "kvs-proto",
    "kvs-client",
    "kvs-server",
    "kvs-bench",
];

/// The library that is for users.
const FOR_USERS: &str = "kvs-client";

const KINDS: &[&str] = &["fn", "struct", "enum", "trait", "const", "static", "type"];

/// A public declaration: its name, and where its signature begins and ends among the tokens.
struct Declared<'a> {
    name: &'a str,
    signature: std::ops::Range<usize>,
}

/// The public declarations of some code, fields of structs included under the names of their types.
fn declared<'a>(tokens: &[&'a str]) -> Vec<Declared<'a>> {
    let mut found = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, t)| **t == "pub") {
        if tokens.get(at + 1) == Some(&"(") {
            continue;
        }
        let qualified = ["async", "const", "unsafe"];
        let mut kind = at + 1;
        // `const fn`, but not `const NAME`.
        while qualified.contains(&tokens[kind]) && KINDS.contains(&tokens[kind + 1]) {
            kind += 1;
        }
        let end = (kind..tokens.len()).find(|&end| ["{", ";"].contains(&tokens[end]));
        let mut end = end.unwrap_or(tokens.len());
        if ["enum", "trait"].contains(&tokens[kind]) {
            end = closing(tokens, end);
        }
        let name = if KINDS.contains(&tokens[kind]) {
            tokens[kind + 1]
        } else {
            // A field or a re-export: nothing of its own, but it shows types.
            ""
        };
        found.push(Declared {
            name,
            signature: kind + 2..end.max(kind + 2),
        });
    }
    found
}

/// The place of the brace that closes the one at `open`.
fn closing(tokens: &[&str], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match *token {
            "{" => depth += 1,
            "}" if depth == 1 => return at,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The text of the comments that documentation is made from.
fn documentation(text: &str) -> String {
    let comments = text.lines().map(str::trim_start);
    let comments = comments.filter(|line| line.starts_with("///") || line.starts_with("//!"));
    comments.collect::<Vec<_>>().join("\n")
}

fn is_tests(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// Public items of the libraries that nobody uses, with their files.
pub(crate) fn unused() -> Vec<String> {
    let files: Vec<(String, String)> = rust_files()
        .into_iter()
        .map(|file| (file.clone(), read(&file)))
        .collect();
    let code: BTreeMap<&str, String> = files
        .iter()
        .map(|(file, text)| (file.as_str(), blank(text)))
        .collect();
    let mut findings = Vec::new();
    for library in LIBRARIES {
        let own = format!("crates/{library}/src/");
        let mut used: BTreeSet<&str> = BTreeSet::new();
        let mut documented = Vec::new();
        for (file, text) in &files {
            if !file.starts_with(&own) || (*library == FOR_USERS && is_tests(file)) {
                used.extend(tokens(&code[file.as_str()]));
            } else if *library == FOR_USERS {
                documented.push(documentation(text));
            }
        }
        used.extend(documented.iter().flat_map(|text| tokens(text)));
        let product: Vec<(&str, String)> = code
            .iter()
            .filter(|(file, _)| file.starts_with(&own) && !is_tests(file))
            .map(|(file, code)| (*file, without_tests(code)))
            .collect();
        let product: Vec<(&str, Vec<&str>)> = product
            .iter()
            .map(|(file, code)| (*file, tokens(code)))
            .collect();
        for (_, tokens) in &product {
            let shown = declared(tokens).into_iter();
            used.extend(shown.flat_map(|item| tokens[item.signature].iter().copied()));
        }
        for (file, tokens) in &product {
            let items = declared(tokens).into_iter().map(|item| item.name);
            let unused = items.filter(|name| !name.is_empty() && !used.contains(name));
            findings.extend(unused.map(|name| format!("{file}: {name}")));
        }
    }
    findings
}

#[test]
fn no_public_item_is_unused_by_other_crates() {
    expect_none("public items that no other crate uses", unused());
}

#[test]
fn public_declarations_are_found_with_what_they_show() {
    let code = "pub const fn a(b: C) -> D { e } pub(crate) fn f() {} pub enum G { H(I) } \
                pub struct J { pub k: L } pub const M: usize = 1;";
    let tokens = tokens(code);
    let found = declared(&tokens);
    let names: Vec<&str> = found.iter().map(|item| item.name).collect();
    assert_eq!(names, ["a", "G", "J", "", "M"]);
    let shown = |at: usize| tokens[found[at].signature.clone()].join(" ");
    assert!(shown(0).contains("D") && !shown(0).contains('e'));
    assert!(shown(1).contains("I") && shown(3).contains("L"));
}
