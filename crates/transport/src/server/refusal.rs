//! Why the server refuses a request, or a whole connection: two closed sets of words. Must never hold
//! anything of what a peer sent.

use std::net::IpAddr;

use http::StatusCode;

/// Why a request is refused before it is one. Stands in the extensions of the request that a watched
/// service gets in the place of what came, and has to answer with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Two lengths, odd ones, a length and chunks, codings other than chunks, bad chunks.
    BadFraming,
    /// A field that some read in another way, or not at all.
    BadHeader,
    /// No host, two, or one that is none.
    BadHost,
    /// A method that is longer than any.
    BadMethod,
    /// The first line is no request's.
    BadRequest,
    /// What is asked for holds bytes that may not stand there.
    BadTarget,
    /// Another version of HTTP than 1.0 and 1.1.
    BadVersion,
    /// Fields that are too long, too many, or too much together.
    HeadersTooLarge,
    /// The head did not come in time.
    SlowHeaders,
    /// The first line is too long.
    UriTooLong,
}

impl Refusal {
    /// The status that says so.
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::BadFraming
            | Refusal::BadHeader
            | Refusal::BadHost
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
    /// What came on it is refused.
    Refused(Refusal),
    /// More frames that ask for nothing than anybody needs, on HTTP/2.
    ControlFlood,
    /// Every place is taken; the peer waits until there is one.
    NoPlace,
    /// A TLS handshake on a port without TLS.
    NotHttp,
    /// Its address has as many connections as one may have.
    PerAddress,
    /// The peer takes nothing of its answer.
    SlowRead,
    /// The TLS handshake failed.
    TlsFailed,
    /// The TLS handshake did not come in time.
    TlsSlow,
}

impl Rejection {
    /// Every word of [`Rejection::as_str`], in order.
    pub const WORDS: [&str; 17] = [
        "bad_framing",
        "bad_header",
        "bad_host",
        "bad_method",
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

/// Who is told what happens to connections, and asked whom to trust. Called in the middle of things:
/// must never wait.
pub trait Watcher: Send + Sync + 'static {
    /// Whether this address may have any number of connections, as a proxy in front has.
    fn is_exempt(&self, address: IpAddr) -> bool;
    /// A connection is rejected, or what came on it.
    fn rejected(&self, rejection: Rejection);
    /// The system gave no connection, and said why; one of [`ERRNOS`].
    fn accept_failed(&self, errno: &'static str);
    /// A connection begins, or ends.
    fn connection(&self, has_begun: bool);
}

/// What the system may say to a server that accepts connections, in words.
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
    fn every_word_of_the_system_is_one_of_the_set() {
        for (number, word) in [(24, "EMFILE"), (23, "ENFILE"), (12, "ENOMEM"), (1, "other")] {
            assert_eq!(errno(&std::io::Error::from_raw_os_error(number)), word);
            assert!(ERRNOS.contains(&word));
        }
        let aborted = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
        assert_eq!(errno(&aborted), "ECONNABORTED");
    }
}
