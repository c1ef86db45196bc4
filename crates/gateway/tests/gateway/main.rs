//! Tests of the gateway's configuration and of its errors: what is refused and in which words, and what
//! the pages say.

mod configuration;
mod configuration_docs;
mod errors_docs;
