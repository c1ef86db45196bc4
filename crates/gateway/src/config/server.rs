//! `[server]`: where it listens, which hosts it is, and the limits of its connections.

use std::time::Duration;

use transport::server::ServerLimits;

use super::{ConfigError, Field, Reader, Server, field};

/// hyper reads no head that is larger, whatever it is told.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// No longer target is read.
const REQUEST_LINE_BYTES_MAX: usize = 60 << 10;
const WINDOW_BYTES_MAX: usize = 1 << 30;

fn at(name: &str) -> Field {
    field(&["server", name])
}

impl Reader<'_> {
    pub(super) fn server(&self) -> Result<Server, ConfigError> {
        Ok(Server {
            listen: self.raw.server.listen,
            tls: self.server_tls()?,
            hosts: self.hosts()?,
            trusted_proxies: self.trusted_proxies()?,
            accept_request_id: self.raw.server.accept_request_id,
            limits: self.server_limits()?,
        })
    }

    fn server_limits(&self) -> Result<ServerLimits, ConfigError> {
        let raw = &self.raw.server;
        let time = |name: &str, time: Duration| self.positive(&at(name), time).map(|()| time);
        let count = |name: &str, count: usize| self.at_least_one(&at(name), count).map(|()| count);
        let size = |name: &str, bytes: usize, least: usize, most: usize| {
            if (least..=most).contains(&bytes) {
                // No limit here is larger than a GiB.
                return Ok(u32::try_from(bytes).unwrap_or(u32::MAX));
            }
            self.refuse(&at(name), format!("must be {} to {}", Bytes(least), Bytes(most)))
        };
        Ok(ServerLimits {
            header_timeout: time("header_timeout", raw.header_timeout.0)?,
            idle_timeout: time("idle_timeout", raw.idle_timeout.0)?,
            handshake_timeout: time("handshake_timeout", raw.handshake_timeout.0)?,
            body_idle: time("body_idle_timeout", raw.body_idle_timeout.0)?,
            write_progress: time("write_timeout", raw.write_timeout.0)?,
            connections_max: count("connections_max", raw.connections_max)?,
            connections_per_address_max: raw.connections_per_address_max,
            headers_max: count("headers_max", raw.headers_max)?,
            request_line_bytes_max: size(
                "request_line_bytes_max",
                raw.request_line_bytes_max.0,
                256,
                REQUEST_LINE_BYTES_MAX,
            )? as usize,
            field_bytes_max: size("field_bytes_max", raw.field_bytes_max.0, 256, HEAD_BYTES_MAX)?
                as usize,
            header_bytes_max: size(
                "header_bytes_max",
                raw.header_bytes_max.0,
                256,
                HEAD_BYTES_MAX,
            )?,
            header_list_bytes_max: size(
                "http2_header_list_bytes_max",
                raw.http2_header_list_bytes_max.0,
                256,
                HEAD_BYTES_MAX,
            )?,
            streams_max: u32::try_from(count("http2_streams_max", raw.http2_streams_max)?)
                .unwrap_or(u32::MAX),
            stream_window_bytes: size(
                "http2_stream_window",
                raw.http2_stream_window.0,
                1 << 10,
                WINDOW_BYTES_MAX,
            )?,
            connection_window_bytes: size(
                "http2_connection_window",
                raw.http2_connection_window.0,
                64 << 10,
                WINDOW_BYTES_MAX,
            )?,
        })
    }

    /// Names and addresses, without ports.
    fn hosts(&self) -> Result<Vec<String>, ConfigError> {
        let is_host = |host: &String| {
            let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            match address {
                Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
                None => !host.is_empty() && host.bytes().all(is_fit),
            }
        };
        let hosts = &self.raw.server.hosts;
        if hosts.iter().all(is_host) {
            return Ok(hosts.clone());
        }
        self.refuse(&at("hosts"), "must be names such as \"api.example.com\", without a port")
    }
}

/// A size as it is typed.
struct Bytes(usize);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 30) == 0 => write!(f, "{}GiB", bytes >> 30),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{}KiB", bytes >> 10),
            bytes => write!(f, "{bytes}B"),
        }
    }
}
