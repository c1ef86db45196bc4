//! `[commons]`: the servers where replicas of one gateway share what must be shared. Nothing is connected here.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use commons::{BadSetup, Mode, Password, SealKey, Setup};
use serde::{Deserialize, Deserializer, de::Error};
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::key_source::{Key, password, secret};
use crate::reader::{Field, Reader, field};
use crate::value::check::{positive, size_within};

/// `[commons]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedCommons {
    valkey: Vec<String>,
    #[serde(default)]
    values_at: Vec<String>,
    #[serde(default)]
    mode: TypedMode,
    primary: Option<String>,
    username: Option<String>,
    password: Option<Key>,
    ca_file: Option<PathBuf>,
    seal_key: Key,
    #[serde(default)]
    seal_keys_before: Vec<Key>,
    #[serde(default = "TypedCommons::name")]
    name: String,
    #[serde(deserialize_with = "replicas")]
    replicas_max: u32,
    #[serde(default = "TypedCommons::call_timeout", deserialize_with = "call_timeout")]
    call_timeout: Duration,
    #[serde(
        default = "TypedCommons::value_bytes_max",
        deserialize_with = "size_within::<{ 64 << 10 }, { 64 << 20 }, _, _>"
    )]
    value_bytes_max: usize,
}

const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// How the servers stand together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TypedMode {
    #[default]
    One,
    Sentinel,
    Cluster,
}

impl TypedCommons {
    fn name() -> String {
        "tieline".to_owned()
    }
    fn call_timeout() -> Duration {
        Duration::from_millis(20)
    }
    fn value_bytes_max() -> usize {
        4 << 20
    }

    /// What it means.
    pub(crate) fn read(self, reader: &Reader<'_>) -> Result<Setup, ConfigError> {
        let at = |name| field(&["commons", name]);
        let mode = match (self.mode, self.primary) {
            (TypedMode::Sentinel, Some(primary)) => Mode::Sentinel { primary },
            (TypedMode::Sentinel, None) => {
                let what = "must name the primary that the Sentinels watch";
                return reader.refuse(&at("primary"), what);
            }
            (_, Some(_)) => return reader.refuse(&at("primary"), "goes with mode = \"sentinel\""),
            (TypedMode::One, None) => Mode::One,
            (TypedMode::Cluster, None) => Mode::Cluster,
        };
        let seal_key = seal_key(&at("seal_key"), &self.seal_key, reader)?;
        let before = self.seal_keys_before.iter();
        let before = before.map(|key| self::seal_key(&at("seal_keys_before"), key, reader));
        let seal_keys_before = before.collect::<Result<Vec<_>, _>>()?;
        let authorities = match &self.ca_file {
            None => None,
            Some(file) => {
                // Names the fault of the file; the commons would only say that there is one.
                reader.client_tls(&at("ca_file"), Some(file))?;
                match std::fs::read(reader.path(file)) {
                    Ok(authorities) => Some(authorities),
                    Err(_) => return reader.refuse(&at("ca_file"), "cannot be read"),
                }
            }
        };
        if self.username.is_some() && self.password.is_none() {
            return reader.refuse(&at("username"), "needs a password");
        }
        let password = self
            .password
            .map(|key| password(&at("password"), &key, reader, Password::File, Password::Text));
        let setup = Setup {
            name: self.name,
            addresses: self.valkey,
            values_at: self.values_at,
            mode,
            username: self.username,
            password: password.transpose()?,
            authorities,
            seal_key,
            seal_keys_before,
            replicas_max: self.replicas_max,
            call_timeout: self.call_timeout,
            value_bytes_max: self.value_bytes_max,
        };
        match setup.check() {
            Ok(()) => Ok(setup),
            Err(bad) => {
                let name = match bad {
                    BadSetup::Name => "name",
                    BadSetup::Address | BadSetup::NoAddress => "valkey",
                    BadSetup::ValuesAddress => "values_at",
                    BadSetup::Authorities => "ca_file",
                };
                reader.refuse(&at(name), bad.to_string())
            }
        }
    }
}

fn replicas<'de, D: Deserializer<'de>>(de: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(de)?;
    match (1..=1000).contains(&number) {
        true => Ok(number),
        false => Err(D::Error::custom("must be 1 to 1000")),
    }
}

/// Every request may wait for so long, several times.
fn call_timeout<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    let time = positive(de)?;
    match time <= CALL_TIMEOUT_MAX {
        true => Ok(time),
        false => Err(D::Error::custom("must be at most 1s")),
    }
}

/// 32 bytes in base64.
fn seal_key(at: &Field, key: &Key, reader: &Reader<'_>) -> Result<SealKey, ConfigError> {
    if key.digest.is_some() {
        return reader.refuse(at, "a digest seals nothing; use env or file");
    }
    let text = secret(at, key, reader)?;
    let bytes = BASE64.decode(text.expose()).map(Zeroizing::new);
    match bytes.ok().and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok()) {
        Some(bytes) => Ok(SealKey::new(bytes)),
        None => reader.refuse(at, "must be 32 bytes in base64; `tieline key seal` makes one"),
    }
}
