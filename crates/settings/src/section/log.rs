//! `[log]`: what is logged, and how lines look.

use serde::{Deserialize, Deserializer, de::Error};

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Filter directives, such as `info`.
    #[serde(deserialize_with = "level")]
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".to_owned(), format: LogFormat::Auto }
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
        return Ok(level);
    }
    Err(D::Error::custom(
        "must be off, error, warn, info, debug, trace, or a list such as gateway=debug,info",
    ))
}
