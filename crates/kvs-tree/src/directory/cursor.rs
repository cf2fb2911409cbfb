//! Walking directories in order of names: pages, and what differs between two directories. Parts that are equal, by their hash, are
//! stepped over without being loaded.

use super::regroup::damaged;
use crate::hash::StoreParams;
use crate::node::name::{Name, Sought};
use crate::node::{Body, Child, Directory, Entry, Link, Node, ObjectKind};
use crate::source::{Ctx, Fault, Missing, NodeSource};
use smol_str::SmolStr;
use std::cmp::Ordering;

/// A name that stands for different things in two directories: what before, what after.
#[derive(Clone, Debug)]
pub struct EntryChange {
    /// The name.
    pub name: SmolStr,
    /// What stands in the first directory.
    pub before: Option<Entry>,
    /// What stands in the second directory.
    pub after: Option<Entry>,
}

/// Adds entries behind `after` until there are `limit`. Where a child is missing, those of its neighbours that will be needed
/// are reported with it.
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

fn absent(link: &Link, source: &dyn NodeSource) -> Option<Missing> {
    match link {
        Link::Stored(blobref) if source.node(blobref).is_none() => Some(Missing {
            blobref: *blobref,
            kind: ObjectKind::Node,
        }),
        _ => None,
    }
}

/// How many of these sorted items have names up to `after`.
fn behind<T>(items: &[T], after: Option<&str>, name: impl Fn(&T) -> &Name) -> usize {
    after.map_or(0, |after| {
        let after = Sought::new(after);
        items.partition_point(|item| after.is_reached_by(name(item)))
    })
}

/// At most `limit` names behind `after` that stand for different things in two directories.
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
    let mut old = Walk {
        stack: Vec::new(),
        behind,
    };
    let mut new = Walk {
        stack: Vec::new(),
        behind,
    };
    old.push(&before);
    new.push(&after);
    while changes.len() < limit {
        match (old.stack.last(), new.stack.last()) {
            (None, None) => break,
            (Some(_), None) => old.take_or_open(ctx, &mut |name, entry| {
                changes.push(EntryChange {
                    name,
                    before: Some(entry),
                    after: None,
                });
            })?,
            (None, Some(_)) => new.take_or_open(ctx, &mut |name, entry| {
                changes.push(EntryChange {
                    name,
                    before: None,
                    after: Some(entry),
                });
            })?,
            (Some(one), Some(two)) => match one.name().cmp(two.name()) {
                Ordering::Less => old.take_or_open(ctx, &mut |name, entry| {
                    changes.push(EntryChange {
                        name,
                        before: Some(entry),
                        after: None,
                    });
                })?,
                Ordering::Greater => new.take_or_open(ctx, &mut |name, entry| {
                    changes.push(EntryChange {
                        name,
                        before: None,
                        after: Some(entry),
                    });
                })?,
                Ordering::Equal => step(&mut old, &mut new, ctx, &mut changes)?,
            },
        }
    }
    Ok(changes)
}

/// Both walks stand at the same name.
fn step(
    old: &mut Walk<'_>,
    new: &mut Walk<'_>,
    ctx: &Ctx<'_>,
    changes: &mut Vec<EntryChange>,
) -> Result<(), Fault> {
    let (Some(one), Some(two)) = (old.stack.pop(), new.stack.pop()) else {
        return Ok(());
    };
    match (one, two) {
        (Item::Entry(name, one), Item::Entry(_, two)) => {
            if !one.same(&two, ctx.params) {
                changes.push(EntryChange {
                    name: name.into_text(),
                    before: Some(one),
                    after: Some(two),
                });
            }
        }
        (Item::Part(one, height), Item::Part(two, other)) if height == other => {
            if !is_same(&one, &two, ctx.params) {
                let nodes = both(one.link.load(ctx.source), two.link.load(ctx.source))?;
                old.push(&nodes.0);
                new.push(&nodes.1);
            }
        }
        // The higher one is opened, an entry being lowest; the other waits.
        (one, two) => {
            if one.height() > two.height() {
                new.stack.push(two);
                old.open(one, ctx)?;
            } else {
                old.stack.push(one);
                new.open(two, ctx)?;
            }
        }
    }
    Ok(())
}

fn is_same(one: &Child, two: &Child, params: &StoreParams) -> bool {
    one.len == two.len && one.stats == two.stats && one.seal(params) == two.seal(params)
}

/// Both, or everything that is missing for them.
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

/// A walk through a directory that loads parts only when they are opened.
struct Walk<'a> {
    /// What is ahead, the next item last.
    stack: Vec<Item>,
    /// Names up to this are left out.
    behind: Option<&'a str>,
}

enum Item {
    /// A part of the directory and its height.
    Part(Child, u8),
    Entry(Name, Entry),
}

impl Item {
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

impl Walk<'_> {
    fn push(&mut self, node: &Node) {
        match &node.body {
            Body::Leaf(leaf) => {
                let start = behind(&leaf.entries, self.behind, |(name, _)| name);
                let entries = leaf.entries.iter().skip(start).cloned().rev();
                self.stack
                    .extend(entries.map(|(name, entry)| Item::Entry(name, entry)));
            }
            Body::Inner(inner) => {
                let parts = &inner.children;
                let start = behind(parts, self.behind, |child| &child.first).saturating_sub(1);
                let below = inner.height.saturating_sub(1);
                let children = parts.iter().skip(start).cloned().rev();
                self.stack
                    .extend(children.map(|child| Item::Part(child, below)));
            }
            Body::Chunks(_) => {}
        }
    }

    fn open(&mut self, item: Item, ctx: &Ctx<'_>) -> Result<(), Fault> {
        match item {
            Item::Part(child, _) => self.push(&*child.link.load(ctx.source)?),
            entry => self.stack.push(entry),
        }
        Ok(())
    }

    /// Hands out the next item if it is an entry, else opens it.
    fn take_or_open(
        &mut self,
        ctx: &Ctx<'_>,
        take: &mut dyn FnMut(SmolStr, Entry),
    ) -> Result<(), Fault> {
        match self.stack.pop() {
            Some(Item::Entry(name, entry)) => take(name.into_text(), entry),
            Some(part) => self.open(part, ctx)?,
            None => {}
        }
        Ok(())
    }
}
