//! Ordered iteration of directories: pages, and the differences between two directories. Parts with
//! equal hashes are skipped without loading them.

use super::regroup::damaged;
use crate::hash::StoreParams;
use crate::node::name::{Name, Sought};
use crate::node::{Body, Child, Directory, Entry, Node, NodeRef, ObjectKind};
use crate::source::{Ctx, Fault, Missing, NodeSource};
use smol_str::SmolStr;
use std::cmp::Ordering;
use std::sync::Arc;

/// A name whose entry differs between two directories.
#[derive(Clone, Debug)]
pub struct EntryChange {
    /// The entry's name.
    pub name: SmolStr,
    /// The entry in the first directory, if any.
    pub before: Option<Entry>,
    /// The entry in the second directory, if any.
    pub after: Option<Entry>,
}

/// Adds entries after `after` until there are `limit`. If a child is missing, also reports the
/// missing siblings that will be needed.
pub(super) fn page(
    node: &Node,
    source: &dyn NodeSource,
    after: Option<&str>,
    limit: usize,
    found: &mut Vec<(SmolStr, Entry)>,
) -> Result<(), Fault> {
    match &node.body {
        Body::Leaf(leaf) => {
            let start = behind(&leaf.entries, after, |(name, _)| name);
            let room = limit - found.len().min(limit);
            let entries = leaf.entries.iter().skip(start).take(room).cloned();
            found.extend(entries.map(|(name, entry)| (name.into_text(), entry)));
            Ok(())
        }
        Body::Inner(inner) => {
            let start = behind(&inner.children, after, |child| &child.first).saturating_sub(1);
            for (at, child) in inner.children.iter().enumerate().skip(start) {
                if found.len() >= limit {
                    break;
                }
                match child.link.load(source) {
                    Ok(node) => page(&node, source, after, limit, found)?,
                    Err(Fault::Missing(mut missing)) => {
                        let mut room = (limit - found.len()) as u64;
                        for next in inner.children.iter().skip(at + 1) {
                            if room == 0 {
                                break;
                            }
                            missing.extend(absent(&next.link, source));
                            room = room.saturating_sub(next.len);
                        }
                        return Err(Fault::Missing(missing));
                    }
                    Err(fault) => return Err(fault),
                }
            }
            Ok(())
        }
        Body::Chunks(_) => Err(damaged()),
    }
}

fn absent(link: &NodeRef, source: &dyn NodeSource) -> Option<Missing> {
    match link {
        NodeRef::Stored(blobref) if source.node(blobref).is_none() => Some(Missing {
            blobref: *blobref,
            kind: ObjectKind::Node,
        }),
        _ => None,
    }
}

/// The number of sorted items with names up to and including `after`.
fn behind<T>(items: &[T], after: Option<&str>, name: impl Fn(&T) -> &Name) -> usize {
    after.map_or(0, |after| {
        let after = Sought::new(after);
        items.partition_point(|item| after.is_reached_by(name(item)))
    })
}

/// Up to `limit` names after `behind` whose entries differ.
pub(super) fn changes(
    before: &Directory,
    after: &Directory,
    ctx: &Ctx<'_>,
    behind: Option<&str>,
    limit: usize,
) -> Result<Vec<EntryChange>, Fault> {
    let mut changes = Vec::new();
    if before.same(after, ctx.params) {
        return Ok(changes);
    }
    let (before, after) = both(before.link.load(ctx.source), after.link.load(ctx.source))?;
    let mut old = Walk::new(before, behind);
    let mut new = Walk::new(after, behind);
    while changes.len() < limit {
        let order = match (old.here(), new.here()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(two)) => one.name().cmp(two.name()),
        };
        match order {
            Ordering::Less => {
                changes.extend(old.take_or_open(ctx)?.map(|(name, entry)| EntryChange {
                    name,
                    before: Some(entry),
                    after: None,
                }))
            }
            Ordering::Greater => {
                changes.extend(new.take_or_open(ctx)?.map(|(name, entry)| EntryChange {
                    name,
                    before: None,
                    after: Some(entry),
                }))
            }
            Ordering::Equal => changes.extend(step(&mut old, &mut new, ctx)?),
        }
    }
    Ok(changes)
}

