//! The configuration: read, checked, and refused in one line before any port is bound.
//!
//! Reading has two steps: `raw.rs` is the file as typed, this file is what it means. A refusal names
//! file, line and field and never shows a value: somebody may have put a key in the wrong place.

mod base_url;
mod id_map;
mod locate;
mod raw;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::id::IdPolicy;
use domain::legacy::ENDPOINTS;
use domain::quirks::Quirks;
use domain::sweep::DoubleRead;
use domain::upstream::{Dialect, Rules, dialect_named};
use domain::visibility::Visibility;
use http::HeaderValue;
use transport::tls::{ClientTls, ServerTls};

use crate::caller::{KeyDigest, digest, parse_digest};
use crate::secret::Secret;
use locate::Document;
pub use raw::LogFormat;

/// A configuration that cannot be used: one line, `FILE:LINE: field: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {field}: {what}")]
pub struct ConfigError {
    place: String,
    field: String,
    what: String,
}

/// A checked configuration. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where legacy clients connect.
    pub server: Server,
    /// Where operators look.
    pub admin: SocketAddr,
    /// Logging, for whoever sets it up.
    pub log: Log,
    /// Limits of all requests.
    pub limits: Limits,
    /// Group look-ups.
    pub lookups: Lookups,
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Callers in file order, at least one.
    pub callers: Vec<Caller>,
    /// Quirks by endpoint name; every endpoint has an entry.
    pub quirks: BTreeMap<&'static str, Arc<Quirks>>,
}

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The certificate to show; without it, plain HTTP.
    pub tls: Option<ServerTls>,
}

/// `[log]`.
#[derive(Debug, Clone)]
pub struct Log {
    /// Filter directives, such as `info`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// `[limits]`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest a whole request may take.
    pub request_deadline: Duration,
    /// Requests answered at once; more are refused with 503.
    pub requests_in_flight_max: usize,
}

/// `[lookups]`.
#[derive(Debug, Clone)]
pub struct Lookups {
    /// How long found ids are used.
    pub fresh_for: Duration,
    /// How long "there is none" is believed.
    pub negative_for: Duration,
    /// Names kept per caller.
    pub entries_max: u64,
}

/// `[upstream.<name>]`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// How it speaks.
    pub dialect: &'static dyn Dialect,
    /// Scheme and authority, and a path prefix without a slash at its end.
    pub base_url: String,
    /// Whom to believe on `https`.
    pub tls: ClientTls,
    /// Pages in flight per list.
    pub pages_in_flight_max: usize,
    /// Requests in flight, all callers together.
    pub requests_in_flight_max: usize,
    /// Name look-up, TCP and TLS.
    pub connect_timeout: Duration,
    /// One attempt, from sending to the last byte.
    pub attempt_timeout: Duration,
    /// Attempts per page.
    pub attempts_max: u32,
    /// The longest wait an upstream may ask for.
    pub retry_after_max: Duration,
    /// Rows per list.
    pub rows_max: u64,
    /// Bytes per page.
    pub page_bytes_max: usize,
    /// When a list is read twice.
    pub double_read: DoubleRead,
    /// How rows are read.
    pub rules: Rules,
}

/// `[[caller]]`.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Name in logs, metrics and `/callers`.
    pub name: String,
    /// SHA-256 of its legacy key.
    pub(crate) digest: KeyDigest,
    /// Name of its upstream.
    pub upstream: String,
    /// `Bearer <v4 key>`, marked sensitive.
    pub(crate) authorization: HeaderValue,
    /// What it sees.
    pub sees: Visibility,
    /// Whether it may ask how an answer came about.
    pub explain: bool,
}

impl Config {
    /// Reads a configuration file. `env` are the environment variables that may override it.
    pub fn load(file: &Path, env: &[(String, String)]) -> Result<Config, ConfigError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            place: format!("{name}:1"),
            field: "file".to_owned(),
            what: format!("cannot be read: {}", error.kind()),
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Reader::new(&text, &name, folder, env)?.config()
    }

    /// Reads a configuration from a string; `name` stands for the file in errors, and relative paths
    /// start at the working directory.
    pub fn parse(text: &str, name: &str, env: &[(String, String)]) -> Result<Config, ConfigError> {
        Reader::new(text, name, Path::new(""), env)?.config()
    }
}

/// A page of a hundred users is about this long; less can hold none of them.
const PAGE_BYTES_MIN: usize = 64 << 10;

/// What one answer in memory can hold, with room to spare.
const ROWS_MAX_MAX: u64 = 10_000_000;

