//! Applying a transaction to a tree.

use crate::effect::Effect;
use crate::key::Key;
use crate::node::Directory;
use crate::source::{Ctx, Fault};
use crate::transaction::{OperationResult, Transaction};

/// Past roots of the namespace by version; none if the version is not at hand.
pub type PastRoots<'a> = &'a dyn Fn(u64) -> Option<Directory>;

/// What a transaction made of a tree.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The new root; its hash is not computed yet.
    pub root: Directory,
    /// What changed, in order of the operations.
    pub effects: Vec<Effect>,
    /// One for each operation.
    pub results: Vec<OperationResult>,
    /// Every key that was read or written, with no link on its way, and each link that was
    /// followed; sorted, no key twice.
    pub touched: Vec<Key>,
}

/// Applies a transaction to a tree. `root` is left as it is, so a refused transaction leaves no
/// trace.
///
/// # Errors
/// Messages name the operation or condition (counted from 0) and its key. `ConditionFailed` if a
/// condition does not hold; otherwise see [`crate::Operation`].
pub fn apply(
    root: &Directory,
    ctx: &Ctx<'_>,
    past: PastRoots<'_>,
    transaction: &Transaction,
) -> Result<Applied, Fault> {
    let _ = (root, ctx, past, transaction);
    todo!()
}
