//! Bytes of a client of HTTP/1. Must never hold a rule of its own: see `transport::server::properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transport::server::properties::http1_guard(data));
