//! What a process remembers of itself through all its configurations, for the console. Must never grow.

use super::epochs::{Epochs, micros};
use super::lately::Lately;
use super::recent::Recent;

/// See the module.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) epochs: Epochs,
    pub(crate) requests: Recent,
    /// Sums that the console has looked at.
    pub(crate) lately: Lately,
}

impl Default for Past {
    fn default() -> Self {
        let epochs = Epochs::default();
        // Behind all numbers of the process before.
        let requests = Recent::behind(micros(epochs.started));
        Past { epochs, requests, lately: Lately::default() }
    }
}
