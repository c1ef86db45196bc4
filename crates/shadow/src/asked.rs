//! One question of a known caller, in a form that both sides can be asked, and the facts about the caller.
//! A question must never be logged, because its query is about people.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::legacy::Endpoint;
use domain::params::Params;
use domain::quirks::Quirks;
use futures_util::future::BoxFuture;
use settings::Secret;

use crate::judge::Reply;
use crate::target::Target;
use crate::trail::Trail;

/// A caller, and candidate as it answers this caller.
pub trait Asker: fmt::Debug + Send + Sync {
    fn name(&self) -> &str;
    /// The dialect of the caller's upstream.
    fn dialect(&self) -> &'static str;
    /// Whether the caller sees only some users.
    fn is_narrowed(&self) -> bool;
    /// The configured time zone of users whose upstream has none.
    fn timezone(&self) -> Option<&str>;
    /// The most rows of a list of this caller.
    fn rows_max(&self) -> u64;
    /// Candidate's answer, read for a comparison and not from a cache. It must never delay a client: where
    /// one would wait, the reading fails.
    fn read<'a>(
        &'a self,
        question: &'a CallerQuestion,
        within: Duration,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Reply, Unread>>;
}

/// Why candidate has no answer to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Clients need the upstream, or the upstream asked us to wait.
    Busy,
    TooLarge,
    Failed,
}

/// The side that gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The legacy API.
    Control,
    /// This gateway.
    Candidate,
}

impl Side {
    /// The word in headers, logs and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Control => "control",
            Side::Candidate => "candidate",
        }
    }
}

#[derive(Debug, Clone)]
pub struct CallerQuestion {
    pub endpoint: &'static Endpoint,
    /// The settings of the answer's shape.
    pub quirks: Arc<Quirks>,
    pub caller: Arc<dyn Asker>,
    /// The query without the key.
    pub params: Params,
    /// Path and query as the client sent them.
    pub target: Target,
    /// The gateways that passed the question on.
    pub trail: Trail,
    /// The legacy key of the client.
    pub key: Secret,
}

impl CallerQuestion {
    /// About how many bytes of memory it takes. The query is there twice: as sent, and parsed.
    pub(crate) fn bytes(&self) -> usize {
        2 * self.target.bytes() + size_of::<Self>()
    }

    /// Filters that have a value.
    pub fn filters(&self) -> Vec<&'static str> {
        let filters = self.endpoint.filters();
        filters.filter(|name| self.params.has_filter(name)).collect()
    }
}
