//! Routes: the links on the way to a watched key, and their target.
//!
//! A watch without links on the way, which is nearly every watch, has no route. Globs never have
//! one: they report links and do not follow them. A route is valid at one version. Every key that
//! may change it (each link and the target) is registered in the watch index, so no such change is
//! missed.

use kvs_tree::{
    Directory, Effect, Entry, Fault, Key, NodeSource, Resolved, Scope, TreeErrorKind, lookup,
};
use smol_str::SmolStr;

/// The target of a chain of links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A key of this namespace; there may be nothing at it.
    Here(Key),
    /// A key of another namespace, after `followed` links.
    Elsewhere {
        namespace: SmolStr,
        key: Key,
        followed: usize,
    },
    /// A loop, or an invalid key.
    Broken,
}

/// The way from a watched key through at least one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) scope: Scope,
    pub(super) links: Vec<Key>,
    pub(super) end: End,
}

/// The scope of the same kind at `key`.
pub(super) fn scope_at(scope: &Scope, key: &Key) -> Scope {
    match scope {
        Scope::Key(_) => Scope::Key(key.clone()),
        Scope::Directory(_) | Scope::Glob(_) => Scope::Directory(key.clone()),
    }
}

impl Route {
    /// The watched key, under which the target is reported.
    pub(super) fn shown(&self) -> Key {
        self.scope.literal_prefix()
    }

    /// The scope at the target, if it is in this namespace.
    pub(super) fn target(&self) -> Option<Scope> {
        match &self.end {
            End::Here(key) => Some(scope_at(&self.scope, key)),
            End::Elsewhere { .. } | End::Broken => None,
        }
    }

    fn held(&self) -> impl Iterator<Item = Scope> + '_ {
        let links = self.links.iter().cloned().map(Scope::Key);
        // The links of a loop are not known, so any change may end it.
        let broken = (self.end == End::Broken).then_some(Scope::Directory(Key::ROOT));
        links.chain(self.target()).chain(broken)
    }
}

/// The scopes to register for the routes, in addition to the watch's own scopes.
pub(super) fn held(scopes: &[Scope], routes: &[Route]) -> Vec<Scope> {
    let mut all: Vec<Scope> = Vec::new();
    for scope in routes.iter().flat_map(Route::held) {
        if !scopes.contains(&scope) && !all.contains(&scope) {
            all.push(scope);
        }
    }
    all
}

/// The key on whose way links are followed; `None` for globs and the root.
fn followed(scope: &Scope) -> Option<&Key> {
    match scope {
        Scope::Key(key) | Scope::Directory(key) if !key.is_root() => Some(key),
        _ => None,
    }
}

/// Whether any of the scopes can have a route.
pub(super) fn may_have_routes(scopes: &[Scope]) -> bool {
    scopes.iter().any(|scope| followed(scope).is_some())
}

/// The routes of `scopes` in the tree at `root`.
pub(super) fn resolve(
    scopes: &[Scope],
    root: &Directory,
    source: &dyn NodeSource,
) -> Result<Vec<Route>, Fault> {
    let mut routes = Vec::new();
    for scope in scopes {
        let Some(key) = followed(scope) else { continue };
        let (links, end) = match lookup(root, source, key, true, 0) {
            Ok(Resolved::Found { key, links, .. } | Resolved::Absent { key, links }) => {
                (links, End::Here(key))
            }
            Ok(Resolved::Elsewhere {
                namespace,
                key,
                followed,
                links,
            }) => {
                let end = End::Elsewhere {
                    namespace,
                    key,
                    followed,
                };
                (links, end)
            }
            Err(Fault::Tree(error)) if is_dead_end(error.kind) => (Vec::new(), End::Broken),
            Err(fault) => return Err(fault),
        };
        if !links.is_empty() || end == End::Broken {
            let scope = scope.clone();
            routes.push(Route { scope, links, end });
        }
    }
    Ok(routes)
}

/// Whether the error means that the links lead to nothing.
pub(super) fn is_dead_end(kind: TreeErrorKind) -> bool {
    matches!(
        kind,
        TreeErrorKind::LinkLoop | TreeErrorKind::Limit | TreeErrorKind::Invalid
    )
}

