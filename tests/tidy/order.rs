//! A module imports only modules that are declared above it, so that each crate can be read from
//! top to bottom; a module and those below it do not import each other.

use std::collections::BTreeSet;

use super::expect_none;
use super::modules::{Modules, Use, all};

/// Imports of modules that are declared below.
pub(crate) fn against_the_order() -> Vec<String> {
    let mut findings = Vec::new();
    for modules in all().values() {
        for &Use { user, used } in modules.uses() {
            if !is_above(modules, user, used) {
                findings.push(format!(
                    "{}: {} imports {}, which is declared below it",
                    modules.0[user].file,
                    modules.name(user),
                    modules.name(used)
                ));
            }
        }
    }
    findings
}

#[test]
fn a_module_imports_only_modules_above_it() {
    expect_none("imports against the reading order", against_the_order());
}

/// Whether what is used stands above its user where their paths part. One that contains the other
/// is as good: whether they import each other is the business of the next test.
fn is_above(modules: &Modules, user: usize, used: usize) -> bool {
    let (mut at, mut depth) = (0, 0);
    loop {
        let place = |module: usize| {
            let name = modules.0[module].path.get(depth)?;
            let children = &modules.0[at].children;
            children
                .iter()
                .position(|&child| modules.0[child].path.last() == Some(name))
        };
        match (place(user), place(used)) {
            (Some(a), Some(b)) if a == b => (at, depth) = (modules.0[at].children[a], depth + 1),
            (Some(a), Some(b)) => return b < a,
            _ => return true,
        }
    }
}

/// Modules that import each other in a circle, for each crate that has some.
pub(crate) fn circles() -> Vec<String> {
    let mut findings = Vec::new();
    for modules in all().values() {
        let uses = modules.uses();
        let mut left: BTreeSet<usize> = (0..modules.0.len()).collect();
        // Takes away whatever uses nothing that is left, until nothing more goes.
        while let Some(free) = left.iter().copied().find(|&module| {
            !uses
                .iter()
                .any(|u| u.user == module && u.used != module && left.contains(&u.used))
        }) {
            left.remove(&free);
        }
        // Takes away whatever is used by nothing that is left: it only leads into a circle.
        while let Some(free) = left.iter().copied().find(|&module| {
            !uses
                .iter()
                .any(|u| u.used == module && u.user != module && left.contains(&u.user))
        }) {
            left.remove(&free);
        }
        if !left.is_empty() {
            let names: Vec<String> = left.iter().map(|&module| modules.name(module)).collect();
            findings.push(format!("{}: {}", modules.0[0].file, names.join(", ")));
        }
    }
    findings
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    expect_none("modules in a circle", circles());
}
