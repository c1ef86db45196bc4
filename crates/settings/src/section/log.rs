//! `[log]`: the lines that are logged, and their form.

use serde::{Deserialize, Deserializer, de::Error};

use crate::value::check::queue;

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Filter directives, such as `info`.
    #[serde(deserialize_with = "level")]
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
    /// Access lines in a minute about requests of one address without a good key.
    #[serde(deserialize_with = "queue")]
    pub refused_per_minute_max: usize,
    /// How those lines name the client.
    pub refused_address: RefusedAddress,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            level: "info".to_owned(),
            format: LogFormat::Auto,
            refused_per_minute_max: 60,
            refused_address: RefusedAddress::Off,
        }
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

/// How the log names the client of a request without a good key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedAddress {
    /// Not at all.
    Off,
    /// By a hash of its address under a key of the process.
    Hash,
    /// By its address.
    Full,
}

/// The crates of this program that log. A filter names one of them, or part of one.
const LOGGING: [&str; 7] =
    ["commons", "gateway", "limits", "shadow", "simulator", "tieline", "transport"];

/// The fault of a filter for which [`is_mute`] holds, and the filter to write instead.
pub const MUTE: &str =
    "names no module of this program, so it would log nothing; put a level in front of it";

/// Whether a filter logs nothing of this program, and does not say so by a level of its own: a list
/// such as `sqlx=warn` alone, which is another program's.
pub fn is_mute(filter: &str) -> bool {
    filter.split(',').map(str::trim).filter(|part| !part.is_empty()).all(|part| {
        let Some((module, level)) = part.rsplit_once('=') else { return false };
        let (module, level) = (module.trim(), level.trim());
        let is_off = level.eq_ignore_ascii_case("off") || level == "0";
        is_off || !LOGGING.iter().any(|own| own.starts_with(module) || module.starts_with(own))
    })
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A level, or directives such as `gateway=debug,info`. A misspelt word would be taken for a
/// module's name and mute the log.
fn level<'de, D: Deserializer<'de>>(de: D) -> Result<String, D::Error> {
    let level = String::deserialize(de)?;
    let is_level = |word: &str| LEVELS.contains(&word.trim().to_lowercase().as_str());
    let is_directive = |part: &str| match part.rsplit_once('=') {
        Some((target, level)) => !target.trim().is_empty() && is_level(level),
        None => is_level(part),
    };
    if level.split(',').all(is_directive) {
        return match is_mute(&level) {
            true => Err(D::Error::custom(MUTE)),
            false => Ok(level),
        };
    }
    Err(D::Error::custom(
        "must be off, error, warn, info, debug, trace, or a list such as gateway=debug,info",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_mute_where_it_names_nothing_of_this_program_and_no_level() {
        for (filter, mute) in [
            ("sqlx=warn", true),
            ("sqlx=warn, hyper=debug", true),
            ("gatway=debug", true),
            ("gateway=off", true),
            ("gateway=0,sqlx=trace", true),
            ("off", false),
            ("info", false),
            ("sqlx=warn,error", false),
            ("gateway=debug", false),
            ("sqlx=warn,gateway::list=debug", false),
            ("tie=info", false),
            ("transport = warn", false),
        ] {
            assert_eq!(is_mute(filter), mute, "{filter}");
        }
    }

    #[test]
    fn the_crates_that_log_are_those_that_use_tracing() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let logs = |folder: &std::path::Path| {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            manifest.lines().any(|line| line.starts_with("tracing.workspace"))
        };
        let folders = std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path());
        let logging = folders.filter(|folder| folder.join("Cargo.toml").exists() && logs(folder));
        let mut names: Vec<String> = logging
            .map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, LOGGING);
    }
}
