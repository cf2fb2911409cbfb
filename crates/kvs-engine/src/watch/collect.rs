//! Collects the changes of one part, up to the limits of an event and of a slice.

use kvs_tree::{Entry, Fault, Key, NodeSource, StoreParams};

use crate::changes::{ChangeKind, ChangeValue, KeyChange, change, entered, entry_value};
use crate::event_cache::{ModeKind, Shape};
use crate::limits::{BYTES_A_VISIT, EVENT_BYTES, EVENT_CHANGES};
use crate::slices::visits_of_bytes;

/// The inputs of every step.
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
    /// Bytes after which the collector is full.
    most: usize,
}

impl<'a, 'b> Collector<'a, 'b> {
    /// The byte limit is worth half of `visits`; the other half is for finding the keys.
    pub(super) fn new(context: &'a Context<'b>, visits: usize) -> Self {
        Self {
            context,
            found: Vec::new(),
            bytes: 0,
            most: EVENT_BYTES.min(visits.saturating_mul(BYTES_A_VISIT / 2)),
        }
    }

    pub(super) fn full(&self) -> bool {
        self.found.len() >= EVENT_CHANGES || self.bytes >= self.most
    }

    /// Adds the entry now at `key`. `before` is the previous entry; `None` for a listing.
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
        self.push(one);
        Ok(())
    }

    pub(super) fn push(&mut self, one: KeyChange) {
        self.bytes += one.key.as_str().len() + one.size();
        self.found.push(one);
    }

    /// The collected bytes, as visits.
    pub(super) fn visits(&self) -> usize {
        visits_of_bytes(self.bytes)
    }
}
