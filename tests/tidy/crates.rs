//! The crates import each other as designed, and no other way: the core knows nobody, the engine
//! and the protocol never meet but in `kvs-server`.

use super::expect_none;
use super::sources::{package_name, packages, read};

/// Which crates of the workspace a crate may build on.
pub(crate) const MAY_USE: &[(&str, &[&str])] = &[
    ("kvs-tree", &[]),
    ("kvs-storage", &["kvs-tree"]),
    ("kvs-engine", &["kvs-storage", "kvs-tree"]),
    ("kvs-proto", &["kvs-tree"]),
    ("kvs-client", &["kvs-proto", "kvs-tree"]),
    (
        "kvs-server",
        &["kvs-client", "kvs-engine", "kvs-proto", "kvs-tree"],
    ),
    (
        "kvs-bench",
        &["kvs-client", "kvs-server", "kvs-proto", "kvs-tree"],
    ),
    (
        "kvs",
        &[
            "kvs-bench",
            "kvs-client",
            "kvs-server",
            "kvs-proto",
            "kvs-tree",
        ],
    ),
    ("kvs-testkit", &["kvs-client", "kvs-proto", "kvs-tree"]),
];

/// What only tests and measurements may use.
const TESTKIT: &str = "kvs-testkit";

/// What the pure core must not know: a runtime, files, clocks, logs.
const IMPURE: &[&str] = &[
    "tokio",
    "tokio-util",
    "tracing",
    "rustix",
    "tempfile",
    "getrandom",
];

/// The names in a table of dependencies, tests' own left out unless `with_dev`.
pub(crate) fn dependencies(package: &str, with_dev: bool) -> Vec<String> {
    let text = read(&format!("{package}/Cargo.toml"));
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.ends_with("dependencies]") && (with_dev || !table.contains("dev-"));
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && !name.is_empty()
            && !name.starts_with('#')
        {
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn crates_import_only_what_the_design_allows() {
    let ours: Vec<String> = packages().iter().map(|p| package_name(p)).collect();
    let mut findings = Vec::new();
    for package in packages() {
        let name = package_name(&package);
        let Some((_, allowed)) = MAY_USE.iter().find(|(n, _)| *n == name) else {
            continue;
        };
        for used in dependencies(&package, true) {
            if used != TESTKIT && ours.contains(&used) && !allowed.contains(&used.as_str()) {
                findings.push(format!("{name} imports {used}"));
            }
        }
    }
    expect_none("dependencies against the design", findings);
    // Each may use only crates above it in the list, so there is no circle either.
    for (at, (name, allowed)) in MAY_USE.iter().enumerate() {
        let above: Vec<&str> = MAY_USE[..at].iter().map(|(name, _)| *name).collect();
        assert!(allowed.iter().all(|used| above.contains(used)), "{name}");
        assert!(ours.iter().any(|ours| ours == name), "{name} is not there");
    }
}

#[test]
fn the_product_does_not_depend_on_the_kit_of_its_tests() {
    let product = packages().into_iter().filter(|p| p.starts_with("crates/"));
    let findings = product.filter(|package| {
        dependencies(package, false)
            .iter()
            .any(|name| name == TESTKIT)
    });
    expect_none("kvs-testkit is a dependency of", findings.collect());
}

#[test]
fn the_core_is_pure() {
    let used = dependencies("crates/kvs-tree", false);
    let findings = used
        .into_iter()
        .filter(|name| IMPURE.contains(&name.as_str()));
    expect_none("kvs-tree imports", findings.collect());
}
