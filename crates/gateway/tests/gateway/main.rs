//! Tests of the gateway's errors: what the page says of them.

mod errors_docs;
