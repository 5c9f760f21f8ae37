//! Frames in, frames out: what is cut, where it goes, when it leaves; and whether the kernel cuts alike.

mod cutting;
mod kernel;
mod packets;
mod switching;
