//! Checks every answer's head: whether it has only one possible reading, and whether its connection is too
//! old to be used again. Must never look at a body.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode, Version};
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::Instant;

use super::{ClientError, HEAD_BYTES_MAX};
use crate::progress::Expires;

/// Removes a connection from its pool after this exchange, if it is too old.
pub(super) fn retire<B>(answer: &Response<B>, connection: &CaptureConnection) {
    let is_old = |expires: &Expires| expires.0 <= Instant::now();
    if answer.extensions().get().is_some_and(is_old)
        && let Some(connected) = connection.connection_metadata().as_ref()
    {
        connected.poison();
    }
}

/// Refuses an answer with an ambiguous end or meaning, or with too large a head.
pub(super) fn check<B>(answer: &Response<B>) -> Result<(), ClientError> {
    let status = answer.status();
    let is_known =
        status == StatusCode::SWITCHING_PROTOCOLS || (200..600).contains(&status.as_u16());
    let is_framed = answer.version() == Version::HTTP_2 || is_well_framed(answer.headers());
    let is_short = head_bytes(answer.headers()) <= HEAD_BYTES_MAX as usize;
    if is_known && is_framed && is_short { Ok(()) } else { Err(ClientError::BadFraming) }
}

/// The size of the headers on the wire. The limits of hyper's buffers do not apply to a head that arrives
/// in one piece.
fn head_bytes(headers: &HeaderMap) -> usize {
    let lengths = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    lengths.sum()
}

/// Whether an answer has only one possible reading: a length, or chunks, or neither.
fn is_well_framed(headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => lengths <= 1,
        (Some(coding), None) => lengths == 0 && coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        headers.iter().map(pair).collect()
    }

    #[test]
    fn an_answer_has_one_length() {
        for good in [&[][..], &[("content-length", "5")], &[("transfer-encoding", "Chunked")]] {
            assert!(is_well_framed(&map(good)), "{good:?}");
        }
        for bad in [
            &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "5"), ("content-length", "5")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "identity")],
        ] {
            assert!(!is_well_framed(&map(bad)), "{bad:?}");
        }
    }

    #[test]
    fn a_head_is_no_larger_than_64_kib() {
        for (length, is_good) in [(0, true), (HEAD_BYTES_MAX - 5, true), (HEAD_BYTES_MAX, false)] {
            let value = HeaderValue::from_str(&"a".repeat(length as usize)).unwrap();
            let answer = Response::builder().header("x", value).body(()).unwrap();
            assert_eq!(check(&answer).is_ok(), is_good, "{length}");
        }
    }

    #[test]
    fn only_known_statuses_are_accepted() {
        for (status, is_good) in [(101, true), (200, true), (599, true), (150, false), (600, false)]
        {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            assert_eq!(check(&answer).is_ok(), is_good, "{status}");
        }
    }
}
