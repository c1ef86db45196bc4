//! One question of a known caller, as either side can be asked it, and what is known of the caller.

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
    /// The caller's name.
    fn name(&self) -> &str;
    /// What the caller's upstream speaks.
    fn dialect(&self) -> &'static str;
    /// Whether the caller sees some users only.
    fn is_narrowed(&self) -> bool;
    /// Rows that a list of this caller may have.
    fn rows_max(&self) -> u64;
    /// Candidate's answer, read anew for a comparison, where it has no more than so many bytes. Must
    /// never be in a client's way: where one would wait for it, it is left.
    fn read<'a>(
        &'a self,
        question: &'a CallerQuestion,
        within: Duration,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Reply, Unread>>;
}

/// Why candidate has no answer that could be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Clients need the upstream, or it was told to wait.
    Busy,
    /// It is longer than what is compared.
    TooLarge,
    /// It failed.
    Failed,
}

/// Who gave an answer.
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

/// See the module.
#[derive(Debug, Clone)]
pub struct CallerQuestion {
    /// What is asked for.
    pub endpoint: &'static Endpoint,
    /// The settings of its shape.
    pub quirks: Arc<Quirks>,
    /// Who asks.
    pub caller: Arc<dyn Asker>,
    /// The query without the key.
    pub params: Params,
    /// Path and query as they came.
    pub target: Target,
    /// By which gateways it has come.
    pub trail: Trail,
    /// The legacy key that the client showed.
    pub key: Secret,
}

impl CallerQuestion {
    /// What it holds in memory, about: the query is there as it came and taken apart.
    pub(crate) fn bytes(&self) -> usize {
        2 * self.target.bytes() + size_of::<Self>()
    }

    /// Filters that have a value.
    pub fn filters(&self) -> Vec<&'static str> {
        let filters = self.endpoint.filters();
        filters.filter(|name| self.params.has_filter(name)).collect()
    }
}
