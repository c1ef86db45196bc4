//! The configuration: read, checked, and refused in one line before any port is bound.
//!
//! Reading has two steps: `raw.rs` is the file as typed, this file is what it means. A refusal names
//! file, line and field and never shows a value: somebody may have put a key in the wrong place.

mod base_url;
mod callers;
mod files;
mod id_map;
mod in_process;
mod locate;
mod network;
mod passthrough;
mod raw;
mod retirement;
mod server;
mod shadow;
mod traces;
mod units;
mod upstreams;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::legacy::ENDPOINTS;
use domain::quirks::Quirks;
use roster::{Roster, RosterError};
use transport::server::ServerLimits;
use transport::tls::{ClientTls, ServerTls};

pub use crate::request::coding::Coding;
pub use callers::Caller;
pub(crate) use callers::{UpstreamKey, bearer};
pub use files::Files;
use locate::Document;
pub use network::Network;
pub use passthrough::{Cors, Methods, Passthrough, Route};
pub use raw::{Allow, PassthroughCredential, UnknownCallers};
pub use raw::{DeletedFrom, LogFormat, TeamsFrom, TokenAuth};
pub use shadow::Shadow;
pub use traces::{Collector, Traces};
pub use upstreams::{Token, Upstream};

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
    /// Every file it was read from: itself, keys, certificates, tables.
    pub files: Files,
    /// Where legacy clients connect.
    pub server: Server,
    /// Where operators look.
    pub admin: SocketAddr,
    /// Logging, for whoever sets it up.
    pub log: Log,
    /// Where spans go.
    pub traces: Traces,
    /// Limits of all requests.
    pub limits: Limits,
    /// Group look-ups.
    pub lookups: Lookups,
    /// Whole answers.
    pub cache: Cache,
    /// Where users who vanish are remembered; without it nobody is.
    pub roster: Option<RosterFile>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Callers in file order, at least one.
    pub callers: Vec<Caller>,
    /// Quirks by endpoint name; every endpoint has an entry.
    pub quirks: BTreeMap<&'static str, Arc<Quirks>>,
    /// Requests that are not translated, where they go through.
    pub passthrough: Option<Passthrough>,
    /// Pages of other origins that may ask.
    pub cors: Option<Cors>,
    /// Another side that is asked what was asked of this one.
    pub shadow: Option<Shadow>,
    pub(crate) places: Places,
}

/// Where settings stand that a reload may have something to say about.
#[derive(Clone)]
pub(crate) struct Places(Vec<(&'static str, ConfigError)>);

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Places")
    }
}

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The certificate to show; without it, plain HTTP.
    pub tls: Option<ServerTls>,
    /// Peers whose word on who called them is believed.
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
    /// Requests answered at once; more wait, for a moment.
    pub requests_in_flight_max: usize,
    /// How many may wait; more are refused with 503.
    pub requests_queued_max: usize,
    /// The longest they wait before they are refused with 503.
    pub queue_wait_max: Duration,
    /// Requests of one caller answered at once; more are refused with 429.
    pub requests_per_caller_max: usize,
    /// For how long a process that is to stop goes on accepting.
    pub drain_delay: Duration,
    /// Memory the process should use at most, where no control group says so.
    pub memory_max: Option<u64>,
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

/// `[cache]`.
#[derive(Debug, Clone, Copy)]
pub struct Cache {
    /// Younger, an answer is given without asking the upstream.
    pub fresh_for: Duration,
    /// For so much longer it is given where the upstream fails.
    pub stale_if_error: Duration,
    /// Bytes of all of them together.
    pub bytes_max: u64,
}

/// `[roster]`.
#[derive(Debug, Clone)]
pub struct RosterFile {
    /// The file.
    pub path: PathBuf,
    place: ConfigError,
}

