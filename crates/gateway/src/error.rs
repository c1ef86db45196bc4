//! What can go wrong, whose fault it is, and which status and slug say so.
//!
//! Every layer and step returns this one type; `edge/rescue.rs` alone turns it into an answer. No variant
//! holds text from a request or an upstream, and `Display` never repeats a source. What is known of a
//! slug stands in its row.

mod rows;

use std::borrow::Cow;
use std::time::Duration;

use domain::sweep::Failure;
use domain::upstream::{SchemaError, SchemaKind};
use http::{HeaderName, HeaderValue};
use limits::Panicked;
use transport::body::BodyError;
use transport::client::ClientError;
use transport::server::Refusal;

pub(crate) use rows::SLUGS;
pub use rows::{Fault, ROWS, Retry, Row};
use rows::{Slug, UNUSABLE, of_refusal};

/// Why a request has no list for an answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// No key came with the request.
    #[error("no key")]
    NoCredential,
    /// The key is no caller's.
    #[error("unknown key")]
    UnknownCredential,
    /// The same where it stands in a path that has no endpoint here.
    #[error("unknown key in the path")]
    UnknownKeyInPath,
    /// More than one key, or one in an ambiguous place.
    #[error("more than one key")]
    AmbiguousCredential,
    /// No legacy endpoint has this path.
    #[error("no such path")]
    NotFound,
    /// The same of a path with a key in it that is no caller's.
    #[error("no such path, with an unknown key in it")]
    NotFoundWithKey,
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
    /// The path has the caller's key in it, and its route does not pass keys on.
    #[error("a path with a key in it is not passed on")]
    KeyInPath,
    /// The caller may do nothing to the world.
    #[error("the caller has no such effect")]
    EffectRefused,
    /// A browser asks for a page before anybody wants it.
    #[error("a prefetch has no effect")]
    PrefetchRefused,
    /// A parameter has two values.
    #[error("a parameter is said in two ways")]
    Contradiction,
    /// A parameter of a call is longer than any.
    #[error("a parameter of a call is too long")]
    LongParameter,
    /// What came as early data may come again.
    #[error("early data may come again")]
    TooEarly,
    /// A call is to be stopped, which no upstream is asked to do.
    #[error("a call is to be stopped")]
    StopRefused,
    /// No user, or several, are the agent that a call is for.
    #[error("not one user is the agent")]
    AgentNotFound,
    /// The upstream says that the agent cannot take a call.
    #[error("the agent cannot take a call")]
    AgentLoggedOff,
    /// What is to be called is no number.
    #[error("a bad number")]
    BadNumber,
    /// A call was sent, and what became of it is not known.
    #[error("a call may have been placed: its answer did not come")]
    CallUnknown,
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
    /// The client's body cannot be read for parameters, though it says that it has some.
    #[error("a body whose parameters cannot be read")]
    BadParameters,
    /// The server refused what came before it was a request.
    #[error("a request that the server refused")]
    Refused(Refusal),
    /// Another host is asked than those served.
    #[error("a host that is not served")]
    UnknownHost,
    /// Too much is going on already.
    #[error("too many requests in flight")]
    Overloaded,
    /// The endpoint is in a window in which it answers so on purpose.
    #[error("a brownout")]
    Brownout {
        /// When the window began, in seconds since 1970.
        began: u64,
        /// How long it goes on.
        retry_after: Duration,
    },
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
    /// The caller's v4 key lacks a scope.
    #[error("this caller's upstream_key may not read this; add the scope {scope}")]
    Forbidden {
        /// The scope, as the vendor spells it.
        scope: &'static str,
    },
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
    /// The upstream has no such list or user. The layer that asked may be able to go on without it.
    #[error("the upstream has no such list")]
    NoSuchListing,
    /// The vendor has nothing of the kind, so it was not asked.
    #[error("the upstream's dialect has nothing of the kind")]
    NotOffered,
    /// The upstream's token service gave no token.
    #[error("the upstream's answer is no token")]
    BadToken,
    /// The list of users lost more than half of its rows, twice, and the operator wants that refused.
    #[error("the list of users lost more than half of its rows")]
    ListShrunk,
    /// The answer is larger than may be buffered, or is not to be streamed although that was tried. Another way to
    /// answer follows, so no client gets it.
    #[error("the list has to be answered in another way")]
    Oversize,
    /// More lists would have to be read than are allowed.
    #[error("more than {lists_max} lists would have to be read for one answer")]
    TooManyLists {
        /// The limit.
        lists_max: usize,
    },
    /// A look-up would have to keep more groups than are allowed.
    #[error("there are more than {groups_max} groups to look a name up in (lookups.entries_max)")]
    TooManyGroups {
        /// The limit.
        groups_max: u64,
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
    /// The upstream's answer repeats the caller's own credential, which must not go out.
    #[error("the upstream's answer repeats this caller's upstream_key")]
    RepeatedKey,
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

/// The wait that a client is told when the upstream gives none.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// A client that is told to come again is told at least this.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

impl From<Panicked> for Error {
    fn from(_: Panicked) -> Self {
        Error::Internal
    }
}

impl Error {
    /// There is no place before the deadline.
    pub(crate) fn limited(retry_after: Duration) -> Self {
        Error::RateLimited { retry_after }
    }

    /// A method that nothing here is ever asked with.
    pub(crate) fn unknown_method() -> Self {
        let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        Error::MethodNotListed { allow }
    }

    /// What it is in a word.
    fn kind(&self) -> Slug {
        match self {
            Error::NoCredential => Slug::NoCredential,
            Error::UnknownCredential | Error::UnknownKeyInPath => Slug::UnknownCredential,
            Error::AmbiguousCredential => Slug::AmbiguousCredential,
            Error::NotFound | Error::NotFoundWithKey => Slug::NotFound,
            Error::MethodNotAllowed | Error::MethodNotListed { .. } => Slug::MethodNotAllowed,
            Error::OddPath => Slug::OddPath,
            Error::EffectRefused => Slug::EffectRefused,
            Error::PrefetchRefused => Slug::PrefetchRefused,
            Error::Contradiction => Slug::Contradiction,
            Error::LongParameter => Slug::LongParameter,
            Error::TooEarly => Slug::TooEarly,
            Error::StopRefused => Slug::StopRefused,
            Error::AgentNotFound => Slug::AgentNotFound,
            Error::AgentLoggedOff => Slug::AgentLoggedOff,
            Error::BadNumber => Slug::BadNumber,
            Error::CallUnknown => Slug::CallUnknown,
            Error::KeyInPath => Slug::KeyInPath,
            Error::PassthroughNarrowed => Slug::PassthroughNarrowed,
            Error::UpgradeRefused => Slug::UpgradeRefused,
            Error::BadExpect => Slug::BadExpect,
            Error::SlowBody => Slug::SlowBody,
            Error::BadBody => Slug::BadBody,
            Error::BadParameters => Slug::BadParameters,
            Error::RepeatedKey => Slug::UpstreamRepeatedKey,
            Error::Refused(refusal) => of_refusal(*refusal),
            Error::UnknownHost => Slug::UnknownHost,
            Error::Overloaded => Slug::Overloaded,
            Error::Brownout { .. } => Slug::Brownout,
            Error::TenantLimit => Slug::TenantLimit,
            Error::DrainCut => Slug::DrainCut,
            Error::Internal | Error::Oversize => Slug::Internal,
            Error::BadFilter => Slug::BadFilter,
            Error::MappedKeyRefused => Slug::MappedKeyRefused,
            Error::Forbidden { .. } => Slug::UpstreamForbidden,
            Error::RateLimited { .. } => Slug::RateLimited,
            Error::Unavailable { .. } | Error::BreakerOpen { .. } => Slug::UpstreamUnavailable,
            Error::UpstreamFailed { .. } => Slug::Upstream5xx,
            Error::RefusedCall { .. } | Error::NoSuchListing => Slug::UpstreamRefusedCall,
            Error::NotOffered => Slug::NotOffered,
            Error::BadToken => Slug::UpstreamBadToken,
            Error::ListShrunk => Slug::UpstreamListShrunk,
            Error::TooManyLists { .. } => Slug::ResultTooLarge,
            Error::TooManyGroups { .. } => Slug::TooManyGroups,
            Error::Roster(_) => Slug::RosterFailed,
            Error::ControlRefused { .. } => Slug::ControlError,
            Error::Redirect => Slug::UpstreamRedirect,
            Error::BadType => Slug::UpstreamBadType,
            Error::BadEncoding => Slug::UpstreamBadEncoding,
            Error::Deadline | Error::UpstreamTimeout => Slug::UpstreamTimeout,
            Error::Exchange(error) => of_exchange(error),
            Error::OutcomeUnknown => Slug::OutcomeUnknown,
            Error::Body(error) => match error {
                BodyError::TooLarge { .. } => Slug::UpstreamTooLarge,
                BodyError::Idle { .. } | BodyError::Slow { .. } => Slug::UpstreamTimeout,
                BodyError::BadFraming => Slug::UpstreamBadFraming,
                BodyError::Truncated | BodyError::Transport(_) => Slug::UpstreamTruncated,
            },
            Error::Schema { error, .. } => match error.kind {
                SchemaKind::BadJson { .. } => Slug::UpstreamBadJson,
                SchemaKind::BadSchema => Slug::UpstreamBadSchema,
                SchemaKind::BadId => Slug::UpstreamBadId,
                SchemaKind::TooLarge => Slug::UpstreamTooLarge,
            },
            Error::List(failure) => match failure {
                Failure::Unstable => Slug::UpstreamListUnstable,
                Failure::PagingBroken => Slug::UpstreamPagingBroken,
                Failure::TotalMismatch => Slug::UpstreamTotalMismatch,
                Failure::PageOverflow => Slug::UpstreamPageOverflow,
                Failure::TooLarge { .. } => Slug::ResultTooLarge,
                Failure::IdCollision => Slug::UpstreamBadId,
            },
        }
    }

    fn row(&self) -> &'static Row {
        self.kind().row()
    }

    /// The word in `x-tieline-error`, logs and metrics. A closed set: `docs/ERRORS.md`.
    pub(crate) fn slug(&self) -> &'static str {
        self.row().slug
    }

    /// The HTTP status. A missing or wrong key's is a quirk of the endpoint and not decided here.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Error::ControlRefused { status } => *status,
            error => error.row().status,
        }
    }

    /// The text of `{"error":".."}`; our own words, or the legacy API's where it had some.
    pub(crate) fn text(&self) -> Cow<'static, str> {
        match self {
            Error::List(Failure::TooLarge { rows_max }) => {
                format!("The list has more than {rows_max} rows").into()
            }
            // What broke on the way there is told alike, whether it took long or not.
            Error::Exchange(_) | Error::Body(_) => UNUSABLE.into(),
            error => error.row().text.into(),
        }
    }

    /// The `retry-after` of a 429 or 503, at least a second.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::RateLimited { retry_after }
            | Error::Unavailable { retry_after }
            | Error::BreakerOpen { retry_after }
            | Error::Brownout { retry_after, .. } => Some((*retry_after).max(RETRY_AFTER_MIN)),
            error => matches!(error.row().status, 429 | 503).then_some(RETRY_AFTER_MIN),
        }
    }

    /// Whether a kept answer may stand in for it: the upstream failed, or the gateway cannot answer now.
    pub(crate) fn may_be_covered(&self) -> bool {
        let row = self.row();
        row.fault == Fault::Upstream || row.status == 503
    }

    /// Whether another attempt at the same page may help.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            // These two end what attempts are part of.
            Error::Deadline | Error::BreakerOpen { .. } => false,
            error => error.row().retry == Retry::Later,
        }
    }
}