struct Reader<'a> {
    document: Document<'a>,
    raw: raw::Config,
    folder: &'a Path,
    env: &'a [(String, String)],
}

type Field = Vec<locate::Step>;

fn field(steps: &[&str]) -> Field {
    steps.iter().map(|step| locate::Step::Key((*step).to_owned())).collect()
}

impl<'a> Reader<'a> {
    fn new(
        text: &'a str,
        name: &'a str,
        folder: &'a Path,
        env: &'a [(String, String)],
    ) -> Result<Self, ConfigError> {
        let (document, raw) = Document::read(text, name, env)?;
        Ok(Reader { document, raw, folder, env })
    }

    fn refuse<T>(&self, field: &Field, what: impl Into<String>) -> Result<T, ConfigError> {
        Err(self.document.error(field, what.into()))
    }

    fn config(self) -> Result<Config, ConfigError> {
        let upstreams = self.upstreams()?;
        let callers = self.callers(&upstreams)?;
        self.refuse_what_is_not_there_yet()?;
        let limits = &self.raw.limits;
        self.positive(&field(&["limits", "request_deadline"]), limits.request_deadline.0)?;
        self.at_least_one(
            &field(&["limits", "requests_in_flight_max"]),
            limits.requests_in_flight_max,
        )?;
        Ok(Config {
            server: Server { listen: self.raw.server.listen, tls: self.server_tls()? },
            admin: self.raw.admin.listen,
            log: Log { level: self.log_level()?, format: self.raw.log.format },
            limits: Limits {
                request_deadline: limits.request_deadline.0,
                requests_in_flight_max: limits.requests_in_flight_max,
            },
            lookups: Lookups {
                fresh_for: self.raw.lookups.fresh_for.0,
                negative_for: self.raw.lookups.negative_for.0,
                entries_max: self.raw.lookups.entries_max,
            },
            quirks: self.quirks()?,
            upstreams,
            callers,
        })
    }

    /// Certificates are read now, so that a bad one is refused before any port is bound.
    fn server_tls(&self) -> Result<Option<ServerTls>, ConfigError> {
        let Some(tls) = &self.raw.server.tls else { return Ok(None) };
        let (cert, key) = (self.folder.join(&tls.cert), self.folder.join(&tls.key));
        match ServerTls::from_pem_files(&cert, &key) {
            Ok(tls) => Ok(Some(tls)),
            Err(error) => self.refuse(&field(&["server", "tls"]), error.to_string()),
        }
    }

    fn client_tls(&self, at: &Field, ca_file: Option<&Path>) -> Result<ClientTls, ConfigError> {
        let ca_file = ca_file.map(|file| self.folder.join(file));
        match ClientTls::new(ca_file.as_deref()) {
            Ok(tls) => Ok(tls),
            Err(error) => self.refuse(at, error.to_string()),
        }
    }

    /// A level, or directives such as `gateway=debug,info`. A misspelt word would be taken for a
    /// module's name and mute the log.
    fn log_level(&self) -> Result<String, ConfigError> {
        let level = &self.raw.log.level;
        let is_level = |word: &str| {
            let levels = ["off", "error", "warn", "info", "debug", "trace"];
            levels.contains(&word.trim().to_lowercase().as_str())
        };
        let is_directive = |part: &str| match part.rsplit_once('=') {
            Some((target, level)) => !target.trim().is_empty() && is_level(level),
            None => is_level(part),
        };
        if level.split(',').all(is_directive) {
            return Ok(level.clone());
        }
        self.refuse(
            &field(&["log", "level"]),
            "must be off, error, warn, info, debug, trace, or a list such as gateway=debug,info",
        )
    }

    fn positive(&self, field: &Field, duration: Duration) -> Result<(), ConfigError> {
        if duration.is_zero() { self.refuse(field, "must be more than 0s") } else { Ok(()) }
    }

    fn at_least_one(&self, field: &Field, number: usize) -> Result<(), ConfigError> {
        match number {
            0 => self.refuse(field, "must be at least 1"),
            1..=1_000_000 => Ok(()),
            _ => self.refuse(field, "must be at most 1000000"),
        }
    }

