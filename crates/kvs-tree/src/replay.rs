//! Replaying recorded effects.

use crate::effect::Effect;
use crate::node::Directory;
use crate::source::{Ctx, Fault};

/// Does again what the effects say, in order. From the root that they were made from this leads to
/// the root that they led to.
///
/// # Errors
/// `Corrupt` if an effect does not fit the tree.
pub fn replay(root: &Directory, ctx: &Ctx<'_>, effects: &[Effect]) -> Result<Directory, Fault> {
    let _ = (root, ctx, effects);
    todo!()
}
