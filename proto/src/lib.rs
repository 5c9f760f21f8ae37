//! The protocols, pure.
