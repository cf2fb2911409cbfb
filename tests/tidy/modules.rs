//! The modules of one crate: their tree, in the order of their declarations, and who uses whom.
//!
//! A name that a module only passes on (`pub use`) is followed to where it is defined, so a façade
//! does not count as using what it shows, nor its readers as using all of it.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use super::sources::{blank, exists, read, without_tests};
use super::tokens::{Import, paths, tokens};

/// A module and its file.
pub(crate) struct Module {
    /// From the top directory of the workspace.
    pub(crate) file: String,
    /// Names from the crate's root, which has none.
    pub(crate) path: Vec<String>,
    /// Compiled for tests only.
    pub(crate) test: bool,
    /// Its modules, in the order of their declarations.
    pub(crate) children: Vec<usize>,
    parent: Option<usize>,
    /// Stripped, without tests.
    code: String,
}

/// All modules of a crate; the first is its root.
pub(crate) struct Modules(pub(crate) Vec<Module>, OnceLock<Vec<Use>>);

/// A use of one module's item by another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) user: usize,
    pub(crate) used: usize,
}

impl Modules {
    /// Reads the crate whose root is `file`.
    pub(crate) fn load(file: &str) -> Self {
        let mut modules = Self(Vec::new(), OnceLock::new());
        modules.add(file.to_owned(), Vec::new(), None, false);
        modules
    }

    fn add(&mut self, file: String, path: Vec<String>, parent: Option<usize>, test: bool) -> usize {
        let code = blank(&read(&file));
        let kept = without_tests(&code);
        let index = self.0.len();
        let declared = declarations(&code, &kept, test);
        let directory = children_directory(&file, path.is_empty());
        self.0.push(Module {
            file,
            path: path.clone(),
            test,
            children: Vec::new(),
            parent,
            code: kept,
        });
        for (name, test) in declared {
            let flat = format!("{directory}/{name}.rs");
            let nested = format!("{directory}/{name}/mod.rs");
            let file = if exists(&flat) { flat } else { nested };
            // A file of another crate, by `#[path]`: it is looked at there.
            if !exists(&file) {
                continue;
            }
            let path = path.iter().cloned().chain([name]).collect();
            let child = self.add(file, path, Some(index), test);
            self.0[index].children.push(child);
        }
        index
    }

    /// The module's path as one writes it.
    pub(crate) fn name(&self, index: usize) -> String {
        std::iter::once("crate")
            .chain(self.0[index].path.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("::")
    }

    fn child(&self, module: usize, name: &str) -> Option<usize> {
        let children = &self.0[module].children;
        let named = |&&child: &&usize| self.0[child].path.last().is_some_and(|last| last == name);
        children.iter().find(named).copied()
    }

    /// Who uses whom, tests left out.
    pub(crate) fn uses(&self) -> &[Use] {
        self.1.get_or_init(|| self.find_uses())
    }

    fn find_uses(&self) -> Vec<Use> {
        let found: Vec<_> = self.0.iter().map(|module| paths(&module.code)).collect();
        let imports: Vec<&[Import]> = found.iter().map(|p| p.imports.as_slice()).collect();
        let mut uses = Vec::new();
        for (user, paths) in found
            .iter()
            .enumerate()
            .filter(|(user, _)| !self.0[*user].test)
        {
            let imported = paths
                .imports
                .iter()
                .filter(|import| !(import.public && self.is_own(user, import)))
                .map(|import| &import.path);
            for path in imported.chain(&paths.spelled) {
                if let Some(used) = self.resolve(user, path, &imports, 0)
                    && used != user
                {
                    uses.push(Use { user, used });
                }
            }
        }
        uses.sort();
        uses.dedup();
        uses
    }

    /// Whether the import passes on something of a module below.
    fn is_own(&self, module: usize, import: &Import) -> bool {
        let first = import.path.iter().find(|name| *name != "self");
        first.is_some_and(|name| self.child(module, name).is_some())
    }

    /// The module that defines what `path` names when it stands in `module`; `None` for what is of
    /// another crate.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        imports: &[&[Import]],
        depth: usize,
    ) -> Option<usize> {
        let mut at = module;
        let mut entered = false;
        for (index, name) in path.iter().enumerate() {
            let next = match name.as_str() {
                "crate" => Some(0),
                "self" => Some(at),
                "super" => self.0[at].parent,
                name => self.child(at, name),
            };
            if let Some(next) = next {
                (at, entered) = (next, true);
                continue;
            }
            if !entered || depth > 8 {
                return entered.then_some(at);
            }
            // An item: defined here, or passed on from elsewhere.
            let named = imports[at].iter().find(|import| import.name == *name);
            if let Some(import) = named {
                let whole: Vec<String> = import
                    .path
                    .iter()
                    .chain(&path[index + 1..])
                    .cloned()
                    .collect();
                return self.resolve(at, &whole, imports, depth + 1);
            }
            let globs = imports[at].iter().filter(|import| import.name == "*");
            let mut targets = globs.filter_map(|i| self.resolve(at, &i.path, imports, depth + 1));
            let defining = targets.find(|&target| self.defines(target, name));
            return Some(defining.unwrap_or(at));
        }
        entered.then_some(at)
    }