/// Advances at least one of two walks that are at the same name.
fn step(
    old: &mut Walk<'_>,
    new: &mut Walk<'_>,
    ctx: &Ctx<'_>,
) -> Result<Option<EntryChange>, Fault> {
    let (Some(one), Some(two)) = (old.here(), new.here()) else {
        return Ok(None);
    };
    match (one, two) {
        (Item::Entry(name, one), Item::Entry(_, two)) => {
            let change = (!one.same(two, ctx.params)).then(|| EntryChange {
                name: name.clone().into_text(),
                before: Some(one.clone()),
                after: Some(two.clone()),
            });
            old.pass();
            new.pass();
            return Ok(change);
        }
        (Item::Part(one, height), Item::Part(two, other)) if height == other => {
            if is_same(one, two, ctx.params) {
                old.pass();
                new.pass();
            } else {
                let nodes = both(one.link.load(ctx.source), two.link.load(ctx.source))?;
                old.enter(nodes.0);
                new.enter(nodes.1);
            }
        }
        // Open the higher one (an entry is lowest); the other waits.
        (one, two) if one.height() > two.height() => drop(old.take_or_open(ctx)?),
        _ => drop(new.take_or_open(ctx)?),
    }
    Ok(None)
}

fn is_same(one: &Child, two: &Child, params: &StoreParams) -> bool {
    one.len == two.len && one.stats == two.stats && one.seal(params) == two.seal(params)
}

/// Both results, or everything that is missing for them.
fn both<T>(one: Result<T, Fault>, two: Result<T, Fault>) -> Result<(T, T), Fault> {
    match (one, two) {
        (Ok(one), Ok(two)) => Ok((one, two)),
        (Err(Fault::Missing(mut missing)), Err(Fault::Missing(more))) => {
            missing.extend(more);
            Err(Fault::Missing(missing))
        }
        (Err(fault), _) | (_, Err(fault)) => Err(fault),
    }
}

/// A walk of a directory that loads a part only when it opens it.
struct Walk<'a> {
    /// The nodes on the current path, each with the position of its next item, which exists.
    stack: Vec<(Arc<Node>, usize)>,
    /// Skips names up to and including this one.
    behind: Option<&'a str>,
}

/// The current item of a walk.
enum Item<'a> {
    /// A part of the directory, with its height.
    Part(&'a Child, u8),
    Entry(&'a Name, &'a Entry),
}

impl Item<'_> {
    fn name(&self) -> &Name {
        match self {
            Item::Part(child, _) => &child.first,
            Item::Entry(name, _) => name,
        }
    }

    fn height(&self) -> Option<u8> {
        match self {
            Item::Part(_, height) => Some(*height),
            Item::Entry(..) => None,
        }
    }
}

impl<'a> Walk<'a> {
    fn new(node: Arc<Node>, behind: Option<&'a str>) -> Self {
        let stack = Vec::new();
        let mut walk = Walk { stack, behind };
        walk.push(node);
        walk
    }

    fn here(&self) -> Option<Item<'_>> {
        let (node, at) = self.stack.last()?;
        match &node.body {
            Body::Leaf(leaf) => {
                let (name, entry) = leaf.entries.get(*at)?;
                Some(Item::Entry(name, entry))
            }
            Body::Inner(inner) => {
                let below = inner.height.saturating_sub(1);
                Some(Item::Part(inner.children.get(*at)?, below))
            }
            Body::Chunks(_) => None,
        }
    }

    fn push(&mut self, node: Arc<Node>) {
        let start = match &node.body {
            Body::Leaf(leaf) => behind(&leaf.entries, self.behind, |(name, _)| name),
            Body::Inner(inner) => {
                behind(&inner.children, self.behind, |child| &child.first).saturating_sub(1)
            }
            Body::Chunks(_) => 0,
        };
        self.stack.push((node, start));
        self.settle();
    }

    /// Leaves nodes without further items.
    fn settle(&mut self) {
        while !self.stack.is_empty() && self.here().is_none() {
            self.stack.pop();
        }
    }

    /// Skips the current item.
    fn pass(&mut self) {
        if let Some((_, at)) = self.stack.last_mut() {
            *at += 1;
        }
        self.settle();
    }

    /// Enters the current item, a part whose node is `node`.
    fn enter(&mut self, node: Arc<Node>) {
        if let Some((_, at)) = self.stack.last_mut() {
            *at += 1;
        }
        self.push(node);
    }

    /// Returns the current item if it is an entry, otherwise opens it.
    fn take_or_open(&mut self, ctx: &Ctx<'_>) -> Result<Option<(SmolStr, Entry)>, Fault> {
        match self.here() {
            Some(Item::Entry(name, entry)) => {
                let taken = (name.clone().into_text(), entry.clone());
                self.pass();
                Ok(Some(taken))
            }
            Some(Item::Part(child, _)) => {
                let node = child.link.load(ctx.source)?;
                self.enter(node);
                Ok(None)
            }
            None => Ok(None),
        }
    }
}
