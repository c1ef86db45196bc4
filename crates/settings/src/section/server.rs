//! `[server]` and `[admin]`: where it listens, which hosts it is, and the limits of its connections.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};
use transport::server::ServerLimits;
use transport::tls::ServerTls;

use super::callers::Caller;
use crate::error::ConfigError;
use crate::key_source::{Key, key_digest_of};
use crate::reader::{Reader, field};
use crate::value::check::{count, count_to, positive, size_within};
use crate::value::coding::{Coding, each_once};
use crate::value::digest::KeyDigest;
use crate::value::network::{Network, networks};

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The certificate to show; without it, plain HTTP.
    pub tls: Option<ServerTls>,
    /// Trusted peers: Tieline believes their headers about their own clients.
    pub trusted_proxies: Vec<Network>,
    /// Hosts it is; none: any.
    pub hosts: Vec<String>,
    /// Whether a client may name its request.
    pub accept_request_id: bool,
    /// The limits of its connections.
    pub limits: ServerLimits,
    /// Codings in which answers are compressed, the best first.
    pub compression: Vec<Coding>,
}

/// hyper never reads a larger head, even if it is set to.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// No longer target is read.
const REQUEST_LINE_BYTES_MAX: usize = 60 << 10;
const WINDOW_BYTES_MAX: usize = 1 << 30;

/// `[server]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedServer {
    #[serde(deserialize_with = "listen")]
    listen: SocketAddr,
    tls: Option<Tls>,
    #[serde(deserialize_with = "networks")]
    trusted_proxies: Vec<Network>,
    accept_request_id: bool,
    #[serde(deserialize_with = "hosts")]
    hosts: Vec<String>,
    #[serde(deserialize_with = "positive")]
    header_timeout: Duration,
    #[serde(deserialize_with = "positive")]
    body_idle_timeout: Duration,
    #[serde(deserialize_with = "positive")]
    write_timeout: Duration,
    #[serde(deserialize_with = "positive")]
    idle_timeout: Duration,
    #[serde(deserialize_with = "positive")]
    handshake_timeout: Duration,
    #[serde(deserialize_with = "count")]
    connections_max: usize,
    connections_per_address_max: usize,
    #[serde(deserialize_with = "count")]
    headers_max: usize,
    #[serde(deserialize_with = "size_within::<256, REQUEST_LINE_BYTES_MAX, _, _>")]
    request_line_bytes_max: usize,
    #[serde(deserialize_with = "size_within::<256, HEAD_BYTES_MAX, _, _>")]
    field_bytes_max: usize,
    #[serde(deserialize_with = "size_within::<256, HEAD_BYTES_MAX, _, _>")]
    header_bytes_max: u32,
    #[serde(deserialize_with = "size_within::<256, HEAD_BYTES_MAX, _, _>")]
    http2_header_list_bytes_max: u32,
    #[serde(deserialize_with = "count")]
    http2_streams_max: usize,
    #[serde(deserialize_with = "count")]
    http2_resets_max: usize,
    #[serde(deserialize_with = "count")]
    http2_control_frames_max: usize,
    #[serde(deserialize_with = "count_to::<100, _>")]
    http2_empty_frames_max: usize,
    #[serde(deserialize_with = "count_to::<20, _>")]
    http2_continuations_max: usize,
    #[serde(deserialize_with = "size_within::<{ 1 << 10 }, WINDOW_BYTES_MAX, _, _>")]
    http2_stream_window: u32,
    #[serde(deserialize_with = "size_within::<{ 64 << 10 }, WINDOW_BYTES_MAX, _, _>")]
    http2_connection_window: u32,
    #[serde(deserialize_with = "each_once")]
    compression: Vec<Coding>,
}

impl Default for TypedServer {
    fn default() -> Self {
        TypedServer {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            trusted_proxies: Vec::new(),
            accept_request_id: false,
            hosts: Vec::new(),
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            // Load balancers hold connections for 60 s, and must be the first to close one.
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(5),
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            headers_max: 100,
            request_line_bytes_max: 8 << 10,
            field_bytes_max: 8 << 10,
            header_bytes_max: 32 << 10,
            http2_header_list_bytes_max: 16 << 10,
            http2_streams_max: 100,
            http2_resets_max: 100,
            http2_control_frames_max: 1_000,
            // h2 has this limit of its own.
            http2_empty_frames_max: 100,
            http2_continuations_max: 20,
            http2_stream_window: 64 << 10,
            http2_connection_window: 1 << 20,
            compression: vec![Coding::Zstd, Coding::Br, Coding::Gzip],
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert: PathBuf,
    key: PathBuf,
}

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Hosts it is, besides addresses and names without a dot.
    pub hosts: Vec<String>,
    /// Digest of the key of operators who ask from another machine; without it, none of them is told anything.
    pub key: Option<KeyDigest>,
    /// Whether the console and its JSON are there.
    pub console: bool,
    /// Whether the console tries a legacy request with a key that an operator types.
    pub try_requests: bool,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// Connections at once; for one more the oldest is closed.
    pub connections_max: usize,
}

/// `[admin]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedAdmin {
    #[serde(deserialize_with = "listen")]
    listen: SocketAddr,
    #[serde(deserialize_with = "hosts")]
    hosts: Vec<String>,
    key: Option<Key>,
    console: bool,
    try_requests: bool,
    #[serde(deserialize_with = "positive")]
    idle_timeout: Duration,
    #[serde(deserialize_with = "count")]
    connections_max: usize,
}

