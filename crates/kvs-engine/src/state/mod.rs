//! Everything durable that is not in a tree, as one persistent value (RFC 0008).
//!
//! Pure. [`State::decide`] judges a change and [`State::apply`] applies a record; nothing else
//! changes a state, and no other module interprets records.

mod persistent;

mod sixteen_bytes;

mod terms;

mod rights;

mod record;

mod outcomes;

mod namespace;

mod whole;

mod apply;

mod decide;

mod stored;

#[cfg(test)]
mod tests;

pub(crate) use apply::Notice;
pub(crate) use decide::Change;
pub(crate) use namespace::NamespaceState;
pub(crate) use outcomes::{Outcome, Seen};
pub use record::{Cause, Group, Record, TransactionRecord, VersionRecord};
pub(crate) use record::{Subject, effect_bytes};
pub(crate) use rights::{Authority, not_allowed};
pub(crate) use stored::{Area, Restore, STORE, decode, encode, entry_name, namespace_name};
pub(crate) use terms::Terms;
pub(crate) use whole::{Changed, State};
