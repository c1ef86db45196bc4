//! One row for each word that says what happened. Status, metrics, the rule of repeats and the table of
//! `docs/ERRORS.md` follow from these rows.

use transport::server::Refusal;

/// Who has to do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client: its request will fail again.
    Client,
    /// The operator: the caller's credential for its upstream is wrong.
    Operator,
    /// This gateway.
    Gateway,
    /// The upstream, or the way to it.
    Upstream,
}

/// Whether another attempt at the same page may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It may work.
    Later,
}

/// What is known of an error by its slug alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The word in `x-tieline-error`, logs and metrics.
    pub slug: &'static str,
    /// The HTTP status. Control's own errors have the one that control gave, and a missing or wrong key
    /// has the one that its endpoint says.
    pub status: u16,
    /// Who has to do something about it.
    pub fault: Fault,
    /// Whether another attempt may help.
    pub retry: Retry,
    /// The text of `{"error":".."}`; empty where it is said elsewhere, or nothing is answered.
    pub text: &'static str,
}

/// The text for an upstream that gave nothing a client could be told of.
pub(super) const UNUSABLE: &str = "Upstream gave no usable answer";
const REFUSED: &str = "Upstream refused this caller's access";
const UNAVAILABLE: &str = "Service is unavailable, try again";
const PATH: &str = "Path is not accepted";

macro_rules! rows {
    ($($slug:ident $word:literal $status:literal $fault:ident $retry:ident $text:expr;)*) => {
        /// A word that says what happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Slug {
            $(#[doc = $word] $slug,)*
        }

        /// Every row, by slug.
        pub static ROWS: &[Row] = &[$(Row {
            slug: $word,
            status: $status,
            fault: Fault::$fault,
            retry: Retry::$retry,
            text: $text,
        },)*];

        /// Every slug there is, in order.
        pub(crate) const SLUGS: &[&str] = &[$($word,)*];
    };
}

