//! Transactions with one operation at one key, applied in place and in two steps: locate the
//! target, then write. A plain put knows its target, unless a link is on the path, and needs only
//! the second step.
//!
//! If the caller keeps no clone of the tree between the two steps, nodes copied by earlier
//! transactions are uniquely owned and are edited in place: a series of transactions copies each
//! node once, not once per transaction. A step that fails leaves the tree unchanged.

use std::cell::Cell;

use super::draft::{Draft, Written};
use super::{PastRoots, check_all, named, operation, write};
use crate::edit::with_more;
use crate::key::Key;
use crate::limits::{DEPTH, ENTRIES, KEY_NAMES, LOGICAL_BYTES, MISSING_REPORTED, VALUE_BYTES};
use crate::node::{Directory, Entry, Stats};
use crate::source::{Ctx, Fault};
use crate::transaction::{Condition, Operation, OperationResult, Transaction};
use bytes::Bytes;

/// The target of a transaction's only operation, and the entry there.
#[derive(Clone, Debug)]
pub struct Located {
    key: Key,
    before: Option<Entry>,
    touched: Vec<Key>,
}

/// The operation, key and value of a transaction that is a single unconditional put.
fn only_put(transaction: &Transaction) -> Option<(&Operation, &Key, &Bytes)> {
    match (&*transaction.operations, &*transaction.conditions) {
        ([operation @ Operation::Put { key, value }], []) if !key.is_root() => {
            Some((operation, key, value))
        }
        _ => None,
    }
}

/// The key that a single unconditional put touches if no link is on its path; `None` for other
/// transactions.
pub fn plain_put(transaction: &Transaction) -> Option<&Key> {
    only_put(transaction).map(|(_, key, _)| key)
}

/// Applies a transaction that is a [plain put](plain_put), in place. Returns `None`, and does
/// nothing, for other transactions, if something such as a link is on the path, or if it might
/// exceed a limit: use [`locate`] or [`crate::apply`] then. Costs one descent of the tree, where
/// those take two.
///
/// # Errors
/// Only `Missing`; the tree is unchanged then.
pub fn put_plainly(
    root: &mut Directory,
    ctx: &Ctx<'_>,
    transaction: &Transaction,
) -> Result<Option<Written>, Fault> {
    let Some((operation, key, value)) = only_put(transaction) else {
        return Ok(None);
    };
    if value.len() as u64 > VALUE_BYTES || !fits(root.stats(), operation) {
        return Ok(None);
    }
    let visits = Cell::new(0);
    let mut draft = Draft::new(root, ctx, &visits);
    match write::put(&mut draft, key.clone(), value) {
        Ok(()) => {
            draft.touched.push(key.clone());
            Ok(Some(draft.finish(vec![OperationResult::Done])))
        }
        Err(Fault::Tree(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Checks the conditions of a transaction and locates its operation's target. Returns `None` if it
/// cannot be applied in place: it does not have exactly one operation, the operation removes,
/// moves, copies or grafts, or it might exceed a limit of the whole tree. Use [`crate::apply`]
/// then.
///
/// # Errors
/// Those of [`crate::apply`], with the same messages.
pub fn locate(
    root: &Directory,
    ctx: &Ctx<'_>,
    past: PastRoots<'_>,
    transaction: &Transaction,
) -> Result<Option<Located>, Fault> {
    let ([operation], conditions) = (&*transaction.operations, &*transaction.conditions) else {
        return Ok(None);
    };
    if conditions.len() > MISSING_REPORTED || !fits(root.stats(), operation) {
        return Ok(None);
    }
    let find = |conditions: &[Condition]| {
        let mut root = root.clone();
        let visits = Cell::new(0);
        let mut draft = Draft::new(&mut root, ctx, &visits);
        check_all(&mut draft, past, conditions)?;
        let (key, before) = operation::locate(&mut draft, operation)
            .map_err(|fault| named(fault, || operation::title(0, operation)))?;
        Ok(Located {
            key,
            before,
            touched: draft.finish(Vec::new()).touched,
        })
    };
    // A directory at a key of this depth would be one level too many.
    let deep = |located: &Located| located.key.depth() >= DEPTH as usize;
    let found = find(conditions).map(|located| Some(located).filter(|one| !deep(one)));
    found.map_err(|fault| {
        let alone = conditions.iter().map(|one| find(std::slice::from_ref(one)));
        with_more(fault, MISSING_REPORTED, alone)
    })
}

impl Located {
    /// Every key that the transaction reads or writes, as in [`crate::Applied`].
    pub fn touched(&self) -> &[Key] {
        &self.touched
    }

    /// Performs the operation of the located transaction on `root`, which must not have changed
    /// since.
    ///
    /// # Errors
    /// Those of [`crate::apply`]. The content of `root` is unchanged then, and the call can be
    /// repeated. It must not be repeated after it succeeded.
    pub fn write(
        &mut self,
        root: &mut Directory,
        ctx: &Ctx<'_>,
        transaction: &Transaction,
    ) -> Result<Written, Fault> {
        let visits = Cell::new(0);
        let mut draft = Draft::new(root, ctx, &visits);
        let mut results = Vec::with_capacity(1);
        for operation in &transaction.operations {
            let (key, before) = (self.key.clone(), self.before.as_ref());
            let result = operation::write(&mut draft, operation, key, before)
                .map_err(|fault| named(fault, || operation::title(0, operation)))?;
            results.push(result);
        }
        draft.touched = std::mem::take(&mut self.touched);
        Ok(draft.finish(results))
    }
}

/// Whether the operation can be done in place: it works at one key, removes nothing, and cannot
/// bring a tree with these totals to a limit, which is not checked before it is too late to undo.
fn fits(stats: Stats, operation: &Operation) -> bool {
    let bytes = match operation {
        Operation::Put { value, .. } | Operation::Append { value, .. } => value.len() as u64,
        Operation::PutStored { value, .. } => value.len(),
        Operation::Add { .. } => operation::INTEGER_BYTES,
        Operation::Mkdir { .. } | Operation::Link { .. } => 0,
        Operation::Unlink { .. }
        | Operation::Copy { .. }
        | Operation::Move { .. }
        | Operation::PutObject { .. } => return false,
    };
    // A key has at most this many names, and each creates at most one entry, also if links were
    // followed.
    stats.entries.saturating_add(KEY_NAMES as u64) <= ENTRIES
        && stats.bytes.saturating_add(bytes) <= LOGICAL_BYTES
}
