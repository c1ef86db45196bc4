//! The configuration: read, checked, and refused in one line before any port is bound.
//!
//! Values check themselves while they are read (`value/`). A contradiction to another setting, or to a file,
//! is found when the meaning of a table is taken (`section/`). A refusal names file, line and field
//! and never shows a value, because a key may stand in the wrong place.
//!
//! Must never hold anything of a gateway at work.

mod defaults;
mod error;
mod excerpt;
mod files;
mod fingerprint;
mod in_process;
mod key_source;
mod locate;
mod mistakes;
mod near;
mod probe;
mod reader;
mod schema;
mod section;
mod show;
mod source;
mod step;
mod syntax;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use domain::quirks::Quirks;
use serde::Deserialize;

pub use error::ConfigError;
pub use files::Files;
use reader::{Reader, field};
pub use schema::schema;
pub use section::answer::Answer;
pub use section::brownouts::Brownout;
pub use section::callers::{Caller, Effect, UpstreamKey, bearer};
pub use section::cors::Cors;
pub use section::legacy::BodyParameters;
pub use section::limits::Limits;
pub use section::log::{Log, LogFormat, MUTE, RefusedAddress, is_mute};
pub use section::pace::{Pace, PaceBy, PaceCounts};
pub use section::passthrough::{
    Allow, EscapedSlashes, KeyInPath, Methods, Passthrough, PassthroughCredential, Route,
    UnknownCallers,
};
pub use section::roster::{RosterDatabase, RosterFile, RosterPlace};
pub use section::server::{Admin, Server};
pub use section::shadow::Shadow;
pub use section::stores::{Cache, Lookups};
pub use section::traces::{Collector, Traces};
pub use section::upstreams::{
    DeletedFrom, Related, ShrunkList, TeamsFrom, Token, TokenAuth, Upstream,
};
use section::{
    brownouts, callers, commons, cors, legacy, passthrough, roster, server, shadow, traces,
    upstreams,
};
pub use show::{Difference, Setting};
use source::Source;
pub use value::coding::Coding;
pub use value::digest::{KeyDigest, digest, key_digest};
pub use value::key::{KEY_BYTES_MAX, key_text};
pub use value::network::Network;
pub use value::secret::Secret;
pub use value::text::{read as read_text, utf_8};

/// A checked configuration. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every file it was read from: itself, keys, certificates, tables.
    pub files: Files,
    /// Where legacy clients connect.
    pub server: Server,
    /// Where operators look.
    pub admin: Admin,
    /// The lines that are logged, and their form.
    pub log: Log,
    /// Where spans go.
    pub traces: Traces,
    /// Limits of all requests.
    pub limits: Limits,
    /// Group look-ups.
    pub lookups: Lookups,
    /// Whole answers.
    pub cache: Cache,
    /// Answers that are too large to be buffered.
    pub answer: Answer,
    /// The memory of users who vanish; without it none is remembered.
    pub roster: Option<RosterPlace>,
    /// Where replicas share; without it, each is by itself.
    pub commons: Option<::commons::Setup>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Callers in file order, at least one.
    pub callers: Vec<Caller>,
    /// Quirks by endpoint name; every endpoint has an entry.
    pub quirks: BTreeMap<&'static str, Arc<Quirks>>,
    /// The use of the bodies of translated requests.
    pub body_parameters: BodyParameters,
    /// Requests that are not translated, where they go through.
    pub passthrough: Option<Passthrough>,
    /// Pages of other origins that may ask.
    pub cors: Option<Cors>,
    /// The other side, which is asked the same questions.
    pub shadow: Option<Shadow>,
    /// Windows of time in which an endpoint answers with an error on purpose, in file order.
    pub brownouts: Vec<Brownout>,
    places: Places,
    source: Source,
}

/// Where settings stand that a reload may have something to say about.
#[derive(Clone)]
struct Places(Vec<(&'static str, ConfigError)>);

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Places")
    }
}

impl Places {
    fn of(reader: &Reader<'_>) -> Self {
        let names = [
            "server.listen",
            "server.tls",
            "admin.listen",
            "log.level",
            "log.format",
            "traces.otlp_endpoint",
            "traces.ca_file",
        ];
        let place = |name: &'static str| {
            let steps: Vec<&str> = name.split('.').collect();
            (name, reader.line(&field(&steps), ""))
        };
        Places(names.into_iter().map(place).collect())
    }
}

/// A whole configuration as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedConfig {
    #[serde(default)]
    server: server::TypedServer,
    #[serde(default)]
    admin: server::TypedAdmin,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    traces: traces::TypedTraces,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    lookups: Lookups,
    #[serde(default)]
    roster: roster::TypedRoster,
    #[serde(default)]
    cache: Cache,
    #[serde(default)]
    answer: Answer,
    #[serde(default)]
    upstream: BTreeMap<String, upstreams::TypedUpstream>,
    #[serde(default)]
    caller: Vec<callers::TypedCaller>,
    #[serde(default)]
    legacy: legacy::TypedLegacy,
    #[serde(default)]
    passthrough: passthrough::TypedPassthrough,
    #[serde(default)]
    cors: cors::TypedCors,
    shadow: Option<shadow::TypedShadow>,
    commons: Option<commons::TypedCommons>,
    #[serde(default)]
    brownout: Vec<brownouts::TypedBrownout>,
}

