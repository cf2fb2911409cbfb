//! Just enough of Rust's grammar to find paths: tokens, `use` trees, and paths within code.

/// Words and single punctuation characters of stripped code; `::` is one token.
pub(crate) fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(length);
        found.push(token);
        rest = behind.trim_start();
    }
    found
}

/// One leaf of a `use` tree.
#[derive(Debug, PartialEq)]
pub(crate) struct Import {
    /// The path without a closing `*` or `self`.
    pub(crate) path: Vec<String>,
    /// The name that it gets; `*` for all names.
    pub(crate) name: String,
    /// Other modules can use the name: `pub use`, `pub(crate) use`.
    pub(crate) public: bool,
}

/// What a file imports, and which paths its code spells out.
#[derive(Default)]
pub(crate) struct Paths {
    pub(crate) imports: Vec<Import>,
    pub(crate) spelled: Vec<Vec<String>>,
}

/// Finds every `use` and every path of two or more segments.
pub(crate) fn paths(code: &str) -> Paths {
    let tokens = tokens(code);
    let mut found = Paths::default();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            let public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            let end = (at..tokens.len())
                .find(|&end| tokens[end] == ";")
                .unwrap_or(tokens.len());
            tree(&tokens[at + 1..end], &[], public, &mut found.imports);
            at = end + 1;
            continue;
        }
        let starts = is_name(tokens[at]) && (at == 0 || tokens[at - 1] != "::");
        let mut path = vec![tokens[at].to_owned()];
        let mut end = at + 1;
        while starts && tokens.get(end) == Some(&"::") {
            match tokens.get(end + 1) {
                Some(name) if is_name(name) => path.push((*name).to_owned()),
                _ => break,
            }
            end += 2;
        }
        if path.len() > 1 {
            found.spelled.push(path);
        }
        at = end;
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Takes one `use` tree apart.
fn tree(tokens: &[&str], prefix: &[String], public: bool, into: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        match token {
            "::" => at += 1,
            "{" => {
                for branch in branches(&tokens[at + 1..tokens.len() - 1]) {
                    tree(branch, &path, public, into);
                }
                return;
            }
            "*" => {
                let name = "*".to_owned();
                into.push(Import { path, name, public });
                return;
            }
            "as" => {
                let name = tokens[at + 1].to_owned();
                into.push(Import { path, name, public });
                return;
            }
            "self" if !path.is_empty() => at += 1,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    if let Some(name) = path.last().cloned() {
        into.push(Import { path, name, public });
    }
}

/// The branches of a group, split at the commas of its own level.
fn branches<'a, 'b>(tokens: &'b [&'a str]) -> Vec<&'b [&'a str]> {
    let mut depth = 0;
    let parts = tokens.split(|&token| {
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        token == "," && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[test]
fn use_trees_are_taken_apart() {
    let found = paths("pub(crate) use a::{self, b::{c as d, e}, f::*}; use super::g; h::i(j);");
    let named = |path: &str, name: &str, public| Import {
        path: path.split("::").map(str::to_owned).collect(),
        name: name.to_owned(),
        public,
    };
    assert_eq!(
        found.imports,
        [
            named("a", "a", true),
            named("a::b::c", "d", true),
            named("a::b::e", "e", true),
            named("a::f", "*", true),
            named("super::g", "g", false),
        ]
    );
    assert_eq!(found.spelled, [["h", "i"]]);
}
