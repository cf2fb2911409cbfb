//! A tree while a transaction works on it, with the record of its changes.

use std::cell::Cell;

use crate::edit::edit;
use crate::effect::Effect;
use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::limits::TRANSACTION_VISITS;
use crate::lookup::{Resolved, lookup};
use crate::node::{Directory, Entry};
use crate::source::{Ctx, Fault};
use crate::transaction::OperationResult;

/// The changes that a transaction made to a tree.
#[derive(Clone, Debug)]
pub struct Written {
    /// The changes, in order of the operations.
    pub effects: Vec<Effect>,
    /// One result per operation.
    pub results: Vec<OperationResult>,
    /// As in [`crate::Applied`].
    pub touched: Vec<Key>,
}

/// The state of a transaction in progress.
pub(super) struct Draft<'a> {
    pub(super) root: &'a mut Directory,
    pub(super) effects: Vec<Effect>,
    /// May contain duplicates.
    pub(super) touched: Vec<Key>,
    pub(super) ctx: &'a Ctx<'a>,
    /// Names that lookups of this transaction visited, in this and earlier attempts.
    visits: &'a Cell<usize>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(root: &'a mut Directory, ctx: &'a Ctx<'a>, visits: &'a Cell<usize>) -> Self {
        Draft {
            root,
            effects: Vec::with_capacity(1),
            touched: Vec::new(),
            ctx,
            visits,
        }
    }

    /// Counts the names that a lookup visited. Refuses the transaction if they are too many.
    pub(super) fn visit(&self, key: &Key, links: &[Key]) -> Result<(), Fault> {
        let names = key.depth() + links.iter().map(Key::depth).sum::<usize>();
        let visits = self.visits.get().saturating_add(names);
        self.visits.set(visits);
        if visits > TRANSACTION_VISITS {
            return refused(
                TreeErrorKind::Limit,
                format!(
                    "the transaction visits more than {TRANSACTION_VISITS} names, of its keys and of links on the way: split it"
                ),
            );
        }
        Ok(())
    }

    /// Follows the links in the middle of `key`. Returns the key that a write goes to and the entry
    /// there. Records everything on the path as touched.
    pub(super) fn resolve(&mut self, key: &Key) -> Result<(Key, Option<Entry>), Fault> {
        let (entry, key, links) = match lookup(self.root, self.ctx.source, key, false, 0)? {
            Resolved::Found { entry, key, links } => (Some(entry), key, links),
            Resolved::Absent { key, links } => (None, key, links),
            Resolved::Elsewhere { namespace, .. } => {
                let namespace = namespace.escape_debug();
                return invalid(format!(
                    "a link on the way leads into namespace '{namespace}', and a transaction writes in one namespace"
                ));
            }
        };
        self.visit(&key, &links)?;
        self.touched.extend(links);
        self.touched.push(key.clone());
        Ok((key, entry))
    }

    /// Puts an entry at a resolved key and records the directories that this creates. Returns
    /// whether there were keys below the entry that it replaces.
    pub(super) fn place(&mut self, key: &Key, entry: Entry) -> Result<bool, Fault> {
        let (mut entry, mut subtree) = (Some(entry), false);
        let mut made = Vec::new();
        edit(self.root, self.ctx, key, Some(&mut made), &mut |slot| {
            subtree = has_keys_below(slot.as_ref());
            *slot = entry.take();
            Ok(())
        })?;
        self.record_made(key, &made);
        Ok(subtree)
    }

    /// Ensures that there is a directory at a resolved key.
    pub(super) fn make_directories(&mut self, key: &Key) -> Result<(), Fault> {
        if key.is_root() {
            return Ok(());
        }
        let mut made = Vec::new();
        let mut last = false;
        edit(self.root, self.ctx, key, Some(&mut made), &mut |slot| {
            if !matches!(slot, Some(Entry::Directory(_))) {
                *slot = Some(Entry::Directory(Directory::empty()));
                last = true;
            }
            Ok(())
        })?;
        if last {
            made.push(key.depth());
        }
        self.record_made(key, &made);
        Ok(())
    }

    /// Edits the entry at a resolved key, whose parent must exist.
    pub(super) fn edit(
        &mut self,
        key: &Key,
        f: &mut dyn FnMut(&mut Option<Entry>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        edit(self.root, self.ctx, key, None, f)
    }

    /// The changes, with the results of the operations.
    pub(super) fn finish(mut self, results: Vec<OperationResult>) -> Written {
        self.touched.sort_unstable();
        self.touched.dedup();
        Written {
            effects: self.effects,
            results,
            touched: self.touched,
        }
    }

    fn record_made(&mut self, key: &Key, made: &[usize]) {
        let made = made.iter().map(|&depth| Effect::Mkdir {
            key: key.prefix(depth),
            subtree: false,
        });
        self.effects.extend(made);
    }
}

/// Whether there are keys below the entry.
pub(super) fn has_keys_below(entry: Option<&Entry>) -> bool {
    matches!(entry, Some(Entry::Directory(directory)) if !directory.is_empty())
}

/// An error of kind `Invalid`.
pub(super) fn invalid<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(TreeError::new(TreeErrorKind::Invalid, message).into())
}

/// An error of another kind.
pub(super) fn refused<T>(kind: TreeErrorKind, message: impl Into<String>) -> Result<T, Fault> {
    Err(TreeError::new(kind, message).into())
}
