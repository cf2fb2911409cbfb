//! A transaction of one operation at one key, in two steps: first where it works, then the work
//! itself, in place. For a plain put, which tells by itself where it works unless a link is in its
//! way, the second step alone.
//!
//! Between the steps the caller may put the tree aside that was there before. If he does not,
//! nobody else holds the nodes that an earlier transaction has copied, and they are changed where
//! they are: of many transactions in a row each node is copied once, not once for each. A step that
//! fails leaves the tree as it was.

use super::draft::{Draft, Written};
use super::{PastRoots, check_all, named, operation, write};
use crate::edit::with_more;
use crate::key::Key;
use crate::limits::{DEPTH, ENTRIES, KEY_NAMES, LOGICAL_BYTES, MISSING_REPORTED, VALUE_BYTES};
use crate::node::{Directory, Entry, Stats};
use crate::source::{Ctx, Fault};
use crate::transaction::{Condition, Operation, OperationResult, Transaction};
use bytes::Bytes;

/// Where the only operation of a transaction works, and what stands there.
#[derive(Clone, Debug)]
pub struct Located {
    key: Key,
    before: Option<Entry>,
    touched: Vec<Key>,
}

/// The operation of a transaction that is nothing but a put, with its key and its value.
fn only_put(transaction: &Transaction) -> Option<(&Operation, &Key, &Bytes)> {
    match (&*transaction.operations, &*transaction.conditions) {
        ([operation @ Operation::Put { key, value }], []) if !key.is_root() => {
            Some((operation, key, value))
        }
        _ => None,
    }
}

/// The key that a transaction touches which is nothing but a put, if no link is on its way; `None`
/// for other transactions.
pub fn plain_put(transaction: &Transaction) -> Option<&Key> {
    only_put(transaction).map(|(_, key, _)| key)
}

/// Performs a transaction that is a [plain put](plain_put), in place. `None`, and nothing is done,
/// if it is another one, if anything is in its way, as a link, or if it might break a limit:
/// [`locate`] and [`crate::apply`] tell what. Cost: one way through the tree, where these take two.
///
/// # Errors
/// Only `Missing`; nothing is done then.
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
    let mut draft = Draft::new(root, ctx);
    match write::put(&mut draft, key.clone(), value) {
        Ok(()) => {
            draft.touched.push(key.clone());
            Ok(Some(draft.finish(vec![OperationResult::Done])))
        }
        Err(Fault::Tree(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Checks the conditions of a transaction and finds where its operation works. `None` if it is none
/// of those that can be done in place: it has not exactly one operation, or one that removes, moves
/// or grafts, or it might break a limit of the whole tree. Then [`crate::apply`] is to be asked.
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
        let mut draft = Draft::new(&mut root, ctx);
        check_all(&mut draft, past, conditions)?;
        let (key, before) = operation::locate(&mut draft, operation)
            .map_err(|fault| named(fault, || operation::title(0, operation)))?;
        Ok(Located {
            key,
            before,
            touched: draft.finish(Vec::new()).touched,
        })
    };
    // A directory at a key that is this long would be one level too many.
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

    /// Performs the operation of the transaction that was located in `root`, which must not have
    /// changed since.
    ///
    /// # Errors
    /// Those of [`crate::apply`]. `root` has the same content then as before, and the call can be
    /// repeated; after it has succeeded it cannot.
    pub fn write(
        &mut self,
        root: &mut Directory,
        ctx: &Ctx<'_>,
        transaction: &Transaction,
    ) -> Result<Written, Fault> {
        let mut draft = Draft::new(root, ctx);
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

/// Whether the operation can be done in place: it works at one key, takes nothing away, and cannot
/// bring a tree of these totals to a limit, which is looked at when it is too late to go back.
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
    // A key has so many names at most, and each makes one entry at most, also when links were
    // followed.
    stats.entries.saturating_add(KEY_NAMES as u64) <= ENTRIES
        && stats.bytes.saturating_add(bytes) <= LOGICAL_BYTES
}
