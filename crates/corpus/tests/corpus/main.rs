//! Tests of recordings, pseudonyms and the relay through their public interface.

mod pseudonym;
mod recording;
mod relay;
