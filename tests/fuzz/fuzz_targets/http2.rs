//! Bytes of a client of HTTP/2. Must never hold a rule of its own: see `transport::server::properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| transport::server::properties::http2_admission(data));
