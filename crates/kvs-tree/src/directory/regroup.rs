//! Grouping: builds a directory from its entries, and repairs one in which cuts appear, vanish or
//! move.
//!
//! A repair proceeds from the leaves up. At each height it takes the run between the natural cuts
//! around the name (the *zone*), with the result from the height below, and groups it again.
//! Nothing outside can change, since cuts depend only on their own run.

use super::levels::{self, Mark};
use crate::error::{TreeError, TreeErrorKind};
use crate::hash::StoreParams;
use crate::limits::{FLAT_MAX, INNER_MAX, LEAF_MAX};
use crate::node::name::Name;
use crate::node::{Body, Child, Entry, Inner, Leaf, Node, NodeRef};
use crate::source::{Ctx, Fault};
use std::cmp::Ordering;
use std::sync::Arc;

type Entries = Vec<(Name, Entry)>;

/// The top node of a directory of these sorted entries, which every history of edits must produce.
/// Costs O(n).
pub(super) fn build(entries: Entries, params: &StoreParams) -> Arc<Node> {
    if entries.len() <= FLAT_MAX {
        return leaf(entries);
    }
    let mut nodes = group_entries(entries, params);
    let mut height = 0;
    while nodes.len() > 1 {
        height += 1;
        nodes = group_nodes(height, nodes);
    }
    top(nodes)
}

/// A node of the height below, to be grouped.
struct Item {
    child: Child,
    mark: Mark,
}

fn leaf(entries: Entries) -> Arc<Node> {
    Arc::new(Node::new(Body::Leaf(Leaf::new(entries))))
}

fn top(nodes: Vec<Item>) -> Arc<Node> {
    match nodes.into_iter().next() {
        Some(Item {
            child:
                Child {
                    link: NodeRef::Loaded(node),
                    ..
                },
            ..
        }) => node,
        _ => leaf(Vec::new()),
    }
}

fn group_entries(entries: Entries, params: &StoreParams) -> Vec<Item> {
    let marks: Vec<Mark> = entries
        .iter()
        .map(|(name, _)| Mark::of(name, params))
        .collect();
    split(entries, &levels::cuts(0, &marks, LEAF_MAX))
        .map(|(at, part)| item(leaf(part), marks.get(at)))
        .collect()
}

fn group_nodes(height: u8, items: Vec<Item>) -> Vec<Item> {
    let (children, marks): (Vec<Child>, Vec<Mark>) = items
        .into_iter()
        .map(|item| (item.child, item.mark))
        .unzip();
    split(children, &levels::cuts(height, &marks, INNER_MAX))
        .map(|(at, part)| {
            let node = Node::new(Body::Inner(Inner::new(height, part)));
            item(Arc::new(node), marks.get(at))
        })
        .collect()
}

fn item(node: Arc<Node>, mark: Option<&Mark>) -> Item {
    let child = Child {
        first: node.first().cloned().unwrap_or_default(),
        len: node.len(),
        stats: node.stats(),
        link: NodeRef::Loaded(node),
        hash: None,
    };
    Item {
        child,
        mark: mark.copied().unwrap_or(Mark(0)),
    }
}

/// The non-empty parts between the cuts, each with its position.
fn split<T>(items: Vec<T>, cuts: &[usize]) -> impl Iterator<Item = (usize, Vec<T>)> {
    let len = items.len();
    let mut rest = items.into_iter();
    let mut start = 0;
    cuts.iter().copied().chain([len]).filter_map(move |end| {
        let at = std::mem::replace(&mut start, end);
        let part: Vec<T> = rest.by_ref().take(end - at).collect();
        (!part.is_empty()).then_some((at, part))
    })
}

/// The directory `root` with `entry` at `name` (`None`: without it), for edits that may change its
/// cuts. Totals on the path to `name` may be stale, and the entry may already be removed. Costs
/// O(log n) expected; O(n) if the directory becomes flat (it is small then) or its names were
/// chosen with knowledge of the split key.
pub(super) fn regroup(
    root: &Arc<Node>,
    ctx: &Ctx<'_>,
    name: &str,
    entry: Option<Entry>,
    count: u64,
) -> Result<Arc<Node>, Fault> {
    if count <= FLAT_MAX as u64 {
        let mut entries = Vec::with_capacity(FLAT_MAX);
        collect(root, ctx, &mut entries)?;
        replace(&mut entries, name, entry);
        return Ok(leaf(entries));
    }
    let mut zone = Zone::around(root, 0, name, ctx)?;
    let mut entries = Vec::new();
    zone.nodes
        .iter()
        .try_for_each(|node| collect(node, ctx, &mut entries))?;
    replace(&mut entries, name, entry);
    let mut nodes = group_entries(entries, ctx.params);
    let mut height = 0;
    while !zone.is_whole() || nodes.len() > 1 {
        height += 1;
        let below = zone;
        zone = if height <= root.height() {
            Zone::around(root, height, name, ctx)?
        } else {
            Zone::default()
        };
        let children = zone.nodes.iter().flat_map(|node| node.parts());
        let mut items = Vec::with_capacity(INNER_MAX);
        let mut after = Vec::new();
        for child in children {
            let items = match below.side(&child.first) {
                Ordering::Less => &mut items,
                Ordering::Equal => continue,
                Ordering::Greater => &mut after,
            };
            items.push(Item {
                child: child.clone(),
                mark: Mark::of(&child.first, ctx.params),
            });
        }
        items.append(&mut nodes);
        items.append(&mut after);
        nodes = group_nodes(height, items);
    }
    // If a removal left a single node at a lower height, that is the top.
    let mut top = top(nodes);
    while let [only] = top.parts() {
        top = only.link.load(ctx.source)?;
    }
    Ok(top)
}