impl RosterFile {
    /// Opens the roster; makes it where there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where another file must be named, with a line as
    /// [`ConfigError`]'s; any other kind where it may work later.
    pub fn open(&self) -> io::Result<Roster> {
        Roster::open(&self.path).map_err(|error| {
            let may_pass = matches!(
                error,
                RosterError::Busy
                    | RosterError::Sqlite(_)
                    | RosterError::Disk(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            );
            if may_pass {
                return io::Error::other(format!("roster.file: {error}"));
            }
            let line = ConfigError { what: error.to_string(), ..self.place.clone() };
            io::Error::new(io::ErrorKind::InvalidInput, line)
        })
    }
}

impl Config {
    /// The line about a setting, by its whole name.
    pub(crate) fn place(&self, setting: &str, what: &str) -> ConfigError {
        let known = self.places.0.iter().find(|(name, _)| *name == setting);
        let (place, field) = known.map_or((String::new(), setting.to_owned()), |(_, error)| {
            (error.place.clone(), error.field.clone())
        });
        ConfigError { place, field, what: what.to_owned() }
    }

    /// Reads a configuration file. `env` are the environment variables that may override it.
    pub fn load(file: &Path, env: &[(String, String)]) -> Result<Config, ConfigError> {
        let name = file.display().to_string();
        let mut files = Files::default();
        files.add(file);
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            place: format!("{name}:1"),
            field: "file".to_owned(),
            what: format!("cannot be read: {}", error.kind()),
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let reader = Reader::new(&text, &name, folder, env)?;
        reader.files.replace(files);
        reader.config()
    }

