//! kvs-engine
