//! Prints the facts of the crate and module graph; `tests/facts` runs it.

use std::collections::BTreeMap;

use super::crates::{MAY_USE, dependencies};
use super::modules::{Modules, all};
use super::order::{against_the_order, circles};
use super::sources::{package_name, packages};
use super::{files, public, records};

/// Sums over the modules of one package; what is compiled for tests only is left out.
#[derive(Default)]
struct Size {
    modules: usize,
    lines: usize,
    longest: (usize, String),
    uses: usize,
}

impl Size {
    fn add(&mut self, modules: &Modules) {
        for module in modules.0.iter().filter(|module| !module.test) {
            let lines = files::lines_without_tests(&module.file);
            self.modules += 1;
            self.lines += lines;
            let longest = (lines, module.file.clone());
            self.longest = self.longest.clone().max(longest);
        }
        self.uses += modules.uses().len();
    }
}

/// One line for each package: what it is made of and which packages of the workspace it imports.
fn crates() -> Vec<String> {
    let names: Vec<String> = packages().iter().map(|p| package_name(p)).collect();
    let mut sizes: BTreeMap<String, Size> = BTreeMap::new();
    for (root, modules) in all() {
        let package = packages()
            .into_iter()
            .filter(|package| root.starts_with(&format!("{package}/src/")))
            .max_by_key(String::len);
        if let Some(package) = package {
            sizes.entry(package).or_default().add(modules);
        }
    }
    let lines = sizes.iter().map(|(package, size)| {
        let imports = dependencies(package, false);
        let imports: Vec<&String> = imports.iter().filter(|name| names.contains(name)).collect();
        let designed = match MAY_USE
            .iter()
            .any(|(name, _)| *name == package_name(package))
        {
            true => "",
            false => ", not part of the product",
        };
        format!(
            "{package}: {} modules, {} lines (longest file {}: {}), {} imports between modules; \
             imports {imports:?}{designed}",
            size.modules, size.lines, size.longest.0, size.longest.1, size.uses
        )
    });
    lines.collect()
}

#[test]
fn the_graph_of_crates_and_modules_is_as_designed() {
    let shown = crates();
    assert!(shown.len() >= MAY_USE.len(), "crates are left out");
    for line in shown {
        println!("{line}");
    }
    let findings = [
        ("modules in a circle", circles()),
        ("imports of a module declared below", against_the_order()),
        ("records taken apart elsewhere", records::outside_the_fold()),
        ("public items that no other crate uses", public::unused()),
        ("files of 400 lines and more", files::long()),
    ];
    println!("module that takes records apart: {}", records::FOLD);
    for (what, found) in &findings {
        println!("{what}: {}", found.len());
        found.iter().for_each(|line| println!("  {line}"));
    }
    assert!(findings.iter().all(|(_, found)| found.is_empty()));
}
