//! The program `peerbed-peer`: arguments, exit codes, and nothing else.

fn main() {}