    /// Settings of later versions are known but refused: nobody may believe in a switch that does
    /// nothing.
    fn refuse_what_is_not_there_yet(&self) -> Result<(), ConfigError> {
        let raw = &self.raw;
        let later = "is not available in this version; leave it at its default";
        let (cache, passthrough) = (&raw.cache, &raw.passthrough);
        let cache_bytes = raw::Cache::default().bytes_max;
        let is_default = |given: &Option<String>, default| {
            given.as_deref().is_none_or(|given| Some(given) == default)
        };
        for (keys, is_default) in [
            (["cache", "fresh_for"], cache.fresh_for.0.is_zero()),
            (["cache", "stale_if_error"], cache.stale_if_error.0.is_zero()),
            (["cache", "bytes_max"], cache.bytes_max == cache_bytes),
            (["passthrough", "enabled"], !passthrough.enabled),
            (["passthrough", "credential"], is_default(&passthrough.credential, Some("exchange"))),
            (
                ["passthrough", "unknown_callers"],
                is_default(&passthrough.unknown_callers, Some("refuse")),
            ),
            (["passthrough", "upstream"], is_default(&passthrough.upstream, None)),
            (["passthrough", "route"], passthrough.route.is_empty()),
            (["cors", "allow_origins"], raw.cors.allow_origins.is_empty()),
        ] {
            if !is_default {
                return self.refuse(&field(&keys), later);
            }
        }
        Ok(())
    }

    fn upstreams(&self) -> Result<BTreeMap<String, Upstream>, ConfigError> {
        let mut upstreams = BTreeMap::new();
        for (name, raw) in &self.raw.upstream {
            upstreams.insert(name.clone(), self.upstream(name, raw)?);
        }
        Ok(upstreams)
    }

