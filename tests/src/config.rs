//! The text of a configuration, one function for each table: a setting that every gateway needs stands
//! here and nowhere else in the tests.

use std::fmt::Display;
use std::path::Path;

/// `[server]` and `[admin]` on free ports; `server` is more TOML in `[server]`.
pub fn ports(server: &str) -> String {
    let listen = "listen = \"127.0.0.1:0\"";
    format!("[server]\n{listen}\n{server}\n[admin]\n{listen}\n")
}

/// An upstream in the dialect of Voiso. `more` is TOML in its table.
pub fn voiso(name: &str, base_url: impl Display, more: &str) -> String {
    format!("[upstream.{name}]\ndialect = \"voiso-v4\"\nbase_url = \"{base_url}\"\n{more}\n")
}

/// An upstream in the dialect of Vonage that gives its own tokens.
pub fn vonage(name: &str, base_url: impl Display, more: &str) -> String {
    vonage_with(name, &base_url, format!("{base_url}{TOKEN}"), more)
}

/// An upstream in the dialect of Vonage whose tokens come from elsewhere.
pub fn vonage_with(
    name: &str,
    base_url: impl Display,
    token_url: impl Display,
    more: &str,
) -> String {
    format!(
        "[upstream.{name}]\ndialect = \"vonage-v4\"\nbase_url = \"{base_url}\"\n\
         token_url = \"{token_url}\"\nrequests_per_minute_max = 0\n{more}\n"
    )
}

/// The path at which Vonage gives tokens.
pub const TOKEN: &str = "/Auth/connect/token";

/// A caller that sees everything. The keys are TOML: see [`digest`], [`env()`] and [`file()`]. `more` is TOML
/// in the caller's table, and behind it.
pub fn caller(
    name: &str,
    upstream: &str,
    legacy_key: &str,
    upstream_key: &str,
    more: &str,
) -> String {
    format!(
        "[[caller]]\nname = \"{name}\"\nlegacy_key = {legacy_key}\nupstream = \"{upstream}\"\n\
         upstream_key = {upstream_key}\nsees = \"everything\"\n{more}\n"
    )
}

/// Replicas that share an engine; the seal key is in a file.
pub fn commons(engine: impl Display, seal_key: &Path, replicas_max: u32) -> String {
    let seal_key = file(seal_key);
    format!(
        "[commons]\nvalkey = [\"valkey://{engine}\"]\nseal_key = {seal_key}\n\
         replicas_max = {replicas_max}\n"
    )
}

/// Another caller over the upstream `ams` with the same v4 key. `sees` is a value of TOML.
pub fn another(name: &str, key: &str, sees: &str) -> String {
    let text = caller(name, "ams", &digest(key), &env("V4"), "");
    text.replacen("\"everything\"", sees, 1)
}

/// What a caller sees that sees everything.
pub const EVERYTHING: &str = "\"everything\"";

/// A key of which only the digest is kept.
pub fn digest(key: &str) -> String {
    format!("{{ digest = \"{}\" }}", settings::key_digest(key))
}

/// A key that an environment variable holds.
pub fn env(name: impl Display) -> String {
    format!("{{ env = \"{name}\" }}")
}

/// A key that a file holds.
pub fn file(path: impl AsRef<Path>) -> String {
    format!("{{ file = {:?} }}", path.as_ref())
}

/// The line of `[server]` for a certificate and its key.
pub fn tls(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> String {
    format!("tls = {{ cert = {:?}, key = {:?} }}", certificate.as_ref(), key.as_ref())
}
