//! Applies a transaction to a tree.
//!
//! A transaction works on a clone of the root, which is free. So a transaction that is refused, or
//! that finds a stored object missing half-way, has no effect.

mod draft;

mod write;

mod object;

mod operation;

mod condition;

mod single;

use std::cell::Cell;

use crate::edit::with_more;
use crate::effect::Effect;
use crate::error::{TreeError, TreeErrorKind};
use crate::key::Key;
use crate::limits::{
    DEPTH, ENTRIES, LOGICAL_BYTES, MISSING_REPORTED, TRANSACTION_OPERATIONS, TRANSACTION_VISITS,
};
use crate::node::{Directory, Stats};
use crate::source::{Ctx, Fault};
use crate::transaction::{Condition, Operation, OperationResult, Transaction};
use draft::Draft;

pub use condition::PastRoots;
pub use draft::Written;
pub use single::{Located, locate, plain_put, put_plainly};

/// The result of applying a transaction.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The new root, not hashed yet.
    pub root: Directory,
    /// The changes, in order of the operations.
    pub effects: Vec<Effect>,
    /// One result per operation.
    pub results: Vec<OperationResult>,
    /// Every key that was read or written, with links resolved, and each link that was followed;
    /// sorted, without duplicates.
    pub touched: Vec<Key>,
}

/// Applies a transaction to a tree. `root` is unchanged, so a refused transaction has no effect.
/// Reports missing objects for all operations at once, as far as these are known.
///
/// # Errors
/// Messages name the operation or condition (counted from 0) and its key. `ConditionFailed` if a
/// condition does not hold; otherwise see [`crate::Operation`]. `Limit` if there are more than
/// [`TRANSACTION_OPERATIONS`] operations or conditions, if they visit more than
/// `TRANSACTION_VISITS` names, or if the tree would exceed [`ENTRIES`], `LOGICAL_BYTES` or
/// `DEPTH`.
pub fn apply(
    root: &Directory,
    ctx: &Ctx<'_>,
    past: PastRoots<'_>,
    transaction: &Transaction,
) -> Result<Applied, Fault> {
    let Transaction {
        conditions,
        operations,
    } = transaction;
    if operations.len().max(conditions.len()) > TRANSACTION_OPERATIONS {
        let message = format!(
            "{} operations and {} conditions; the limit is {TRANSACTION_OPERATIONS} of each",
            operations.len(),
            conditions.len()
        );
        return Err(TreeError::new(TreeErrorKind::Limit, message).into());
    }
    let visits = Cell::new(0);
    let run = |conditions: &[_], operations: &[_]| {
        run((root, ctx, &visits), past, conditions, operations)
    };
    run(conditions, operations).map_err(|fault| {
        // What they visit again counts, too; then whatever else is missing is found later.
        let conditions = conditions.iter().map(std::slice::from_ref);
        let operations = operations.iter().map(std::slice::from_ref);
        let alone = conditions
            .map(|one| run(one, &[]))
            .chain(operations.map(|one| run(&[], one)))
            .take_while(|_| visits.get() <= TRANSACTION_VISITS);
        with_more(fault, MISSING_REPORTED, alone)
    })
}

fn run(
    (root, ctx, visits): (&Directory, &Ctx<'_>, &Cell<usize>),
    past: PastRoots<'_>,
    conditions: &[Condition],
    operations: &[Operation],
) -> Result<Applied, Fault> {
    let before = root.stats();
    let mut root = root.clone();
    let mut draft = Draft::new(&mut root, ctx, visits);
    check_all(&mut draft, past, conditions)?;
    let mut results = Vec::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        let result = operation::perform(&mut draft, operation)
            .and_then(|result| {
                // Not only at the end: each of these may double the tree or nest it deeper.
                if let Operation::Copy { .. }
                | Operation::Move { .. }
                | Operation::PutObject { .. } = operation
                {
                    check_size(before, draft.root.stats())?;
                }
                Ok(result)
            })
            .map_err(|fault| named(fault, || operation::title(index, operation)))?;
        results.push(result);
    }
    check_size(before, draft.root.stats())?;
    let Written {
        effects,
        results,
        touched,
    } = draft.finish(results);
    Ok(Applied {
        root,
        effects,
        results,
        touched,
    })
}

/// Refuses the transaction if any condition does not hold.
fn check_all(
    draft: &mut Draft<'_>,
    past: PastRoots<'_>,
    conditions: &[Condition],
) -> Result<(), Fault> {
    for (index, condition) in conditions.iter().enumerate() {
        let title = || {
            format!(
                "condition {index}: {} {}",
                condition.verb(),
                condition.key()
            )
        };
        condition::check(draft, past, condition).map_err(|fault| named(fault, title))?;
    }
    Ok(())
}

/// Prefixes the fault's message with a title.
fn named(fault: Fault, title: impl FnOnce() -> String) -> Fault {
    match fault {
        Fault::Tree(TreeError { kind, message }) => Fault::Tree(TreeError {
            kind,
            message: format!("{}: {message}", title()),
        }),
        Fault::Missing(_) | Fault::NeedVersion(_) => fault,
    }
}

/// Refuses growth beyond a limit. A tree that already exceeds one may still shrink.
fn check_size(before: Stats, after: Stats) -> Result<(), Fault> {
    for (what, before, after, limit) in [
        ("entries", before.entries, after.entries, ENTRIES),
        ("bytes", before.bytes, after.bytes, LOGICAL_BYTES),
        (
            "levels",
            u64::from(before.depth),
            u64::from(after.depth),
            u64::from(DEPTH),
        ),
    ] {
        if after > limit && after > before {
            let message = format!("the tree would have {after} {what}; the limit is {limit}");
            return Err(TreeError::new(TreeErrorKind::Limit, message).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
