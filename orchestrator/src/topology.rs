//! The topology.
mod tree;
