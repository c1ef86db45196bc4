//! What can go wrong, whose fault it is, and which status and slug say so.
//!
//! Layers below return these in a box; `layers/rescue.rs` alone turns them into answers. No variant
//! holds text from a request or an upstream, and `Display` never repeats a source.

use std::time::Duration;

use domain::sweep::Failure;
use domain::upstream::{SchemaError, SchemaKind};
use http::{HeaderName, HeaderValue};
use transport::body::BodyError;
use transport::client::ClientError;
use transport::server::Refusal;

/// Why a request has no list for an answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// No key came with the request.
    #[error("no key")]
    NoCredential,
    /// The key is no caller's.
    #[error("unknown key")]
    UnknownCredential,
    /// More than one key, or one in an ambiguous place.
    #[error("more than one key")]
    AmbiguousCredential,
    /// No legacy endpoint has this path.
    #[error("no such path")]
    NotFound,
    /// The endpoint has no such method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The route of this path lists other methods.
    #[error("method not among the route's")]
    MethodNotListed {
        /// Those it lists, from the configuration.
        allow: HeaderValue,
    },
    /// The path could be read as another one.
    #[error("a path that could be read as another one")]
    OddPath,
    /// A narrowed caller would see everything through this path.
    #[error("a narrowed caller may not pass through")]
    PassthroughNarrowed,
    /// Another protocol was asked for.
    #[error("switching protocols is switched off")]
    UpgradeRefused,
    /// An expectation nobody knows.
    #[error("an unknown expectation")]
    BadExpect,
    /// The client stopped sending its body.
    #[error("the client stopped sending its body")]
    SlowBody,
    /// The client's body broke off or was no body.
    #[error("the client's body broke off")]
    BadBody,
    /// The server refused what came before it was a request.
    #[error("a request that the server refused")]
    Refused(Refusal),
    /// Another host is asked than those served.
    #[error("a host that is not served")]
    UnknownHost,
    /// Too much is going on already.
    #[error("too many requests in flight")]
    Overloaded,
    /// This caller has its share of the requests in flight already.
    #[error("this caller has its share of the requests in flight")]
    TenantLimit,
    /// The process ended before the request did.
    #[error("cut at the end of the drain")]
    DrainCut,
    /// The whole request took too long.
    #[error("the request ran out of time")]
    Deadline,
    /// Something panicked.
    #[error("a bug in the gateway")]
    Internal,
    /// The upstream refused a value the client filtered by.
    #[error("the upstream refused a filter's value")]
    BadFilter,
    /// The upstream refused the caller's own v4 key.
    #[error("the upstream refused this caller's upstream_key")]
    MappedKeyRefused,
    /// The upstream refused the scope of the caller's v4 key.
    #[error("this caller's upstream_key lacks the scope")]
    Forbidden,
    /// The upstream limits the rate, and waiting would take too long.
    #[error("the upstream limits the rate")]
    RateLimited {
        /// How long the client had better wait.
        retry_after: Duration,
    },
    /// The upstream is unavailable and stays so.
    #[error("the upstream is unavailable")]
    Unavailable {
        /// How long the client had better wait.
        retry_after: Duration,
    },
    /// The upstream has failed nearly every time, and is left alone for a while.
    #[error("the upstream fails and is left alone")]
    BreakerOpen {
        /// For how long.
        retry_after: Duration,
    },
    /// The upstream answered another 5xx and went on doing so.
    #[error("the upstream failed with {status}")]
    UpstreamFailed {
        /// Its status.
        status: u16,
    },
    /// The upstream refused a request of ours that should be right.
    #[error("the upstream refused a call with {status}")]
    RefusedCall {
        /// Its status.
        status: u16,
    },
    /// The upstream has no such list or user; whoever asked may do without.
    #[error("the upstream has no such list")]
    NoSuchListing,
    /// The upstream's token service gave no token.
    #[error("the upstream's answer is no token")]
    BadToken,
    /// More lists would have to be read than are allowed.
    #[error("more than {lists_max} lists would have to be read for one answer")]
    TooManyLists {
        /// The limit.
        lists_max: usize,
    },
    /// What is remembered of users cannot be read or written.
    #[error("the roster failed: {0}")]
    Roster(roster::RosterError),
    /// Control answered the client that its request is wrong. What it says is passed on, so neither
    /// text nor anything else of this error is ever shown.
    #[error("control refused the request with {status}")]
    ControlRefused {
        /// Its status.
        status: u16,
    },
    /// The upstream sent us elsewhere; redirects are not followed.
    #[error("the upstream redirects")]
    Redirect,
    /// The upstream answered something that is no JSON by its own word.
    #[error("the upstream's answer is no JSON")]
    BadType,
    /// The upstream encoded an answer it was asked not to encode.
    #[error("the upstream's answer is encoded")]
    BadEncoding,
    /// The upstream took too long for one attempt, again and again.
    #[error("the upstream took too long")]
    UpstreamTimeout,
    /// The exchange with the upstream broke.
    #[error("the exchange with the upstream broke: {0}")]
    Exchange(ClientError),
    /// The connection broke behind a request that may have done its work.
    #[error("the upstream closed the connection before its answer, and may have done its work")]
    OutcomeUnknown,
    /// The upstream's answer did not arrive whole.
    #[error("the upstream's answer did not arrive: {0}")]
    Body(BodyError),
    /// The upstream's answer breaks its own schema.
    #[error("{dialect} {listing}: {error}")]
    Schema {
        /// The dialect read.
        dialect: &'static str,
        /// The listing read.
        listing: &'static str,
        /// Where and how; holds no text of the page.
        error: SchemaError,
    },
    /// The list cannot be had whole.
    #[error("{0}")]
    List(Failure),
}

