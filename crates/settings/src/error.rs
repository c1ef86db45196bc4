//! Why a configuration is refused: one line, without any value.

use std::fmt;

/// A configuration that cannot be used: one line, `FILE:LINE: field: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub(crate) place: String,
    /// Empty where no field is meant: the file itself cannot be read.
    pub(crate) field: String,
    pub(crate) what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError { place, field, what } = self;
        match field.as_str() {
            "" => write!(f, "{place}: {what}"),
            field => write!(f, "{place}: {field}: {what}"),
        }
    }
}
