//! Tests of the gateway's configuration: what is refused and in which words, and what its page says.

mod configuration;
mod configuration_docs;
