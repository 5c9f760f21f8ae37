//! Decodes announces and replies, and announces to a tracker. See `entries.rs`.

#![no_main]

#[path = "../entries.rs"]
#[expect(dead_code, reason = "each target uses one of the entries")]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::tracker_messages(data));
