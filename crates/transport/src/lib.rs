//! Serves a [`tower::Service`] over HTTP/1 and HTTP/2, sends single HTTP exchanges, and bounds
//! the bodies of both.
//!
//! The crate knows sockets, TLS, framing and time. It must never know what the product translates:
//! no path, header or JSON field of any API has a name here.
//!
//! **Invariant**: no wait on a peer is without a limit. Each phase of a connection (TLS handshake,
//! request head, request body, answer, idleness, drain) has its own.

pub mod body;
pub mod client;
mod error_chain;
mod progress;
pub mod server;
pub mod tls;
pub mod upgrade;
mod validity;