impl Default for TypedAdmin {
    fn default() -> Self {
        TypedAdmin {
            listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            hosts: Vec::new(),
            key: None,
            console: true,
            try_requests: false,
            idle_timeout: Duration::from_secs(5),
            connections_max: 64,
        }
    }
}

impl TypedAdmin {
    /// What it means. A caller's key opens lists, and no admin page.
    pub(crate) fn read(
        self,
        callers: &[Caller],
        reader: &Reader<'_>,
    ) -> Result<Admin, ConfigError> {
        let at = field(&["admin", "key"]);
        let key = self.key.map(|key| key_digest_of(&at, &key, reader)).transpose()?;
        let has = |caller: &&Caller| {
            key.is_some_and(|key| caller.digest == key || caller.key.is_of(&key))
        };
        let same = callers.iter().find(has);
        if let Some(Caller { name, .. }) = same {
            return reader.refuse(&at, format!("caller \"{name}\" has the same key"));
        }
        Ok(Admin {
            listen: self.listen,
            hosts: self.hosts,
            key,
            console: self.console,
            try_requests: self.try_requests,
            idle_timeout: self.idle_timeout,
            connections_max: self.connections_max,
        })
    }
}

impl TypedServer {
    /// What it means. The certificate is read now, so that a bad one is refused before any port is
    /// bound.
    pub(crate) fn read(self, reader: &Reader<'_>) -> Result<Server, ConfigError> {
        let tls =
            match &self.tls {
                None => None,
                Some(tls) => {
                    let (cert, key) = (reader.file(&tls.cert), reader.file(&tls.key));
                    let tls = ServerTls::from_pem_files(&cert, &key);
                    Some(tls.map_err(|error| {
                        reader.line(&field(&["server", "tls"]), error.to_string())
                    })?)
                }
            };
        Ok(Server {
            listen: self.listen,
            tls,
            trusted_proxies: self.trusted_proxies,
            hosts: self.hosts,
            accept_request_id: self.accept_request_id,
            compression: self.compression,
            limits: ServerLimits {
                header_timeout: self.header_timeout,
                idle_timeout: self.idle_timeout,
                handshake_timeout: self.handshake_timeout,
                body_idle: self.body_idle_timeout,
                write_progress: self.write_timeout,
                connections_max: self.connections_max,
                connections_per_address_max: self.connections_per_address_max,
                headers_max: self.headers_max,
                request_line_bytes_max: self.request_line_bytes_max,
                field_bytes_max: self.field_bytes_max,
                header_bytes_max: self.header_bytes_max,
                header_list_bytes_max: self.http2_header_list_bytes_max,
                // Never above a million.
                streams_max: u32::try_from(self.http2_streams_max).unwrap_or(u32::MAX),
                resets_max: self.http2_resets_max,
                control_frames_max: self.http2_control_frames_max,
                empty_frames_max: self.http2_empty_frames_max,
                continuations_max: self.http2_continuations_max,
                stream_window_bytes: self.http2_stream_window,
                connection_window_bytes: self.http2_connection_window,
                closes_oldest: false,
            },
        })
    }
}

/// An address and a port. A name is none: it may have several addresses, or other ones tomorrow.
fn listen<'de, D: Deserializer<'de>>(de: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(de)?;
    text.parse().map_err(|_| {
        let host = text.rsplit_once(':').map_or(text.as_str(), |(host, _)| host);
        let instead = match host {
            "localhost" => "for localhost write 127.0.0.1, or [::1]",
            "" | "*" => "for all addresses write 0.0.0.0, or [::]",
            _ => "0.0.0.0 or [::] is all addresses",
        };
        let what = "must be an IP address and a port, such as \"127.0.0.1:8080\"";
        D::Error::custom(format_args!("{what}; {instead}"))
    })
}

/// Names and addresses, without ports.
fn hosts<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<String>, D::Error> {
    let is_host = |host: &String| {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_fit),
        }
    };
    let hosts = Vec::<String>::deserialize(de)?;
    match hosts.iter().all(is_host) {
        true => Ok(hosts),
        false => Err(D::Error::custom("must be names such as \"api.example.com\", without a port")),
    }
}