rows! {
    AgentLoggedOff "agent_logged_off" 400 Client Never "Agent logged off";
    AgentNotFound "agent_not_found" 400 Client Never "User not found";
    AmbiguousCredential "ambiguous_credential" 400 Client Never "Send the API key once: as Bearer or as key";
    BadBody "bad_body" 400 Client Never "Request body is not complete";
    BadExpect "bad_expect" 417 Client Never "Expectation is not supported";
    BadFilter "bad_filter" 400 Client Never "A filter has a value that is not accepted";
    BadFraming "bad_framing" 400 Client Never "Request length is not clear";
    BadHeader "bad_header" 400 Client Never "A header is not accepted";
    BadHost "bad_host" 400 Client Never "Host is missing or not accepted";
    BadNumber "bad_number" 400 Client Never "Invalid number";
    BadParameters "bad_parameters" 400 Client Never "Request body is no JSON, or too long to be read";
    BadQuery "bad_query" 400 Client Never "Query is not accepted";
    BadRequest "bad_request" 400 Client Never "Request is not understood";
    BadTarget "bad_target" 400 Client Never PATH;
    BadVersion "bad_version" 505 Client Never "HTTP version is not supported";
    Brownout "brownout" 503 Gateway Never "This API is switched off for a while, because it will end";
    CallUnknown "call_unknown" 504 Upstream Never "The call may have been placed, do not repeat it";
    Contradiction "contradiction" 400 Client Never "A parameter is said in two ways";
    ControlError "control_error" 400 Client Never "";
    DrainCut "drain_cut" 503 Gateway Never "";
    EffectRefused "effect_refused" 403 Client Never "This key may place no calls";
    HeadersTooLarge "headers_too_large" 431 Client Never "Headers are too large";
    Internal "internal" 500 Gateway Never "Internal error";
    KeyInPath "key_in_path" 403 Client Never "A path with a key in it is not passed on";
    LongParameter "long_parameter" 400 Client Never "A parameter is too long";
    MappedKeyRefused "mapped_key_refused" 502 Operator Never REFUSED;
    MethodNotAllowed "method_not_allowed" 405 Client Never "Method not allowed";
    NoCredential "no_credential" 401 Client Never "";
    NotFound "not_found" 404 Client Never "Not found";
    NotOffered "not_offered" 501 Operator Never "Not offered by this upstream";
    OddPath "odd_path" 400 Client Never PATH;
    OutcomeUnknown "outcome_unknown" 502 Upstream Never UNUSABLE;
    Overloaded "overloaded" 503 Gateway Never "Service is overloaded, try again";
    PassthroughNarrowed "passthrough_narrowed" 403 Client Never "This key may not use this path";
    PrefetchRefused "prefetch_refused" 403 Client Never "A prefetch places no call";
    RateLimited "rate_limited" 429 Upstream Later "API rate limit exceeded";
    ResultTooLarge "result_too_large" 413 Client Never "The answer would take too many calls";
    RosterFailed "roster_failed" 503 Gateway Never UNAVAILABLE;
    SlowBody "slow_body" 408 Client Never "Request body took too long";
    SlowHeaders "slow_headers" 408 Client Never "Request took too long to arrive";
    StopRefused "stop_refused" 400 Client Never "Calls are placed here, and not stopped";
    TenantLimit "tenant_limit" 429 Gateway Never "Too many requests at the same time";
    TooEarly "too_early" 425 Client Never "Early data places no call, send it again";
    TooManyGroups "too_many_groups" 413 Gateway Never "There are more groups than lookups.entries_max";
    UnknownCredential "unknown_credential" 401 Client Never "";
    UnknownHost "unknown_host" 421 Client Never "Host is not served here";
    UpgradeRefused "upgrade_refused" 501 Client Never "Switching protocols is not supported";
    Upstream5xx "upstream_5xx" 502 Upstream Later UNUSABLE;
    UpstreamAddrRefused "upstream_addr_refused" 502 Upstream Never UNUSABLE;
    UpstreamBadEncoding "upstream_bad_encoding" 502 Upstream Never UNUSABLE;
    UpstreamBadFraming "upstream_bad_framing" 502 Upstream Never UNUSABLE;
    UpstreamBadId "upstream_bad_id" 502 Upstream Never UNUSABLE;
    UpstreamBadJson "upstream_bad_json" 502 Upstream Never UNUSABLE;
    UpstreamBadSchema "upstream_bad_schema" 502 Upstream Never UNUSABLE;
    UpstreamBadToken "upstream_bad_token" 502 Upstream Never UNUSABLE;
    UpstreamBadType "upstream_bad_type" 502 Upstream Never UNUSABLE;
    UpstreamConnect "upstream_connect" 502 Upstream Later UNUSABLE;
    UpstreamConnectTimeout "upstream_connect_timeout" 504 Upstream Later UNUSABLE;
    UpstreamDns "upstream_dns" 502 Upstream Later UNUSABLE;
    UpstreamForbidden "upstream_forbidden" 502 Operator Never REFUSED;
    UpstreamListShrunk "upstream_list_shrunk" 503 Upstream Never "The list is changing, try again";
    UpstreamListUnstable "upstream_list_unstable" 503 Upstream Never "The list is changing, try again";
    UpstreamPageOverflow "upstream_page_overflow" 502 Upstream Never UNUSABLE;
    UpstreamPagingBroken "upstream_paging_broken" 502 Upstream Never UNUSABLE;
    UpstreamRedirect "upstream_redirect" 502 Upstream Never UNUSABLE;
    UpstreamRefusedCall "upstream_refused_call" 502 Upstream Never UNUSABLE;
    UpstreamRepeatedKey "upstream_repeated_key" 502 Upstream Never UNUSABLE;
    UpstreamReset "upstream_reset" 502 Upstream Later UNUSABLE;
    UpstreamTimeout "upstream_timeout" 504 Upstream Later "Upstream took too long";
    UpstreamTls "upstream_tls" 502 Upstream Never UNUSABLE;
    UpstreamTlsTimeout "upstream_tls_timeout" 504 Upstream Later UNUSABLE;
    UpstreamTooLarge "upstream_too_large" 502 Upstream Never UNUSABLE;
    UpstreamTotalMismatch "upstream_total_mismatch" 502 Upstream Never UNUSABLE;
    UpstreamTruncated "upstream_truncated" 502 Upstream Later UNUSABLE;
    UpstreamUnavailable "upstream_unavailable" 503 Upstream Later UNAVAILABLE;
    UriTooLong "uri_too_long" 414 Client Never "Request line is too long";
}

impl Slug {
    /// Its row. Slugs and rows are written as one, so there is always one.
    #[expect(clippy::indexing_slicing, reason = "one row for each slug, by the macro above")]
    pub(crate) fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

/// The word for what the server refused.
pub(super) fn of_refusal(refusal: Refusal) -> Slug {
    match refusal {
        Refusal::BadFraming => Slug::BadFraming,
        Refusal::BadHeader => Slug::BadHeader,
        Refusal::BadHost => Slug::BadHost,
        Refusal::BadMethod => Slug::MethodNotAllowed,
        Refusal::BadQuery => Slug::BadQuery,
        Refusal::BadRequest => Slug::BadRequest,
        Refusal::BadTarget => Slug::BadTarget,
        Refusal::BadVersion => Slug::BadVersion,
        Refusal::HeadersTooLarge => Slug::HeadersTooLarge,
        Refusal::SlowHeaders => Slug::SlowHeaders,
        Refusal::UriTooLong => Slug::UriTooLong,
    }
}
