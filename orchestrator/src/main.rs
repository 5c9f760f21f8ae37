//! o
fn main(){}