impl TypedConfig {
    fn read(self, reader: &Reader<'_>) -> Result<Config, ConfigError> {
        let mut mistakes = Vec::new();
        let mut upstreams = BTreeMap::new();
        for (name, typed) in self.upstream {
            if let Some(upstream) = ConfigError::keep(typed.read(&name, reader), &mut mistakes) {
                upstreams.insert(name, upstream);
            }
        }
        // Callers name upstreams, and routes name both: a mistake there would seem to be one here.
        let has_control = self.shadow.is_some();
        let named = match mistakes.is_empty() {
            true => {
                callers::read(&self.caller, &upstreams, has_control, reader).and_then(|callers| {
                    let named =
                        passthrough::Named { reader, upstreams: &upstreams, callers: &callers };
                    let passthrough = self.passthrough.read(&named)?;
                    let passes = passthrough.is_some();
                    let brownouts = brownouts::read(&self.brownout, &callers, passes, reader)?;
                    Ok((passthrough, callers, brownouts))
                })
            }
            false => Ok((None, Vec::new(), Vec::new())),
        };
        let named = ConfigError::keep(named, &mut mistakes);
        let callers = named.as_ref().map_or(&[][..], |(_, callers, _)| callers);
        let admin = ConfigError::keep(self.admin.read(callers, reader), &mut mistakes);
        let server = ConfigError::keep(self.server.read(reader), &mut mistakes);
        let traces = ConfigError::keep(self.traces.read(reader), &mut mistakes);
        let quirks = legacy::read(&self.legacy.endpoints, reader);
        let quirks = ConfigError::keep(quirks, &mut mistakes);
        let cors = ConfigError::keep(self.cors.read(reader), &mut mistakes);
        let shadow = self.shadow.map(|typed| typed.read(reader)).transpose();
        let shadow = ConfigError::keep(shadow, &mut mistakes);
        let commons = self.commons.map(|typed| typed.read(reader)).transpose();
        let commons = ConfigError::keep(commons, &mut mistakes);
        let roster = ConfigError::keep(self.roster.read(reader), &mut mistakes);
        if let Some(error) = ConfigError::all(mistakes) {
            return Err(error);
        }
        let read = (named, server, admin, traces, quirks, cors, shadow, commons, roster);
        let (
            Some((passthrough, callers, brownouts)),
            Some(server),
            Some(admin),
            Some(traces),
            Some(quirks),
            Some(cors),
            Some(shadow),
            Some(commons),
            Some(roster),
        ) = read
        else {
            return reader.refuse(&Vec::new(), "cannot be read");
        };
        Ok(Config {
            server,
            admin,
            traces,
            log: self.log,
            limits: self.limits.shared_by(callers.len()),
            lookups: self.lookups,
            cache: self.cache,
            answer: self.answer,
            roster,
            quirks,
            body_parameters: self.legacy.body_parameters,
            cors,
            shadow,
            commons,
            brownouts,
            places: Places::of(reader),
            source: reader.source(),
            passthrough,
            upstreams,
            callers,
            files: reader.files.borrow().clone(),
        })
    }
}

impl Config {
    /// The line about a setting, by its whole name.
    pub fn place(&self, setting: &str, what: &str) -> ConfigError {
        let known = self.places.0.iter().find(|(name, _)| *name == setting);
        let what = what.to_owned();
        match known {
            Some((_, error)) => ConfigError { what, ..error.clone() },
            None => ConfigError::without_place("", setting, what),
        }
    }

    /// Reads a configuration file. `env` are the environment variables that may override it.
    pub fn load(file: &Path, env: &[(String, String)]) -> Result<Config, ConfigError> {
        Config::load_watched(file, env, &mut Files::default())
    }

    /// Like [`Config::load`], and tells whether it may end otherwise later: `files` become those that
    /// this reading has looked at, up to the one that it was refused for.
    ///
    /// # Errors
    /// As [`Config::load`]. While no file of `files` changes or appears, another reading is refused
    /// for the same reason.
    pub fn load_watched(
        file: &Path,
        env: &[(String, String)],
        files: &mut Files,
    ) -> Result<Config, ConfigError> {
        let name = file.display().to_string();
        *files = Files::default();
        files.add(file);
        let text = read_text(file).map_err(|what| ConfigError::of_file(&name, what))?;
        // Editors on Windows begin a file with a mark that is no part of it.
        let text = text.trim_start_matches('\u{feff}');
        let folder = file.parent().unwrap_or(Path::new(""));
        let (reader, typed) = Reader::new::<TypedConfig>(text, &name, folder, env)?;
        reader.files.replace(files.clone());
        let mut read = typed.read(&reader);
        *files = reader.files.take();
        if let Ok(config) = &mut read {
            config.source.file = Some(file.to_owned());
        }
        read
    }

    /// The files that must change before a roster can be opened that could not be: its file, and the folder
    /// of that.
    pub fn add_roster(&self, files: &mut Files) {
        if let Some(RosterPlace::File(roster)) = &self.roster {
            files.add_with_folder(&roster.path);
        }
    }

    /// Reads a configuration from a string; `name` stands for the file in errors, and relative paths
    /// start at the working directory.
    pub fn parse(text: &str, name: &str, env: &[(String, String)]) -> Result<Config, ConfigError> {
        let (reader, typed) = Reader::new::<TypedConfig>(text, name, Path::new(""), env)?;
        typed.read(&reader)
    }
}
