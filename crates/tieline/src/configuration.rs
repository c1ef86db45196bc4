//! Reads the configuration of a command, and starts the log that it asks for.

use std::path::Path;

use settings::{Config, ConfigError, Files, LogFormat};

use crate::failure::Failure;
use crate::log;

/// Reads a configuration file and the environment over it.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    read(file, &mut Files::default()).map_err(Failure::configuration)
}

/// Like [`load`], with the error as the gateway tells it. `files` become those that were looked at,
/// of a refused configuration too.
pub(crate) fn read(file: &Path, files: &mut Files) -> Result<Config, ConfigError> {
    // No setting has a variable that is not UTF-8.
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Config::load_watched(file, &environment, files)
}

/// Starts the log as configured, or as the command line says.
pub(crate) fn set_up_log(config: &Config, chosen: Option<log::Format>) -> Result<(), Failure> {
    let format = chosen.unwrap_or(match config.log.format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Json => log::Format::Json,
        LogFormat::Human => log::Format::Human,
    });
    log::set_up(&config.log.level, format)
}
