//! kvs-tree