/// The entry at a watched key, links followed. A dangling link is returned itself; a loop counts as
/// nothing.
pub(super) fn standing(
    root: &Directory,
    source: &dyn NodeSource,
    key: &Key,
) -> Result<Option<Entry>, Fault> {
    match lookup(root, source, key, true, 0) {
        Ok(Resolved::Found { entry, .. }) => return Ok(Some(entry)),
        Ok(_) => {}
        Err(Fault::Tree(error)) if is_dead_end(error.kind) => return Ok(None),
        Err(fault) => return Err(fault),
    }
    match lookup(root, source, key, false, 0) {
        Ok(Resolved::Found { entry, .. }) => Ok(Some(entry)),
        Ok(_) => Ok(None),
        Err(Fault::Tree(error)) if is_dead_end(error.kind) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether the effect may have changed the routes of the scopes.
pub(super) fn may_move(scopes: &[Scope], routes: &[Route], effect: &Effect) -> bool {
    let at = effect.key();
    let linking = matches!(
        effect,
        Effect::Link { .. } | Effect::Copy { .. } | Effect::Graft { .. }
    );
    let asked = || scopes.iter().filter_map(followed);
    (linking && asked().any(|key| key.starts_with(at)))
        || routes.iter().any(|route| {
            let end = match &route.end {
                End::Here(end) => linking && end.starts_with(at),
                End::Elsewhere { .. } => false,
                End::Broken => true,
            };
            end || route.links.iter().any(|link| link.starts_with(at))
        })
}

/// Maps keys of the tree to the keys under which a watch reports them.
#[derive(Clone, Debug)]
pub(super) struct ScopeMapping {
    scopes: Vec<Scope>,
    /// The number of leading scopes without a route; the rest belong to `routed`.
    plain: usize,
    routed: Vec<(Key, Key)>,
}

impl ScopeMapping {
    /// The scopes, with routed ones replaced by their targets. Scopes whose route is in `without`
    /// or leads into another namespace are left out.
    pub(super) fn new(scopes: &[Scope], routes: &[Route], without: &[Route]) -> Self {
        let all = || routes.iter().chain(without);
        let plain = scopes
            .iter()
            .filter(|scope| !all().any(|route| route.scope == **scope));
        let mut scopes: Vec<Scope> = plain.cloned().collect();
        let plain = scopes.len();
        let mut routed = Vec::new();
        for route in routes {
            if without.iter().any(|other| other.scope == route.scope) {
                continue;
            }
            if let (Some(target), End::Here(end)) = (route.target(), &route.end) {
                scopes.push(target);
                routed.push((end.clone(), route.shown()));
            }
        }
        Self {
            scopes,
            plain,
            routed,
        }
    }

    /// The scopes to match in the tree. An empty list matches nothing.
    pub(super) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The keys of the tree that are reported under `key`: the inverse of [`shown`](Self::shown).
    pub(super) fn places(&self, key: &Key) -> Vec<Key> {
        let (plain, behind) = self.scopes.split_at(self.plain.min(self.scopes.len()));
        let mut places = Vec::new();
        if plain.iter().any(|scope| scope.matches(key)) {
            places.push(key.clone());
        }
        for (scope, (end, asked)) in behind.iter().zip(&self.routed) {
            if key.starts_with(asked)
                && let Ok(place) = end.join(&key.suffix(asked.depth()))
                && scope.matches(&place)
            {
                places.push(place);
            }
        }
        places
    }

    /// The keys under which a key of the tree is reported.
    pub(super) fn shown(&self, key: &Key) -> Vec<Key> {
        let (plain, behind) = self.scopes.split_at(self.plain.min(self.scopes.len()));
        let mut shown = Vec::new();
        if plain.iter().any(|scope| scope.matches(key)) {
            shown.push(key.clone());
        }
        for (scope, (end, asked)) in behind.iter().zip(&self.routed) {
            if scope.matches(key)
                && let Ok(other) = asked.join(&key.suffix(end.depth()))
                && !shown.contains(&other)
            {
                shown.push(other);
            }
        }
        shown
    }
}