fn of_exchange(error: &ClientError) -> Slug {
    match error {
        ClientError::Dns => Slug::UpstreamDns,
        ClientError::AddressRefused => Slug::UpstreamAddrRefused,
        ClientError::TlsTimeout => Slug::UpstreamTlsTimeout,
        ClientError::Connect => Slug::UpstreamConnect,
        ClientError::ConnectTimeout => Slug::UpstreamConnectTimeout,
        ClientError::Tls => Slug::UpstreamTls,
        ClientError::BadFraming => Slug::UpstreamBadFraming,
        ClientError::Stalled => Slug::UpstreamTimeout,
        ClientError::Reset { .. } | ClientError::Other => Slug::UpstreamReset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_in_order_and_each_stands_once() {
        assert!(SLUGS.is_sorted_by(|a, b| a < b), "{SLUGS:?}");
        let of_rows: Vec<&str> = ROWS.iter().map(|row| row.slug).collect();
        assert_eq!(of_rows, SLUGS);
        assert_eq!(Slug::UriTooLong as usize + 1, ROWS.len());
    }

    #[test]
    fn a_refusal_has_the_status_that_the_server_answers_it_with() {
        for refusal in [
            Refusal::BadFraming,
            Refusal::BadHeader,
            Refusal::BadHost,
            Refusal::BadMethod,
            Refusal::BadQuery,
            Refusal::BadRequest,
            Refusal::BadTarget,
            Refusal::BadVersion,
            Refusal::HeadersTooLarge,
            Refusal::SlowHeaders,
            Refusal::UriTooLong,
        ] {
            assert_eq!(Error::Refused(refusal).status(), refusal.status().as_u16(), "{refusal:?}");
        }
    }

    #[test]
    fn what_ends_all_attempts_is_not_repeated_and_what_is_kept_covers_failures_alone() {
        let retry_after = Duration::ZERO;
        for (error, is_retryable, may_be_covered) in [
            (Error::Unavailable { retry_after }, true, true),
            (Error::BreakerOpen { retry_after }, false, true),
            (Error::UpstreamTimeout, true, true),
            (Error::Deadline, false, true),
            (Error::Body(BodyError::TooLarge { bytes_max: 1 }), false, true),
            (Error::Body(BodyError::Truncated), true, true),
            (Error::Body(BodyError::BadFraming), false, true),
            (Error::Exchange(ClientError::Tls), false, true),
            (Error::Exchange(ClientError::Stalled), true, true),
            (Error::RateLimited { retry_after }, true, true),
            (Error::Roster(roster::RosterError::Busy), false, true),
            (Error::TenantLimit, false, false),
            (Error::MappedKeyRefused, false, false),
            (Error::Forbidden { scope: "users.read" }, false, false),
            (Error::Internal, false, false),
            (Error::BadFilter, false, false),
        ] {
            let (retries, covers) = (error.is_retryable(), error.may_be_covered());
            assert_eq!((retries, covers), (is_retryable, may_be_covered), "{error}");
        }
        let stalled = Error::Exchange(ClientError::Stalled);
        assert_eq!((stalled.status(), &*stalled.text()), (504, UNUSABLE));
    }
}
