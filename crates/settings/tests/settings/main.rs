//! Tests of the configuration: what is refused and in which words, and what the pages say.

mod brownouts;
mod commons;
mod configuration;
mod configuration_docs;
mod keys;
mod messages;
mod roster;
mod schema;
mod show;
