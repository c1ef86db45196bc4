//! Serves a [`tower::Service`] over HTTP/1 and HTTP/2, sends single HTTP exchanges, and limits the
//! bodies of both.
//!
//! The crate knows sockets, TLS, framing and time. It must never know what the product translates: it
//! names no path, header or JSON field of any API.
//!
//! **Invariant**: every wait for a peer has a limit. Each phase of a connection (TLS handshake, request
//! head, request body, answer, idle time, drain) has its own.

pub mod alarm;
pub mod body;
pub mod client;
mod error_chain;
pub mod headers;
mod http2;
mod progress;
mod retry_after;
pub mod server;
pub mod tls;
pub mod upgrade;
mod validity;

pub use retry_after::retry_after;
