//! Checks every answer's head: whether it has only one possible reading. A length that is there in more than one
//! spelling becomes one number. Must never look at a body.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use super::{ClientError, HEAD_BYTES_MAX};

/// Refuses an answer with an ambiguous end or meaning, or with too large a head. It makes no difference
/// whether the answer has a body: the next reader must find the same length as we do.
pub(super) fn check<B>(answer: &mut Response<B>) -> Result<(), ClientError> {
    let (status, version) = (answer.status(), answer.version());
    let headers = answer.headers_mut();
    let is_known =
        status == StatusCode::SWITCHING_PROTOCOLS || (200..600).contains(&status.as_u16());
    let Head { bytes, is_plain } = look(headers);
    let is_well_framed = is_plain || is_well_framed(version, headers);
    if !is_known || !is_well_framed || bytes > HEAD_BYTES_MAX as usize {
        return Err(ClientError::BadFraming);
    }
    if matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT) {
        // Neither has one (RFC 9110, 8.6); a client would wait for these bytes.
        headers.remove(CONTENT_LENGTH);
    }
    Ok(())
}

/// What one look at the headers finds.
struct Head {
    /// Their size on the wire. The limits of hyper's buffers do not apply to a head that arrives in one piece.
    bytes: usize,
    /// Whether they are framed as nearly all are: by one plain number, or by none of them.
    is_plain: bool,
}

fn look(headers: &HeaderMap) -> Head {
    let (mut bytes, mut lengths, mut is_plain) = (0, 0, true);
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len() + 4;
        if *name == CONTENT_LENGTH {
            lengths += 1;
            is_plain &= is_plain_number(value.as_bytes());
        } else if *name == TRANSFER_ENCODING {
            is_plain = false;
        }
    }
    Head { bytes, is_plain: is_plain && lengths < 2 }
}

/// Whether it is a number as most write it, and fits into 64 bits.
fn is_plain_number(digits: &[u8]) -> bool {
    (1..20).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits[0] != b'0')
}

/// Whether an answer that is not framed as nearly all are has only one possible reading: a length, or chunks.
fn is_well_framed(version: Version, headers: &mut HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => has_one_length(headers),
        (Some(coding), None) => {
            version == Version::HTTP_11
                && !headers.contains_key(CONTENT_LENGTH)
                && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
        }
        _ => false,
    }
}

/// Whether there is one length. A list of equal numbers is one (RFC 9110, 8.6) and is written as one.
fn has_one_length(headers: &mut HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let (Some(text), None) = (lines.next(), lines.next()) else { return false };
    let numbers = text.as_bytes().split(|byte| *byte == b',');
    let mut numbers = numbers.map(|text| number(text.trim_ascii()));
    let Some(Some(length)) = numbers.next() else { return false };
    if !numbers.all(|other| other == Some(length)) {
        return false;
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    true
}

fn number(digits: &[u8]) -> Option<u64> {
    let add = |sum: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    };
    (!digits.is_empty()).then(|| digits.iter().try_fold(0, add))?
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

    /// Whether an answer with these headers passes; `headers` are then those that are passed on.
    fn is_good(version: Version, headers: &mut HeaderMap) -> bool {
        let mut answer = Response::new(());
        *answer.version_mut() = version;
        *answer.headers_mut() = std::mem::take(headers);
        let checked = check(&mut answer);
        *headers = std::mem::take(answer.headers_mut());
        checked.is_ok()
    }

    #[test]
    fn an_answer_has_one_length() {
        for good in [&[][..], &[("content-length", "5")], &[("transfer-encoding", "Chunked")]] {
            assert!(is_good(Version::HTTP_11, &mut map(good)), "{good:?}");
        }
        for bad in [
            &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "5"), ("content-length", "5")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "identity")],
        ] {
            assert!(!is_good(Version::HTTP_11, &mut map(bad)), "{bad:?}");
        }
        let mut chunked = map(&[("transfer-encoding", "chunked")]);
        assert!(!is_good(Version::HTTP_10, &mut chunked), "HTTP/1.0 has no chunks");
    }

    #[test]
    fn a_length_in_another_spelling_becomes_one_number() {
        for (text, length) in [
            ("108, 108", Some("108")),
            ("3,03", Some("3")),
            ("03", Some("3")),
            ("0", Some("0")),
            ("00", Some("0")),
            ("5, 6", None),
            ("5,", None),
            (",5", None),
            ("", None),
            ("+5", None),
            ("5 5", None),
            ("0x5", None),
            ("9999999999999999999", Some("9999999999999999999")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", None),
        ] {
            let mut headers = map(&[("content-length", text)]);
            let passes = is_good(Version::HTTP_2, &mut headers);
            let written = passes.then(|| headers[CONTENT_LENGTH].to_str().unwrap());
            assert_eq!(written, length, "{text}");
        }
    }

    #[test]
    fn a_head_is_no_larger_than_64_kib() {
        for (length, is_good) in [(0, true), (HEAD_BYTES_MAX - 5, true), (HEAD_BYTES_MAX, false)] {
            let value = HeaderValue::from_str(&"a".repeat(length as usize)).unwrap();
            let mut answer = Response::builder().header("x", value).body(()).unwrap();
            assert_eq!(check(&mut answer).is_ok(), is_good, "{length}");
        }
    }

    #[test]
    fn only_known_statuses_are_accepted() {
        for (status, is_good) in [(101, true), (200, true), (599, true), (150, false), (600, false)]
        {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            assert_eq!(check(&mut answer).is_ok(), is_good, "{status}");
        }
    }
}
