//! kvs-proto
