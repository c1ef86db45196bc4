//! Legacy answers: asked of a live server, recorded into a file, and replayed from it.
//!
//! It also sits between a gateway and the new API while a recording is made ([`relay`]), and replaces
//! every person in a recording by a pseudonym ([`pseudonym`]). It knows HTTP, JSON and the vendor's
//! pages. It must never import the crate `domain`, and never write a credential to disk.

pub mod ask;
pub mod beside;
pub mod endpoint;
mod hex;
pub mod node;
mod owner_only;
pub mod pseudonym;
mod recording;
pub mod relay;
pub mod source;
pub mod spelling;

pub use hex::hex;
pub use owner_only::owner_only;
pub use recording::{
    ByPart, Corpus, CorpusError, FORMAT, Header, Recorded, Recording, Replay, Summary, UNFINISHED,
    Writer,
};
