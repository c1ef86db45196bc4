//! The reasons for refusing a request or a whole connection: two closed sets of words. Must never contain
//! anything that a peer sent.

use std::net::IpAddr;

use http::StatusCode;

/// Why a request is refused as invalid. It is in the extensions of the substitute request that a watched
/// service gets, and must answer with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Two lengths, invalid ones, a length and chunks, codings other than chunks, bad chunks.
    BadFraming,
    /// A field that some servers read differently, or not at all.
    BadHeader,
    /// No host, two hosts, or an invalid one.
    BadHost,
    /// A method that is longer than any known one.
    BadMethod,
    /// The query contains bytes that are not allowed there.
    BadQuery,
    /// The first line is not a request line.
    BadRequest,
    /// The target contains bytes before its query that are not allowed there, or is none.
    BadTarget,
    /// A version of HTTP other than 1.0 and 1.1.
    BadVersion,
    /// Fields that are too long, too many, or too large together.
    HeadersTooLarge,
    /// The head did not arrive in time.
    SlowHeaders,
    /// The first line is too long.
    UriTooLong,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::BadFraming
            | Refusal::BadHeader
            | Refusal::BadHost
            | Refusal::BadQuery
            | Refusal::BadRequest
            | Refusal::BadTarget => StatusCode::BAD_REQUEST,
            Refusal::BadMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::BadVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Refusal::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::SlowHeaders => StatusCode::REQUEST_TIMEOUT,
            Refusal::UriTooLong => StatusCode::URI_TOO_LONG,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Refusal::BadFraming => "bad_framing",
            Refusal::BadHeader => "bad_header",
            Refusal::BadHost => "bad_host",
            Refusal::BadMethod => "bad_method",
            Refusal::BadQuery => "bad_query",
            Refusal::BadRequest => "bad_request",
            Refusal::BadTarget => "bad_target",
            Refusal::BadVersion => "bad_version",
            Refusal::HeadersTooLarge => "headers_too_large",
            Refusal::SlowHeaders => "slow_headers",
            Refusal::UriTooLong => "uri_too_long",
        }
    }
}

/// Why a connection ends before its peer wants it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// A request on it is refused.
    Refused(Refusal),
    /// Too many HTTP/2 frames that belong to no request.
    ControlFlood,
    /// Every place is taken; the peer waits for a free one.
    NoPlace,
    /// A TLS handshake on a port without TLS.
    NotHttp,
    /// Its address has too many connections.
    PerAddress,
    /// The peer reads nothing of its answer.
    SlowRead,
    /// The TLS handshake failed.
    TlsFailed,
    /// The TLS handshake did not finish in time.
    TlsSlow,
}

impl Rejection {
    /// Every word of [`Rejection::as_str`], in order.
    pub const WORDS: [&str; 18] = [
        "bad_framing",
        "bad_header",
        "bad_host",
        "bad_method",
        "bad_query",
        "bad_request",
        "bad_target",
        "bad_version",
        "h2_control_flood",
        "headers_too_large",
        "max_conns",
        "not_http",
        "per_ip",
        "slow_headers",
        "slow_read",
        "tls_failed",
        "tls_slow",
        "uri_too_long",
    ];

    /// The word for it, from a closed set.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::Refused(refusal) => refusal.as_str(),
            Rejection::ControlFlood => "h2_control_flood",
            Rejection::NoPlace => "max_conns",
            Rejection::NotHttp => "not_http",
            Rejection::PerAddress => "per_ip",
            Rejection::SlowRead => "slow_read",
            Rejection::TlsFailed => "tls_failed",
            Rejection::TlsSlow => "tls_slow",
        }
    }
}

/// Observes connections, and decides which addresses are trusted. It is called while connections are
/// served, so it must never wait.
pub trait Watcher: Send + Sync + 'static {
    /// Whether this address may have any number of connections, like a proxy in front.
    fn is_exempt(&self, address: IpAddr) -> bool;
    /// A connection, or a request on it, is rejected.
    fn rejected(&self, rejection: Rejection);
    /// The system failed to accept a connection, with one of [`ERRNOS`].
    fn accept_failed(&self, errno: &'static str);
    /// A connection begins, or ends.
    fn connection(&self, has_begun: bool);
}

/// The names of the system's errors when accepting connections.
pub const ERRNOS: [&str; 6] = ["ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "other"];

/// One of [`ERRNOS`].
pub(super) fn errno(error: &std::io::Error) -> &'static str {
    match (error.kind(), error.raw_os_error()) {
        (std::io::ErrorKind::ConnectionAborted, _) => "ECONNABORTED",
        (std::io::ErrorKind::OutOfMemory, _) => "ENOMEM",
        (_, Some(24)) => "EMFILE",
        (_, Some(23)) => "ENFILE",
        (_, Some(105)) => "ENOBUFS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_system_has_a_name_of_the_set() {
        for (number, word) in [(24, "EMFILE"), (23, "ENFILE"), (12, "ENOMEM"), (1, "other")] {
            assert_eq!(errno(&std::io::Error::from_raw_os_error(number)), word);
            assert!(ERRNOS.contains(&word));
        }
        let aborted = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
        assert_eq!(errno(&aborted), "ECONNABORTED");
    }
}
