//! o
fn main() {}
