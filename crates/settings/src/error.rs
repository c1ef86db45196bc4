//! Why a configuration is refused: one line, without any value.

/// A configuration that cannot be used: one line, `FILE:LINE: field: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {field}: {what}")]
pub struct ConfigError {
    pub(crate) place: String,
    pub(crate) field: String,
    pub(crate) what: String,
}
