//! What a process remembers of itself through all its configurations, for the console. Must never grow.

use super::epochs::Epochs;
use super::lately::Lately;
use super::recent::Recent;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) epochs: Epochs,
    pub(crate) requests: Recent,
    /// Sums that the console has looked at.
    pub(crate) lately: Lately,
}
