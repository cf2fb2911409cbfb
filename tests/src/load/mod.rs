//! Load on a daemon: clients of every kind, and the threads and resource limits that they run with.

pub(crate) mod dedicated_thread;
pub(crate) mod sequence_check;
pub(crate) mod pipeline;
pub(crate) mod confined;
pub(crate) mod hostile_guest;
pub(crate) mod mixed_load;
pub(crate) mod rate_limited_writer;
pub(crate) mod round_trip;
pub(crate) mod stalled_transport;
pub(crate) mod cost_over_time;
pub(crate) mod control;
