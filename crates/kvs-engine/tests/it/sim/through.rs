//! What one scope sees at one moment, through links into other namespaces.

use std::collections::BTreeMap;

use kvs_tree::Key;

use super::lives::World;
use super::sight::{Range, Truths};
use super::tree::{Thing, Tree};

/// What a scope sees.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Under the keys that a watch reports.
    pub(super) things: BTreeMap<Key, Thing>,
    /// A dangling link, which may be reported as a link or as nothing.
    pub(super) dangling: Option<Thing>,
    /// The existing other namespaces on the path.
    pub(super) names: Vec<String>,
    /// The missing namespace on the path, if any.
    pub(super) missing: Option<String>,
}

/// What `range` sees in a state of a namespace, with the other namespaces as in `world`.
pub(super) fn look(range: &Range, tree: &Tree, truths: &Truths, world: &World) -> View {
    let mut view = View::default();
    let Some(asked) = range.followed() else {
        let inside = tree.0.iter().filter(|(key, _)| range.holds(key));
        view.things = inside.map(|(k, t)| (k.clone(), t.clone())).collect();
        return view;
    };
    let last = tree.resolve(asked, false);
    let last = last.filter(|way| way.abroad.is_none());
    view.dangling = last.and_then(|way| tree.0.get(&way.end).cloned());
    let (mut tree, mut followed) = (tree, 0);
    let mut way = tree.resolve(asked, true);
    while let Some(name) = way.as_ref().and_then(|way| way.abroad.clone()) {
        let (end, links) = way.map(|way| (way.end, way.links.len())).unwrap();
        followed += links;
        let Some(index) = world.newest.get(&name) else {
            view.missing = Some(name);
            return view;
        };
        tree = &truths[&name].0[index].tree;
        way = tree.resolve_from(&end, true, followed);
        view.names.push(name);
    }
    let Some(way) = way else { return view };
    let Some(thing) = tree.0.get(&way.end) else {
        return view;
    };
    view.dangling = None;
    view.things.insert(asked.clone(), thing.clone());
    if let Range::Directory(_) = range {
        for (key, thing) in tree.below(&way.end) {
            let shown = asked.join(&key.suffix(way.end.depth())).unwrap();
            view.things.insert(shown, thing.clone());
        }
    }
    view
}
