//! What a process remembers of itself through all its configurations, for the console. Must never grow.

use super::epochs::Epochs;
use super::recent::Recent;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) epochs: Epochs,
    pub(crate) requests: Recent,
}