    /// Reads a configuration from a string; `name` stands for the file in errors, and relative paths
    /// start at the working directory.
    pub fn parse(text: &str, name: &str, env: &[(String, String)]) -> Result<Config, ConfigError> {
        Reader::new(text, name, Path::new(""), env)?.config()
    }
}

/// Nobody waits longer for traffic to go elsewhere; more is most likely a mistake.
const DRAIN_DELAY_MAX: Duration = Duration::from_secs(3600);

struct Reader<'a> {
    /// Every file that was looked into so far.
    files: RefCell<Files>,
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
        Ok(Reader { files: RefCell::default(), document, raw, folder, env })
    }

    /// A file that the configuration names; remembered, so that a change of it can be noticed.
    fn file(&self, path: &Path) -> PathBuf {
        let path = self.folder.join(path);
        self.files.borrow_mut().add(&path);
        path
    }

    fn refuse<T>(&self, field: &Field, what: impl Into<String>) -> Result<T, ConfigError> {
        Err(self.document.error(field, what.into()))
    }

    fn config(self) -> Result<Config, ConfigError> {
        let upstreams = self.upstreams()?;
        let callers = self.callers(&upstreams)?;
        let passthrough = self.passthrough(&upstreams, &callers)?;
        let limits = self.limits(callers.len())?;
        let server = self.server()?;
        Ok(Config {
            files: self.files.take(),
            server,
            admin: self.raw.admin.listen,
            traces: self.traces()?,
            log: Log { level: self.log_level()?, format: self.raw.log.format },
            limits,
            lookups: Lookups {
                fresh_for: self.raw.lookups.fresh_for.0,
                negative_for: self.raw.lookups.negative_for.0,
                entries_max: self.raw.lookups.entries_max,
            },
            cache: Cache {
                fresh_for: self.raw.cache.fresh_for.0,
                stale_if_error: self.raw.cache.stale_if_error.0,
                bytes_max: self.raw.cache.bytes_max.0 as u64,
            },
            roster: self.raw.roster.file.as_ref().map(|file| RosterFile {
                path: self.folder.join(file),
                place: self.document.error(&field(&["roster", "file"]), String::new()),
            }),
            quirks: self.quirks()?,
            cors: self.cors()?,
            shadow: self.shadow()?,
            places: self.places(),
            passthrough,
            upstreams,
            callers,
        })
    }

    fn limits(&self, callers: usize) -> Result<Limits, ConfigError> {
        let raw = &self.raw.limits;
        self.positive(&field(&["limits", "request_deadline"]), raw.request_deadline.0)?;
        let in_flight_max = raw.requests_in_flight_max;
        self.at_least_one(&field(&["limits", "requests_in_flight_max"]), in_flight_max)?;
        // Where there is one caller, there is nobody to protect from it.
        let share = if callers > 1 { in_flight_max.div_ceil(2) } else { in_flight_max };
        let per_caller_max = raw.requests_per_caller_max.unwrap_or(share);
        self.at_least_one(&field(&["limits", "requests_per_caller_max"]), per_caller_max)?;
        if raw.requests_queued_max > 1_000_000 {
            let at = field(&["limits", "requests_queued_max"]);
            return self.refuse(&at, "must be at most 1000000");
        }
        if raw.drain_delay.0 > DRAIN_DELAY_MAX {
            return self.refuse(&field(&["limits", "drain_delay"]), "must be at most 1h");
        }
        Ok(Limits {
            request_deadline: raw.request_deadline.0,
            requests_in_flight_max: in_flight_max,
            requests_queued_max: raw.requests_queued_max,
            queue_wait_max: raw.queue_wait_max.0,
            requests_per_caller_max: per_caller_max,
            drain_delay: raw.drain_delay.0,
            memory_max: raw.memory_max.as_ref().map(|size| size.0 as u64),
        })
    }

    fn places(&self) -> Places {
        let names = [
            "server.listen",
            "server.tls",
            "admin.listen",
            "log.level",
            "log.format",
            "traces.otlp_endpoint",
            "traces.ca_file",
        ]
        .into_iter();
        let place = |name: &'static str| {
            let steps: Vec<&str> = name.split('.').collect();
            (name, self.document.error(&field(&steps), String::new()))
        };
        Places(names.map(place).collect())
    }

    /// Certificates are read now, so that a bad one is refused before any port is bound.
    fn server_tls(&self) -> Result<Option<ServerTls>, ConfigError> {
        let Some(tls) = &self.raw.server.tls else { return Ok(None) };
        let (cert, key) = (self.file(&tls.cert), self.file(&tls.key));
        match ServerTls::from_pem_files(&cert, &key) {
            Ok(tls) => Ok(Some(tls)),
            Err(error) => self.refuse(&field(&["server", "tls"]), error.to_string()),
        }
    }

    /// Each coding once: which of two places would count?
    fn compression(&self) -> Result<Vec<Coding>, ConfigError> {
        let codings = &self.raw.server.compression;
        let is_again = |(place, coding)| codings.iter().take(place).any(|before| before == coding);
        match codings.iter().enumerate().any(is_again) {
            true => self.refuse(&field(&["server", "compression"]), "names a coding twice"),
            false => Ok(codings.clone()),
        }
    }

    fn client_tls(&self, at: &Field, ca_file: Option<&Path>) -> Result<ClientTls, ConfigError> {
        let ca_file = ca_file.map(|file| self.file(file));
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

    fn quirks(&self) -> Result<BTreeMap<&'static str, Arc<Quirks>>, ConfigError> {
        for (name, quirks) in &self.raw.legacy {
            if !ENDPOINTS.iter().any(|endpoint| endpoint.name() == name) {
                return self.refuse(&field(&["legacy", name]), "no legacy endpoint has this name");
            }
            if !(400..=499).contains(&quirks.invalid_key.status) {
                let at = field(&["legacy", name, "invalid_key", "status"]);
                return self.refuse(&at, "must be 400 to 499");
            }
            self.retirement(name, quirks)?;
        }
        let of = |name: &str| Arc::new(self.raw.legacy.get(name).cloned().unwrap_or_default());
        Ok(ENDPOINTS.iter().map(|endpoint| (endpoint.name(), of(endpoint.name()))).collect())
    }
}
