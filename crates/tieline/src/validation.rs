//! What the commands that validate share: keys, both sides, progress, reports.

pub(crate) mod alone;
pub(crate) mod candidate;
pub(crate) mod control;
pub(crate) mod key;
pub(crate) mod knowledge;
pub(crate) mod progress;
pub(crate) mod recorded;
pub(crate) mod reports;

use settings::Config;

use crate::configuration::set_up_log;
use crate::failure::Failure;
use crate::log;

/// The log as the configuration wants it, but quieter, because people read the report.
pub(crate) fn set_up(
    config: Option<&Config>,
    log_format: Option<log::Format>,
) -> Result<(), Failure> {
    let Some(config) = config else {
        return log::set_up("warn", log_format.unwrap_or(log::Format::Auto));
    };
    let mut config = config.clone();
    if config.log.level == "info" {
        "warn".clone_into(&mut config.log.level);
    }
    set_up_log(&config, log_format)
}
