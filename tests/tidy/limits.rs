//! Every limit stands in `docs/LIMITS.md` with the value that it has, names a test that exists, and
//! is used by code.

use super::expect_none;
use super::sources::{blank, exists, package_name, packages, read, rust_files, without_tests};
use super::tokens::tokens;

struct Limit {
    package: String,
    name: String,
    /// As it is written.
    value: String,
}

/// The constants of every `limits.rs`.
fn limits() -> Vec<Limit> {
    let mut found = Vec::new();
    for package in packages() {
        let file = format!("{package}/src/limits.rs");
        if !exists(&file) {
            continue;
        }
        let text = read(&file);
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        for item in code.split(';') {
            let Some((head, value)) = item.split_once('=') else {
                continue;
            };
            let Some((_, head)) = head.split_once("const ") else {
                continue;
            };
            let name = head.split(':').next().unwrap_or_default();
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(Limit {
                package: package_name(&package),
                name: name.trim().to_owned(),
                value,
            });
        }
    }
    assert!(found.len() > 50, "the limits are not found any more");
    found
}

/// The rows of the table: their cells.
fn rows() -> Vec<Vec<String>> {
    let text = read("docs/LIMITS.md");
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_has_every_limit_with_its_value_and_nothing_else() {
    let (limits, rows) = (limits(), rows());
    let mut findings = Vec::new();
    for Limit {
        package,
        name,
        value,
    } in &limits
    {
        let row = rows
            .iter()
            .find(|row| row[0] == format!("`{name}`") && row[1] == *package);
        match row {
            None => findings.push(format!("{package}: {name} = {value} is not in the table")),
            Some(row) if quoted(&row[2]).next() != Some(value.as_str()) => {
                findings.push(format!(
                    "{package}: {name} is {value}, the table says {}",
                    row[2]
                ));
            }
            Some(_) => {}
        }
    }
    for row in &rows {
        let known = |l: &Limit| row[0] == format!("`{}`", l.name) && row[1] == l.package;
        if !limits.iter().any(known) {
            findings.push(format!("{} of {} is no limit of the code", row[0], row[1]));
        }
    }
    expect_none("docs/LIMITS.md", findings);
}

#[test]
fn tests_that_the_table_names_exist() {
    let code: Vec<String> = rust_files().iter().map(|file| blank(&read(file))).collect();
    let all: String = code.join("\n");
    let mut findings = Vec::new();
    for row in rows() {
        for test in row.get(5).iter().flat_map(|cell| quoted(cell)) {
            if !all.contains(&format!("fn {test}(")) {
                findings.push(format!("{}: {test}", row[0]));
            }
        }
    }
    expect_none("tests that are not there", findings);
}

#[test]
fn every_limit_is_used() {
    let code: Vec<(String, String)> = rust_files()
        .into_iter()
        .filter(|file| !file.ends_with("/limits.rs") && !file.starts_with("tests/"))
        .map(|file| {
            let code = without_tests(&blank(&read(&file)));
            (file, code)
        })
        .collect();
    let uses = |name: &str| code.iter().any(|(_, code)| tokens(code).contains(&name));
    // A limit that only another limit is made of is used if that one is.
    let written: Vec<(String, String)> = limits()
        .into_iter()
        .map(|limit| (limit.name, limit.value))
        .collect();
    let unused = written.iter().filter(|(name, _)| {
        let within = |(other, value): &&(String, String)| {
            tokens(value).contains(&name.as_str()) && uses(other)
        };
        !uses(name) && !written.iter().any(|pair| within(&pair))
    });
    expect_none(
        "unused limits",
        unused.map(|(name, _)| name.clone()).collect(),
    );
}