    fn upstream(&self, name: &str, raw: &raw::Upstream) -> Result<Upstream, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        let Some(dialect) = dialect_named(&raw.dialect) else {
            return self.refuse(&at("dialect"), "unknown dialect; this version speaks voiso-v4");
        };
        for (key, number) in [
            ("pages_in_flight_max", raw.pages_in_flight_max),
            ("requests_in_flight_max", raw.requests_in_flight_max),
            ("attempts_max", raw.attempts_max as usize),
            ("rows_max", usize::try_from(raw.rows_max).unwrap_or(usize::MAX).min(1_000_000)),
        ] {
            self.at_least_one(&at(key), number)?;
        }
        self.positive(&at("connect_timeout"), raw.connect_timeout.0)?;
        self.positive(&at("attempt_timeout"), raw.attempt_timeout.0)?;
        if raw.rows_max > ROWS_MAX_MAX {
            return self.refuse(&at("rows_max"), "must be at most 10000000");
        }
        if raw.page_bytes_max.0 < PAGE_BYTES_MIN {
            return self.refuse(&at("page_bytes_max"), "must be at least 64KiB");
        }
        Ok(Upstream {
            dialect,
            base_url: match base_url::read(&raw.base_url) {
                Some(url) => url,
                None => return self.refuse(&at("base_url"), base_url::WANTED),
            },
            tls: self.client_tls(&at("ca_file"), raw.ca_file.as_deref())?,
            pages_in_flight_max: raw.pages_in_flight_max,
            requests_in_flight_max: raw.requests_in_flight_max,
            connect_timeout: raw.connect_timeout.0,
            attempt_timeout: raw.attempt_timeout.0,
            attempts_max: raw.attempts_max,
            retry_after_max: raw.retry_after_max.0,
            rows_max: raw.rows_max,
            page_bytes_max: raw.page_bytes_max.0,
            double_read: raw.double_read,
            rules: Rules { ids: self.ids(name, raw)?, deleted_at: raw.deleted_at },
        })
    }

    fn ids(&self, name: &str, raw: &raw::Upstream) -> Result<IdPolicy, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        match (raw.id_policy, &raw.id_map) {
            (raw::IdPolicy::Fail, None) => Ok(IdPolicy::Fail),
            (raw::IdPolicy::Hash, None) => Ok(IdPolicy::Hash),
            (raw::IdPolicy::Map, Some(file)) => match id_map::read(&self.folder.join(file)) {
                Ok(map) => Ok(IdPolicy::Map(Arc::new(map))),
                Err(what) => self.refuse(&at("id_map"), what),
            },
            (raw::IdPolicy::Map, None) => {
                self.refuse(&at("id_map"), "id_policy = \"map\" needs a file here")
            }
            (raw::IdPolicy::Fail | raw::IdPolicy::Hash, Some(_)) => {
                self.refuse(&at("id_map"), "only goes with id_policy = \"map\"")
            }
        }
    }

    fn callers(&self, upstreams: &BTreeMap<String, Upstream>) -> Result<Vec<Caller>, ConfigError> {
        if self.raw.caller.is_empty() {
            return self.refuse(&field(&["caller"]), "at least one [[caller]] is needed");
        }
        let mut callers: Vec<Caller> = Vec::new();
        for (index, raw) in self.raw.caller.iter().enumerate() {
            let at = |key: &str| {
                let mut at = field(&["caller"]);
                at.extend([locate::Step::Index(index), locate::Step::Key(key.to_owned())]);
                at
            };
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(is_plain) {
                return self.refuse(&at("name"), "must be 1 to 64 of A-Z a-z 0-9 - _ .");
            }
            if callers.iter().any(|other| other.name == raw.name) {
                return self.refuse(&at("name"), "another caller has this name");
            }
            let digest = self.legacy_key(&at("legacy_key"), &raw.legacy_key)?;
            if let Some(other) = callers.iter().find(|other| other.digest == digest) {
                let what = format!("caller \"{}\" has the same key", other.name);
                return self.refuse(&at("legacy_key"), what);
            }
            if !upstreams.contains_key(&raw.upstream) {
                return self.refuse(&at("upstream"), "there is no [upstream] of this name");
            }
            if let Visibility::Only(only) = &raw.sees.0
                && only.teams.is_empty()
                && only.groups.is_empty()
                && only.users.is_empty()
            {
                return self.refuse(&at("sees"), "lists nobody; say whom this caller sees");
            }
            callers.push(Caller {
                name: raw.name.clone(),
                digest,
                upstream: raw.upstream.clone(),
                authorization: self.upstream_key(&at("upstream_key"), &raw.upstream_key)?,
                sees: raw.sees.0.clone(),
                explain: raw.explain,
            });
        }
        Ok(callers)
    }

    fn legacy_key(&self, at: &Field, key: &raw::Key) -> Result<KeyDigest, ConfigError> {
        match &key.digest {
            Some(text) if key.env.is_none() && key.file.is_none() => match parse_digest(text) {
                Some(digest) => Ok(digest),
                None => self.refuse(at, "digest must be sha256: and 64 hex digits"),
            },
            None => Ok(digest(self.secret(at, key)?.expose())),
            Some(_) => self.refuse(at, "needs one of digest, env and file, not several"),
        }
    }

    fn upstream_key(&self, at: &Field, key: &raw::Key) -> Result<HeaderValue, ConfigError> {
        if key.digest.is_some() {
            return self.refuse(at, "a digest cannot be sent; use env or file");
        }
        let secret = self.secret(at, key)?;
        if secret.expose().contains(char::is_whitespace) {
            return self.refuse(at, "holds white space; give the key alone, without \"Bearer\"");
        }
        let bearer = Secret::new(format!("Bearer {}", secret.expose()));
        match HeaderValue::from_str(bearer.expose()) {
            Ok(mut value) => {
                value.set_sensitive(true);
                Ok(value)
            }
            Err(_) => self.refuse(at, "holds characters that no header can carry"),
        }
    }

    /// A secret from the environment or a file; white space around it is a habit of editors.
    fn secret(&self, at: &Field, key: &raw::Key) -> Result<Secret, ConfigError> {
        let text = match (&key.env, &key.file) {
            (Some(name), None) => match self.env.iter().find(|(known, _)| known == name) {
                Some((_, value)) => value.clone(),
                None => {
                    return self.refuse(at, format!("the variable {} is not set", key.env_shown()));
                }
            },
            (None, Some(file)) => match std::fs::read_to_string(self.folder.join(file)) {
                Ok(text) => text,
                Err(error) => {
                    return self.refuse(at, format!("the file cannot be read: {}", error.kind()));
                }
            },
            (Some(_), Some(_)) => return self.refuse(at, "needs one of env and file, not both"),
            (None, None) => return self.refuse(at, "needs env = \"NAME\" or file = \"PATH\""),
        };
        let secret = text.trim();
        if secret.is_empty() {
            return self.refuse(at, "is empty");
        }
        Ok(Secret::new(secret.to_owned()))
    }

    fn quirks(&self) -> Result<BTreeMap<&'static str, Arc<Quirks>>, ConfigError> {
        for (name, quirks) in &self.raw.legacy {
            if !ENDPOINTS.iter().any(|endpoint| endpoint.name() == name) {
                return self.refuse(&field(&["legacy", name]), "no legacy endpoint has this name");
            }
            if !(400..=499).contains(&quirks.invalid_key.status) {
                let at = field(&["legacy", name, "invalid_key", "status"]);
                return self.refuse(&at, "must be 400 to 499");
            }
        }
        let of = |name: &str| Arc::new(self.raw.legacy.get(name).cloned().unwrap_or_default());
        Ok(ENDPOINTS.iter().map(|endpoint| (endpoint.name(), of(endpoint.name()))).collect())
    }
}