/// Where the slug of an error stands.
pub(crate) const SLUG: HeaderName = HeaderName::from_static("x-tieline-error");

/// Every slug there is, in order.
pub(crate) const SLUGS: &[&str] = &[
    "ambiguous_credential",
    "bad_body",
    "bad_expect",
    "bad_filter",
    "bad_framing",
    "bad_header",
    "bad_host",
    "bad_request",
    "bad_target",
    "bad_version",
    "control_error",
    "drain_cut",
    "headers_too_large",
    "internal",
    "mapped_key_refused",
    "method_not_allowed",
    "no_credential",
    "not_found",
    "odd_path",
    "outcome_unknown",
    "overloaded",
    "passthrough_narrowed",
    "rate_limited",
    "result_too_large",
    "roster_failed",
    "slow_body",
    "slow_headers",
    "tenant_limit",
    "unknown_credential",
    "unknown_host",
    "upgrade_refused",
    "upstream_5xx",
    "upstream_addr_refused",
    "upstream_bad_encoding",
    "upstream_bad_framing",
    "upstream_bad_id",
    "upstream_bad_json",
    "upstream_bad_schema",
    "upstream_bad_token",
    "upstream_bad_type",
    "upstream_connect",
    "upstream_connect_timeout",
    "upstream_dns",
    "upstream_forbidden",
    "upstream_list_unstable",
    "upstream_page_overflow",
    "upstream_paging_broken",
    "upstream_redirect",
    "upstream_refused_call",
    "upstream_reset",
    "upstream_timeout",
    "upstream_tls",
    "upstream_tls_timeout",
    "upstream_too_large",
    "upstream_total_mismatch",
    "upstream_truncated",
    "upstream_unavailable",
    "uri_too_long",
];

