//! Reads the configuration of a command, and starts the log that it asks for.

use std::io::Read;
use std::path::Path;

use settings::{Config, ConfigError, Files, LogFormat, Setting};

use crate::failure::Failure;
use crate::log;

/// The variable that names the configuration where no flag does.
pub(crate) const CONFIG: &str = "TIELINE_CONFIG";

/// The name of standard input in place of a file.
pub(crate) const INPUT: &str = "-";

/// A wrong file on standard input is found out before it fills the memory.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// For a start: each mistake is one line, as logs take it.
pub(crate) fn load_to_serve(file: &Path) -> Result<Config, Failure> {
    read(file, &mut Files::default()).map_err(Failure::configuration)
}

/// Reads a configuration file and the environment over it.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    read(file, &mut Files::default()).map_err(|error| refused(&error))
}

/// Like [`load`], and `-` is standard input: for commands that read a configuration once.
pub(crate) fn load_or_input(file: &Path) -> Result<Config, Failure> {
    if file != Path::new(INPUT) {
        return load(file);
    }
    Config::parse(&input()?, INPUT, &environment()).map_err(|error| refused(&error))
}

/// Like [`load`], with the error as the gateway tells it. `files` become those that were looked at,
/// of a refused configuration too.
pub(crate) fn read(file: &Path, files: &mut Files) -> Result<Config, ConfigError> {
    Config::load_watched(file, &environment(), files)
}

/// Every setting of a configuration, or of one on standard input.
pub(crate) fn shown(file: &Path) -> Result<Vec<Setting>, Failure> {
    let is_input = file == Path::new(INPUT);
    let told = |what| Failure::configuration(format_args!("{}: {what}", file.display()));
    let text = if is_input { input()? } else { settings::read_text(file).map_err(told)? };
    let folder = file.parent().unwrap_or(Path::new(""));
    let name = file.display().to_string();
    Config::shown(text.trim_start_matches('\u{feff}'), &name, folder, &environment())
        .map_err(|error| refused(&error))
}

/// What a person reads of a configuration that is refused: each mistake with its line.
fn refused(error: &ConfigError) -> Failure {
    Failure::configuration(error.with_lines())
}

/// The configuration on standard input. Its relative paths start at the working directory.
fn input() -> Result<String, Failure> {
    let told = |why: &str| Failure::configuration(format_args!("standard input: {why}"));
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(INPUT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| told(&format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(told("is longer than any configuration"));
    }
    let text = settings::utf_8(bytes).map_err(told)?;
    // Editors on Windows begin a file with a mark that is no part of it.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The variables of the environment. No setting has one that is not UTF-8.
pub(crate) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
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
