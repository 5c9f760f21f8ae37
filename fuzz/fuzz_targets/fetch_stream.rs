//! Gives a fetching client a damaged file. See `entries.rs`.

#![no_main]

#[path = "../entries.rs"]
#[expect(dead_code, reason = "each target uses one of the entries")]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::fetch_stream(data));
