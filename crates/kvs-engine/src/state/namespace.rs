//! One namespace beside its tree.

use std::sync::Arc;

use kvs_tree::Blobref;

use super::outcomes::Outcomes;
use super::terms::Terms;

/// One namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamespaceState {
    pub(crate) terms: Arc<Terms>,
    /// The newest version that was applied.
    pub(crate) version: u64,
    /// Its root; `None` on the head, where roots are not computed yet.
    pub(crate) root: Option<Blobref>,
    /// Its time, in milliseconds since the epoch.
    pub(crate) age_ms: u64,
    pub(crate) outcomes: Outcomes,
    /// Whether it was changed since the state was last written.
    pub(super) changed: bool,
}
