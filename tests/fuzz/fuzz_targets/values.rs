//! Bytes in place of a value that replicas share. Must never hold a rule of its own: see `commons::properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| commons::properties::never_believed(data));
