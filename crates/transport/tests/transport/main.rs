//! Tests of the server and the client over real loopback sockets, against peers that speak bytes.

mod body;
mod client;
mod drain;
mod http2;
mod server;
mod support;
mod tls;
