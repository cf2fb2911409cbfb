//! Collecting the changes of a part until it is full.

use kvs_tree::{Entry, Fault, Key, NodeSource, StoreParams};

use crate::changes::{ChangeKind, ChangeValue, KeyChange, change, entered, entry_value};
use crate::limits::{EVENT_BYTES, EVENT_CHANGES};
use crate::shared::{ModeKind, Shape};

/// What every step needs.
pub(super) struct Context<'a> {
    pub(super) source: &'a dyn NodeSource,
    pub(super) params: &'a StoreParams,
    pub(super) shape: Shape,
}

/// Collects changes until a part is full.
pub(super) struct Collector<'a, 'b> {
    context: &'a Context<'b>,
    pub(super) found: Vec<KeyChange>,
    bytes: usize,
}

impl<'a, 'b> Collector<'a, 'b> {
    pub(super) fn new(context: &'a Context<'b>) -> Self {
        Self {
            context,
            found: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn full(&self) -> bool {
        self.found.len() >= EVENT_CHANGES || self.bytes >= EVENT_BYTES
    }

    /// Adds what stands at a key now; `before` is given where something else did.
    pub(super) fn add(
        &mut self,
        key: &Key,
        before: Option<Option<&Entry>>,
        after: Option<&Entry>,
    ) -> Result<(), Fault> {
        let Context {
            source,
            params,
            shape,
        } = *self.context;
        let mut one = match after {
            None => change(key, ChangeKind::Unlink, ChangeValue::None),
            Some(Entry::Value(_)) if !shape.values => {
                change(key, ChangeKind::Put, ChangeValue::None)
            }
            Some(entry) => entered(key, entry, source, params)?,
        };
        if shape.kind == ModeKind::Append && one.kind == ChangeKind::Put {
            one.offset = Some(0);
        }
        if let Some(before) = before
            && shape.previous
        {
            one.previous = Some(entry_value(before, source, params)?);
        }
        self.bytes += key.as_str().len() + one.size();
        self.found.push(one);
        Ok(())
    }
}
