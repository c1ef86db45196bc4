//! Bytes of an upstream, as a page of a list. Must never hold a rule of its own: see `domain::properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| domain::properties::page_reader(data));
