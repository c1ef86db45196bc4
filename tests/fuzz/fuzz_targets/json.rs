//! Bytes of an upstream, as JSON. Must never hold a rule of its own: see `domain::properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| domain::properties::json_reader(data));
