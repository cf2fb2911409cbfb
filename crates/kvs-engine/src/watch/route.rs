//! Where the scopes of a watch lead: the links on the way to a watched key, and what is at their
//! end.
//!
//! A watch of a key without a link on its way, which is nearly every watch, has no route at all.
//! Globs have none: they report links and do not follow them. A route holds at one version; what
//! may change it is in the index (every link, and the end), so no version that does goes by unseen.

use kvs_tree::{
    Directory, Effect, Entry, Fault, Key, NodeSource, Resolved, Scope, TreeErrorKind, lookup,
};
use smol_str::SmolStr;

/// What a chain of links comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A key of this namespace, where something may stand or not.
    Here(Key),
    /// A key of another namespace, after so many links.
    Elsewhere {
        namespace: SmolStr,
        key: Key,
        followed: usize,
    },
    /// A loop, or a key that cannot be.
    Broken,
}

/// The way from a watched key through at least one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) scope: Scope,
    pub(super) links: Vec<Key>,
    pub(super) end: End,
}

/// The same kind of scope at another key.
pub(super) fn scope_at(scope: &Scope, key: &Key) -> Scope {
    match scope {
        Scope::Key(_) => Scope::Key(key.clone()),
        Scope::Directory(_) | Scope::Glob(_) => Scope::Directory(key.clone()),
    }
}

impl Route {
    /// The key that was asked for, under which everything behind the links is told.
    pub(super) fn shown(&self) -> Key {
        self.scope.literal_prefix()
    }

    /// The scope at the end, if that is in this namespace.
    pub(super) fn target(&self) -> Option<Scope> {
        match &self.end {
            End::Here(key) => Some(scope_at(&self.scope, key)),
            End::Elsewhere { .. } | End::Broken => None,
        }
    }

    fn held(&self) -> impl Iterator<Item = Scope> + '_ {
        let links = self.links.iter().cloned().map(Scope::Key);
        // A loop does not tell its links: any change may end it.
        let broken = (self.end == End::Broken).then_some(Scope::Directory(Key::ROOT));
        links.chain(self.target()).chain(broken)
    }
}

/// What a watch of `scopes` must be woken for because of its routes, beside the scopes themselves.
pub(super) fn held(scopes: &[Scope], routes: &[Route]) -> Vec<Scope> {
    let mut all: Vec<Scope> = Vec::new();
    for scope in routes.iter().flat_map(Route::held) {
        if !scopes.contains(&scope) && !all.contains(&scope) {
            all.push(scope);
        }
    }
    all
}

/// The key whose way is followed; none for globs and the root.
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

/// The routes of `scopes` in a tree.
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

/// Whether a way ends there for good, at nothing.
pub(super) fn is_dead_end(kind: TreeErrorKind) -> bool {
    matches!(
        kind,
        TreeErrorKind::LinkLoop | TreeErrorKind::Limit | TreeErrorKind::Invalid
    )
}

/// What stands at a watched key, links followed. A link that leads to nothing is seen itself; a
/// loop is nothing, whatever its links say.
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

/// Whether the effect may have changed where the scopes lead.
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

/// Which keys of the tree a watch looks at, and under which keys it tells of them.
#[derive(Clone, Debug)]
pub(super) struct ScopeMapping {
    scopes: Vec<Scope>,
    /// How many of them are told as they are; the others belong to `routed`.
    plain: usize,
    routed: Vec<(Key, Key)>,
}

impl ScopeMapping {
    /// The scopes with those behind links in place of the asked ones; scopes whose route is in
    /// `without` or leads elsewhere are left out.
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

    /// What to look for in the tree; possibly nothing, which does not stand for everything.
    pub(super) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The keys of the tree that are told under a key: what [`shown`](Self::shown) says the other
    /// way.
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

    /// The keys under which a key of the tree is told.
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
