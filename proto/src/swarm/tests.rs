//! Tests of the whole core: this input, exactly these outputs. What belongs to one sub-machine is tested beside it.

mod conversation;
pub(super) mod fixture;
mod lifecycle;
