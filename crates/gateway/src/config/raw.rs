//! The configuration as typed: names, defaults and unknown fields, nothing that needs a second look.

mod passthrough;
mod shadow;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::quirks::Quirks;
use domain::visibility::{Only, Visibility};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::units::{Size, Span};
use crate::request::coding::Coding;
pub use passthrough::{Allow, PassthroughCredential, UnknownCallers};
pub(super) use passthrough::{Cors, Passthrough, Route};
pub(super) use shadow::Shadow;
pub(super) use upstream::Upstream;
pub use upstream::{DeletedFrom, TeamsFrom, TokenAuth};

const fn seconds(seconds: u64) -> Span {
    Span(Duration::from_secs(seconds))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) server: Server,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) traces: Traces,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) lookups: Lookups,
    #[serde(default)]
    pub(super) roster: Roster,
    #[serde(default)]
    pub(super) cache: Cache,
    #[serde(default)]
    pub(super) upstream: BTreeMap<String, Upstream>,
    #[serde(default)]
    pub(super) caller: Vec<Caller>,
    #[serde(default)]
    pub(super) legacy: BTreeMap<String, Quirks>,
    #[serde(default)]
    pub(super) passthrough: Passthrough,
    #[serde(default)]
    pub(super) cors: Cors,
    pub(super) shadow: Option<Shadow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) listen: SocketAddr,
    pub(super) tls: Option<Tls>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) accept_request_id: bool,
    pub(super) hosts: Vec<String>,
    pub(super) header_timeout: Span,
    pub(super) body_idle_timeout: Span,
    pub(super) write_timeout: Span,
    pub(super) idle_timeout: Span,
    pub(super) handshake_timeout: Span,
    pub(super) connections_max: usize,
    pub(super) connections_per_address_max: usize,
    pub(super) headers_max: usize,
    pub(super) request_line_bytes_max: Size,
    pub(super) field_bytes_max: Size,
    pub(super) header_bytes_max: Size,
    pub(super) http2_header_list_bytes_max: Size,
    pub(super) http2_streams_max: usize,
    pub(super) http2_stream_window: Size,
    pub(super) http2_connection_window: Size,
    pub(super) compression: Vec<Coding>,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            trusted_proxies: Vec::new(),
            accept_request_id: false,
            hosts: Vec::new(),
            header_timeout: seconds(10),
            body_idle_timeout: seconds(10),
            write_timeout: seconds(10),
            idle_timeout: seconds(60),
            handshake_timeout: seconds(5),
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            headers_max: 100,
            request_line_bytes_max: Size(8 << 10),
            field_bytes_max: Size(8 << 10),
            header_bytes_max: Size(32 << 10),
            http2_header_list_bytes_max: Size(16 << 10),
            http2_streams_max: 100,
            http2_stream_window: Size(64 << 10),
            http2_connection_window: Size(1 << 20),
            compression: vec![Coding::Zstd, Coding::Br, Coding::Gzip],
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: String,
    pub(super) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Traces {
    pub(super) otlp_endpoint: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) sampled: f64,
}

impl Default for Traces {
    fn default() -> Self {
        Traces { otlp_endpoint: None, ca_file: None, sampled: 1.0 }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For reading.
    Human,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) request_deadline: Span,
    pub(super) requests_in_flight_max: usize,
    pub(super) requests_queued_max: usize,
    pub(super) queue_wait_max: Span,
    pub(super) requests_per_caller_max: Option<usize>,
    pub(super) drain_delay: Span,
    pub(super) memory_max: Option<Size>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_deadline: seconds(25),
            requests_in_flight_max: 1024,
            requests_queued_max: 256,
            queue_wait_max: seconds(1),
            requests_per_caller_max: None,
            drain_delay: seconds(5),
            memory_max: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lookups {
    pub(super) fresh_for: Span,
    pub(super) negative_for: Span,
    pub(super) entries_max: u64,
}

impl Default for Lookups {
    fn default() -> Self {
        Lookups { fresh_for: seconds(60), negative_for: seconds(5), entries_max: 10_000 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Roster {
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cache {
    pub(super) fresh_for: Span,
    pub(super) stale_if_error: Span,
    pub(super) bytes_max: Size,
}

impl Default for Cache {
    fn default() -> Self {
        Cache { fresh_for: seconds(0), stale_if_error: seconds(0), bytes_max: Size(64 << 20) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) legacy_key: Key,
    pub(super) upstream: String,
    pub(super) upstream_key: Key,
    pub(super) sees: Sees,
    #[serde(default)]
    pub(super) explain: bool,
    #[serde(default)]
    pub(super) control_percent: u32,
}

/// Where a key is found; which of the three may stand where is decided a step later.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "{ env = \"NAME\" } or { file = \"PATH\" }, or { digest = \"sha256:..\" } of a legacy key"
)]
pub(super) struct Key {
    pub(super) digest: Option<String>,
    pub(super) env: Option<String>,
    pub(super) file: Option<PathBuf>,
}

impl Key {
    /// `env` as an error may show it: only what is sure to be a variable's name, such as
    /// `VOISO_V4_KEY`, and no key that stands where the name belongs.
    pub(super) fn env_shown(&self) -> &str {
        let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let is_name = |name: &&str| name.contains('_') && name.chars().all(is_plain);
        self.env.as_deref().filter(is_name).unwrap_or("that env names")
    }
}

/// `"everything"`, or lists.
#[derive(Debug)]
pub(super) struct Sees(pub(super) Visibility);

impl<'de> Deserialize<'de> for Sees {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct SeesVisitor;
        impl<'de> Visitor<'de> for SeesVisitor {
            type Value = Sees;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"everything\" or { teams = [..], groups = [..], users = [..] }")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sees, E> {
                match text {
                    "everything" => Ok(Sees(Visibility::Everything)),
                    _ => Err(E::custom("must be \"everything\" or lists")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sees, A::Error> {
                let lists = Lists::deserialize(MapAccessDeserializer::new(map))?;
                let spelled = |list: Vec<Spelled>| list.into_iter().map(|item| item.0).collect();
                Ok(Sees(Visibility::Only(Only {
                    teams: spelled(lists.teams),
                    groups: spelled(lists.groups),
                    users: lists.users,
                })))
            }
        }
        de.deserialize_any(SeesVisitor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Lists {
    teams: Vec<Spelled>,
    groups: Vec<Spelled>,
    users: Vec<u64>,
}

/// An id or a name.
#[derive(Debug)]
struct Spelled(String);

impl<'de> Deserialize<'de> for Spelled {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct SpelledVisitor;
        impl Visitor<'_> for SpelledVisitor {
            type Value = Spelled;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or a name")
            }
            fn visit_str<E>(self, text: &str) -> Result<Spelled, E> {
                Ok(Spelled(text.to_owned()))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Spelled, E> {
                Ok(Spelled(number.to_string()))
            }
        }
        de.deserialize_any(SpelledVisitor)
    }
}
