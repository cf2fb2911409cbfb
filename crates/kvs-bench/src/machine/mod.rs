//! The limits of the machine: round trips between two processes, disk syncs, hashing and copying.

pub(crate) mod frames;

pub(crate) mod peer;

pub(crate) mod pingpong;

pub(crate) mod disk;

mod limits;

pub(crate) use limits::{Limit, measure};