fn collect(node: &Node, ctx: &Ctx<'_>, entries: &mut Entries) -> Result<(), Fault> {
    match &node.body {
        Body::Leaf(leaf) => entries.extend(leaf.entries.iter().cloned()),
        _ => {
            for child in node.parts() {
                collect(child.link.load(ctx.source)?.as_ref(), ctx, entries)?;
            }
        }
    }
    Ok(())
}

fn replace(entries: &mut Entries, name: &str, entry: Option<Entry>) {
    let place = entries.binary_search_by(|(other, _)| other.as_str().cmp(name));
    match (place, entry) {
        (Ok(at), None) => {
            entries.remove(at);
        }
        (Ok(at) | Err(at), Some(entry)) => {
            if place.is_ok() {
                entries.remove(at);
            }
            entries.insert(at, (name.into(), entry));
        }
        (Err(_), None) => {}
    }
}

/// The nodes of one height between the natural cuts around a name, ignoring the name itself.
#[derive(Default)]
struct Zone {
    nodes: Vec<Arc<Node>>,
    /// The first name; `None` at the start of the directory.
    from: Option<Name>,
    /// The first name after the zone; `None` at the end of the directory.
    to: Option<Name>,
}

impl Zone {
    fn around(root: &Arc<Node>, height: u8, name: &str, ctx: &Ctx<'_>) -> Result<Zone, Fault> {
        let is_cut = |first: &str| Mark::of(first, ctx.params).cuts(height);
        let mut zone = Zone::default();
        let mut place = Place::seek(root, height, |first| first <= name, ctx)?;
        zone.to = place.next.clone();
        zone.nodes.push(place.node.clone());
        while let Some(first) = place.first {
            if first.as_str() < name && is_cut(&first) {
                zone.from = Some(first);
                break;
            }
            place = Place::seek(root, height, |other| other < first.as_str(), ctx)?;
            zone.nodes.push(place.node.clone());
        }
        zone.nodes.reverse();
        while let Some(first) = zone.to.take_if(|first| !is_cut(first)) {
            place = Place::seek(root, height, |other| other <= first.as_str(), ctx)?;
            zone.nodes.push(place.node);
            zone.to = place.next;
        }
        Ok(zone)
    }

    fn is_whole(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Whether a name is before, in or after the zone.
    fn side(&self, name: &Name) -> Ordering {
        if self.from.as_ref().is_some_and(|from| name < from) {
            Ordering::Less
        } else if self.to.as_ref().is_some_and(|to| name >= to) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

/// A node of some height in a directory, with its neighbourhood.
struct Place {
    node: Arc<Node>,
    /// Its first name; `None` if it is the first node of its height.
    first: Option<Name>,
    /// The first name of the next node of its height.
    next: Option<Name>,
}

impl Place {
    /// The last node of this height whose first name satisfies `before`, otherwise the first node.
    fn seek(
        root: &Arc<Node>,
        height: u8,
        before: impl Fn(&str) -> bool,
        ctx: &Ctx<'_>,
    ) -> Result<Place, Fault> {
        let mut place = Place {
            node: root.clone(),
            first: None,
            next: None,
        };
        while place.node.height() > height {
            let node = place.node;
            let parts = node.parts();
            let at = parts
                .partition_point(|child| before(&child.first))
                .saturating_sub(1);
            let Some(child) = parts.get(at) else {
                return Err(damaged());
            };
            if at > 0 {
                place.first = Some(child.first.clone());
            }
            if let Some(next) = parts.get(at + 1) {
                place.next = Some(next.first.clone());
            }
            place.node = child.link.load(ctx.source)?;
            if place.node.height() + 1 != node.height() {
                return Err(damaged());
            }
        }
        Ok(place)
    }
}

pub(super) fn damaged() -> Fault {
    let message = "a directory's nodes do not fit together";
    TreeError::new(TreeErrorKind::Corrupt, message).into()
}
