//! Finished spans, for the exporter: one for each request that is recorded, and one for each
//! exchange with an upstream on its behalf. Must never hold a key, a path, a query or a value of a request,
//! and never wait for the exporter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::account::Account;
use super::origin::{Origin, Trace};

/// Takes finished spans.
pub trait Spans: std::fmt::Debug + Send + Sync {
    /// A span has ended. Called on the request's own way: it must return at once, and drop the span
    /// where it cannot keep it.
    fn ended(&self, span: Span);
}

/// The exporter, where there is one.
pub(crate) type Exporter = Option<Arc<dyn Spans>>;

/// A finished span, with the names of OpenTelemetry's conventions where they have one.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace it belongs to.
    pub trace: u128,
    /// Its own id, never 0.
    pub id: u64,
    /// The span it is part of.
    pub parent: Option<Parent>,
    /// Which side of an exchange it tells.
    pub kind: Kind,
    /// From a closed set.
    pub name: String,
    /// When it began, by the wall clock.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What is known about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub is_error: bool,
}

/// The span that another one is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub id: u64,
    /// Whether it is of another process.
    pub is_remote: bool,
}

/// Which side of an exchange a span tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's request.
    Server,
    /// Ours to an upstream.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// From a closed set, or a name of the configuration.
    Text(String),
    /// A count or a status.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Tells of a client's request, if it is recorded.
pub(crate) fn request(
    exporter: &Exporter,
    origin: &Origin,
    account: &Account,
    method: &'static str,
    status: u16,
    took: Duration,
) {
    let Some(exporter) = exporter else { return };
    let trace = origin.trace;
    if !trace.is_sampled() {
        return;
    }
    let endpoint = account.endpoint.unwrap_or("none");
    let mut attributes: Vec<(&'static str, Value)> = vec![
        ("http.request.method", method.into()),
        ("http.response.status_code", u64::from(status).into()),
        ("tieline.endpoint", endpoint.into()),
        ("tieline.rows", account.rows.into()),
        ("tieline.upstream_calls", account.upstream_calls.into()),
    ];
    let caller = account.caller.as_deref().map(|caller| ("tieline.caller", caller.name().into()));
    attributes.extend(caller);
    attributes.extend(account.error.map(|slug| ("error.type", slug.into())));
    let (began, ended) = ended_now(took);
    let (id, parent) = (trace.span(), trace.parent());
    exporter.ended(Span {
        trace: trace.trace(),
        id,
        parent: parent.map(|id| Parent { id, is_remote: true }),
        kind: Kind::Server,
        name: format!("{method} {endpoint}"),
        began,
        ended,
        attributes,
        // As the conventions have it: a refusal is the client's error, not this span's.
        is_error: status >= 500,
    });
}

/// One exchange with an upstream: the span its request names, told when it has ended.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    exporter: &'a dyn Spans,
    trace: Trace,
    parent: u64,
    method: &'static str,
}

impl<'a> Exchange<'a> {
    /// The span of an exchange on behalf of a recorded request.
    pub(crate) fn begin(
        exporter: &'a Exporter,
        origin: Option<&Origin>,
        method: &'static str,
    ) -> Option<Self> {
        let (exporter, origin) = (exporter.as_deref()?, origin?);
        let parent = origin.trace.span();
        origin.trace.is_sampled().then(|| Exchange {
            exporter,
            trace: origin.trace.child(),
            parent,
            method,
        })
    }

    /// What the upstream is told to be part of.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// `outcome` is a status, or the slug of what went wrong.
    pub(crate) fn end(self, upstream: &str, outcome: Result<u16, &'static str>, took: Duration) {
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", self.method.into()),
            ("tieline.upstream", upstream.into()),
        ];
        attributes.push(match outcome {
            Ok(status) => ("http.response.status_code", u64::from(status).into()),
            Err(slug) => ("error.type", slug.into()),
        });
        let (began, ended) = ended_now(took);
        self.exporter.ended(Span {
            trace: self.trace.trace(),
            id: self.trace.span(),
            parent: Some(Parent { id: self.parent, is_remote: false }),
            kind: Kind::Client,
            name: format!("{} upstream", self.method),
            began,
            ended,
            attributes,
            is_error: outcome.is_err() || outcome.is_ok_and(|status| status >= 400),
        });
    }
}

fn ended_now(took: Duration) -> (SystemTime, SystemTime) {
    let ended = SystemTime::now();
    (ended.checked_sub(took).unwrap_or(ended), ended)
}
