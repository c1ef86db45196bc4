//! What the verbs, leases and the roll use together. Must never know who uses it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::faults::Faults;
use crate::link::Link;
use crate::members::Members;
use crate::names::Names;
use crate::news::Scopes;
use crate::roll::{Outbox, Roll};
use crate::seal::Seal;

/// See the module.
pub(crate) struct Shared {
    pub(crate) names: Arc<Names>,
    pub(crate) scopes: Arc<Scopes>,
    pub(crate) seal: Seal,
    /// For paces and the roll.
    pub(crate) control: Link,
    /// For leases, values and what is told of a scope.
    pub(crate) values: Link,
    pub(crate) faults: Arc<Faults>,
    pub(crate) roll: Roll,
    pub(crate) members: Members,
    pub(crate) outbox: Outbox,
    /// This process, by a name that nobody else has.
    pub(crate) replica: String,
    pub(crate) budget: Duration,
    pub(crate) value_bytes_max: usize,
    pub(crate) storing: Semaphore,
    /// Large values that may be fetched at once.
    pub(crate) fetching: Semaphore,
}
