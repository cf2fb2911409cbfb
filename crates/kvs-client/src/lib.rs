//! kvs-client