    fn defines(&self, module: usize, name: &str) -> bool {
        let tokens = tokens(&self.0[module].code);
        let mut pairs = tokens.windows(2);
        pairs.any(|pair| {
            let kinds = ["const", "static", "fn", "struct", "enum", "trait", "type"];
            kinds.contains(&pair[0]) && pair[1] == name
        })
    }
}

/// The modules that a file declares, and whether for tests only.
fn declarations(code: &str, kept: &str, test: bool) -> Vec<(String, bool)> {
    let declared = |code: &str| -> Vec<String> {
        let tokens = tokens(code);
        tokens
            .windows(3)
            .filter(|three| three[0] == "mod" && three[2] == ";")
            .map(|three| three[1].to_owned())
            .collect()
    };
    let kept = declared(kept);
    declared(code)
        .into_iter()
        .map(|name| {
            let for_tests = test || !kept.contains(&name);
            (name, for_tests)
        })
        .collect()
}

/// Where the modules that a file declares have their files.
fn children_directory(file: &str, is_root: bool) -> String {
    let (directory, name) = file.rsplit_once('/').unwrap();
    if is_root || name == "mod.rs" {
        return directory.to_owned();
    }
    format!("{directory}/{}", name.trim_end_matches(".rs"))
}

/// The crate roots below a package: of its library, program, and test binaries.
pub(crate) fn roots(package: &str, files: &[String]) -> Vec<String> {
    let is_root = |file: &&String| {
        let inside = file.strip_prefix(package).unwrap().trim_start_matches('/');
        let parts: Vec<&str> = inside.split('/').collect();
        match parts.as_slice() {
            ["src", "lib.rs" | "main.rs"] | ["build.rs"] => true,
            ["tests" | "benches" | "examples", file] => file.ends_with(".rs"),
            ["tests" | "benches" | "examples", _, "main.rs"] => true,
            [directory, "main.rs"] => *directory != "src",
            ["src", "bin", file] => file.ends_with(".rs"),
            ["src", "bin", _, "main.rs"] => true,
            _ => false,
        }
    };
    files.iter().filter(is_root).cloned().collect()
}

/// The modules of every crate root of the workspace, by the root's file. Read once.
pub(crate) fn all() -> &'static BTreeMap<String, Modules> {
    static ALL: LazyLock<BTreeMap<String, Modules>> = LazyLock::new(|| {
        let mut found = BTreeMap::new();
        for package in super::sources::packages() {
            let files = super::sources::files(&package, &[".rs"]);
            for root in roots(&package, &files) {
                found.insert(root.clone(), Modules::load(&root));
            }
        }
        found
    });
    &ALL
}
