//! What the machine could do at most: round trips between two processes, syncs of its disk, hashing
//! and copying.

pub(crate) mod frames;

pub(crate) mod peer;

pub(crate) mod pingpong;

pub(crate) mod disk;

mod limits;

pub(crate) use limits::{Limit, measure};