/// Whether, and how soon, a client may come again.
const UNSTABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Error {
    /// A method that nothing here is ever asked with.
    pub(crate) fn nobodys_method() -> Self {
        let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        Error::MethodNotListed { allow }
    }

    /// The word in `x-tieline-error`, logs and metrics. A closed set: `docs/ERRORS.md`.
    pub(crate) fn slug(&self) -> &'static str {
        match self {
            Error::NoCredential => "no_credential",
            Error::UnknownCredential => "unknown_credential",
            Error::AmbiguousCredential => "ambiguous_credential",
            Error::NotFound => "not_found",
            Error::MethodNotAllowed | Error::MethodNotListed { .. } => "method_not_allowed",
            Error::OddPath => "odd_path",
            Error::PassthroughNarrowed => "passthrough_narrowed",
            Error::UpgradeRefused => "upgrade_refused",
            Error::BadExpect => "bad_expect",
            Error::SlowBody => "slow_body",
            Error::BadBody => "bad_body",
            Error::Refused(refusal) => match refusal {
                Refusal::BadFraming => "bad_framing",
                Refusal::BadHeader => "bad_header",
                Refusal::BadHost => "bad_host",
                Refusal::BadMethod => "method_not_allowed",
                Refusal::BadRequest => "bad_request",
                Refusal::BadTarget => "bad_target",
                Refusal::BadVersion => "bad_version",
                Refusal::HeadersTooLarge => "headers_too_large",
                Refusal::SlowHeaders => "slow_headers",
                Refusal::UriTooLong => "uri_too_long",
            },
            Error::UnknownHost => "unknown_host",
            Error::Overloaded => "overloaded",
            Error::TenantLimit => "tenant_limit",
            Error::DrainCut => "drain_cut",
            Error::Internal => "internal",
            Error::BadFilter => "bad_filter",
            Error::MappedKeyRefused => "mapped_key_refused",
            Error::Forbidden => "upstream_forbidden",
            Error::RateLimited { .. } => "rate_limited",
            Error::Unavailable { .. } | Error::BreakerOpen { .. } => "upstream_unavailable",
            Error::UpstreamFailed { .. } => "upstream_5xx",
            Error::RefusedCall { .. } | Error::NoSuchListing => "upstream_refused_call",
            Error::BadToken => "upstream_bad_token",
            Error::TooManyLists { .. } => "result_too_large",
            Error::Roster(_) => "roster_failed",
            Error::ControlRefused { .. } => "control_error",
            Error::Redirect => "upstream_redirect",
            Error::BadType => "upstream_bad_type",
            Error::BadEncoding => "upstream_bad_encoding",
            Error::Deadline | Error::UpstreamTimeout => "upstream_timeout",
            Error::Exchange(error) => match error {
                ClientError::Dns => "upstream_dns",
                ClientError::AddressRefused => "upstream_addr_refused",
                ClientError::TlsTimeout => "upstream_tls_timeout",
                ClientError::Connect => "upstream_connect",
                ClientError::ConnectTimeout => "upstream_connect_timeout",
                ClientError::Tls => "upstream_tls",
                ClientError::BadFraming => "upstream_bad_framing",
                ClientError::Stalled => "upstream_timeout",
                ClientError::Reset { .. } | ClientError::Other => "upstream_reset",
            },
            Error::OutcomeUnknown => "outcome_unknown",
            Error::Body(error) => match error {
                BodyError::TooLarge { .. } => "upstream_too_large",
                BodyError::Idle { .. } => "upstream_timeout",
                BodyError::Truncated | BodyError::Transport(_) => "upstream_truncated",
            },
            Error::Schema { error, .. } => match error.kind {
                SchemaKind::BadJson { .. } => "upstream_bad_json",
                SchemaKind::BadSchema => "upstream_bad_schema",
                SchemaKind::BadId => "upstream_bad_id",
                SchemaKind::TooLarge => "upstream_too_large",
            },
            Error::List(failure) => match failure {
                Failure::Unstable => "upstream_list_unstable",
                Failure::PagingBroken => "upstream_paging_broken",
                Failure::TotalMismatch => "upstream_total_mismatch",
                Failure::PageOverflow => "upstream_page_overflow",
                Failure::TooLarge { .. } => "result_too_large",
                Failure::IdCollision => "upstream_bad_id",
            },
        }
    }

    /// The HTTP status. A missing or wrong key's is a quirk of the endpoint and not decided here.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Error::NoCredential | Error::UnknownCredential => 401,
            Error::AmbiguousCredential | Error::BadFilter => 400,
            Error::OddPath | Error::BadBody => 400,
            Error::PassthroughNarrowed => 403,
            Error::NotFound => 404,
            Error::MethodNotAllowed | Error::MethodNotListed { .. } => 405,
            Error::SlowBody => 408,
            Error::BadExpect => 417,
            Error::UnknownHost => 421,
            Error::Refused(refusal) => refusal.status().as_u16(),
            Error::ControlRefused { status } => *status,
            Error::UpgradeRefused => 501,
            Error::Internal => 500,
            Error::RateLimited { .. } | Error::TenantLimit => 429,
            Error::DrainCut | Error::Overloaded => 503,
            Error::Unavailable { .. } | Error::BreakerOpen { .. } | Error::Roster(_) => 503,
            Error::List(Failure::Unstable) => 503,
            Error::List(Failure::TooLarge { .. }) | Error::TooManyLists { .. } => 413,
            Error::Deadline | Error::UpstreamTimeout => 504,
            Error::Exchange(
                ClientError::ConnectTimeout | ClientError::TlsTimeout | ClientError::Stalled,
            ) => 504,
            Error::Body(BodyError::Idle { .. }) => 504,
            Error::MappedKeyRefused
            | Error::Forbidden
            | Error::UpstreamFailed { .. }
            | Error::RefusedCall { .. }
            | Error::NoSuchListing
            | Error::BadToken
            | Error::Redirect
            | Error::BadType
            | Error::BadEncoding
            | Error::OutcomeUnknown
            | Error::Exchange(_)
            | Error::Body(_)
            | Error::Schema { .. }
            | Error::List(_) => 502,
        }
    }

    /// The text of `{"error":".."}`; our own words, or the legacy API's where it had some.
    pub(crate) fn text(&self) -> String {
        match self {
            Error::AmbiguousCredential => "Send the API key once: as Bearer or as key".to_owned(),
            Error::NotFound => "Not found".to_owned(),
            Error::MethodNotAllowed | Error::MethodNotListed { .. } => {
                "Method not allowed".to_owned()
            }
            Error::OddPath => "Path is not accepted".to_owned(),
            Error::PassthroughNarrowed => "This key may not use this path".to_owned(),
            Error::UpgradeRefused => "Switching protocols is not supported".to_owned(),
            Error::BadExpect => "Expectation is not supported".to_owned(),
            Error::SlowBody => "Request body took too long".to_owned(),
            Error::BadBody => "Request body is not complete".to_owned(),
            Error::Refused(refusal) => match refusal {
                Refusal::BadFraming => "Request length is not clear",
                Refusal::BadHeader => "A header is not accepted",
                Refusal::BadHost => "Host is missing or not accepted",
                Refusal::BadMethod => "Method not allowed",
                Refusal::BadRequest => "Request is not understood",
                Refusal::BadTarget => "Path is not accepted",
                Refusal::BadVersion => "HTTP version is not supported",
                Refusal::HeadersTooLarge => "Headers are too large",
                Refusal::SlowHeaders => "Request took too long to arrive",
                Refusal::UriTooLong => "Request line is too long",
            }
            .to_owned(),
            Error::UnknownHost => "Host is not served here".to_owned(),
            Error::Overloaded => "Service is overloaded, try again".to_owned(),
            Error::TenantLimit => "Too many requests at the same time".to_owned(),
            Error::Internal => "Internal error".to_owned(),
            Error::BadFilter => "A filter has a value that is not accepted".to_owned(),
            Error::RateLimited { .. } => "API rate limit exceeded".to_owned(),
            Error::Unavailable { .. } | Error::BreakerOpen { .. } | Error::Roster(_) => {
                "Service is unavailable, try again".to_owned()
            }
            Error::TooManyLists { .. } => "The answer would take too many calls".to_owned(),
            Error::Deadline | Error::UpstreamTimeout => "Upstream took too long".to_owned(),
            Error::List(Failure::Unstable) => "The list is changing, try again".to_owned(),
            Error::List(Failure::TooLarge { rows_max }) => {
                format!("The list has more than {rows_max} rows")
            }
            Error::MappedKeyRefused | Error::Forbidden => {
                "Upstream refused this caller's access".to_owned()
            }
            _ => "Upstream gave no usable answer".to_owned(),
        }
    }

    /// The `retry-after` of a 429 or 503, at least a second.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::RateLimited { retry_after }
            | Error::Unavailable { retry_after }
            | Error::BreakerOpen { retry_after } => Some((*retry_after).max(UNSTABLE_RETRY_AFTER)),
            Error::Overloaded
            | Error::TenantLimit
            | Error::List(Failure::Unstable)
            | Error::Roster(_) => Some(UNSTABLE_RETRY_AFTER),
            _ => None,
        }
    }

    /// Whether it is the upstream that failed, and not its answer to this caller's credential.
    pub(crate) fn is_upstream_fault(&self) -> bool {
        match self {
            Error::MappedKeyRefused | Error::Forbidden => false,
            Error::RateLimited { .. } | Error::Deadline => true,
            error => matches!(error.status(), 502..=504),
        }
    }

    /// Whether another attempt at the same page may help.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Error::RateLimited { .. }
            | Error::Unavailable { .. }
            | Error::UpstreamFailed { .. }
            | Error::UpstreamTimeout => true,
            Error::Exchange(error) => !matches!(
                error,
                ClientError::Tls | ClientError::BadFraming | ClientError::AddressRefused
            ),
            Error::Body(error) => !matches!(error, BodyError::TooLarge { .. }),
            _ => false,
        }
    }
}
