//! Under which names a request is followed: its id, and its place in a trace (W3C Trace Context). Both
//! go upstream with every request made on its behalf. What a client sends is taken only where it is
//! exactly as it should be.

use std::sync::Arc;

use bytes::Bytes;
use domain::hex;
use http::{HeaderMap, HeaderName, HeaderValue};
use rand::RngExt;
use transport::headers::get;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const ID_CHARS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) request_id: Arc<str>,
    pub(crate) trace: Trace,
}

impl Origin {
    /// The names of a request. `is_secret` tells what must never be repeated, whatever it looks like;
    /// `sampled` is the share recorded of those that come without a trace of their own.
    pub(crate) fn of(
        headers: &HeaderMap,
        accepts_id: bool,
        sampled: f64,
        is_secret: impl Fn(&str) -> bool,
    ) -> Self {
        let given =
            only(headers, &REQUEST_ID).filter(|id| accepts_id && is_id(id) && !is_secret(id));
        let request_id = given
            .map_or_else(|| hex::of(&rand::rng().random::<u64>().to_be_bytes()).into(), Arc::from);
        let taken = only(headers, &TRACEPARENT).and_then(Trace::continued);
        let taken = taken.filter(|trace| !is_secret(&trace.id()));
        Origin { request_id, trace: taken.unwrap_or_else(|| Trace::begun(sampled)) }
    }

    /// The id as a header's value.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.request_id).ok()
    }

    /// Names a request that is made on behalf of this one, as part of that span of its trace.
    pub(crate) fn pass_on(&self, trace: &Trace, headers: &mut HeaderMap) {
        for (name, value) in
            [(REQUEST_ID, String::from(&*self.request_id)), (TRACEPARENT, trace.header())]
        {
            if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
                headers.insert(name, value);
            }
        }
    }
}

/// A header that came once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let first = get(headers, name)?;
    let is_only = headers.get_all(name).iter().nth(1).is_none();
    is_only.then(|| first.to_str().ok()).flatten()
}

fn is_id(text: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_fit)
}

/// A trace, and our span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    trace: u128,
    span: u64,
    /// The span that ours is part of, as the client says.
    parent: Option<u64>,
    is_sampled: bool,
}

impl Trace {
    /// A trace that begins here, recorded with this probability.
    fn begun(sampled: f64) -> Self {
        let is_sampled = sampled > 0.0 && rand::rng().random_bool(sampled.min(1.0));
        // 0 is no id.
        let trace = rand::rng().random::<u128>().max(1);
        Trace { trace, span: span(), parent: None, is_sampled }
    }

    /// A span that is part of this one.
    pub(crate) fn child(&self) -> Self {
        Trace { span: span(), parent: Some(self.span), ..*self }
    }

    /// A new span in the trace of a `traceparent`. A later version is read as this one, if what
    /// this one has stands at its beginning.
    fn continued(text: &str) -> Option<Self> {
        let (known, rest) = (text.get(..55)?, text.get(55..)?);
        let parts: Vec<&str> = known.split('-').collect();
        let [version, trace, parent, flags] = parts.as_slice() else { return None };
        let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let all_hex = parts.iter().all(|part| part.bytes().all(is_hex));
        let may_be_longer = *version != "00" && rest.starts_with('-');
        if lengths != [2, 32, 16, 2]
            || !all_hex
            || *version == "ff"
            || !(rest.is_empty() || may_be_longer)
        {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Trace { trace, span: span(), parent: Some(parent), is_sampled })
    }

    /// The trace's id, as logs and traces have it.
    pub(crate) fn id(&self) -> String {
        hex::of(&self.trace.to_be_bytes())
    }

    pub(crate) fn trace(&self) -> u128 {
        self.trace
    }

    pub(crate) fn span(&self) -> u64 {
        self.span
    }

    pub(crate) fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// Whether the program that began the trace records it.
    pub(crate) fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    fn header(&self) -> String {
        let mut header = String::with_capacity(55);
        header.push_str("00-");
        hex::push(&mut header, &self.trace.to_be_bytes());
        header.push('-');
        hex::push(&mut header, &self.span.to_be_bytes());
        header.push_str(if self.is_sampled { "-01" } else { "-00" });
        header
    }
}

fn span() -> u64 {
    rand::rng().random::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn taken(traceparent: &str) -> bool {
        let origin = Origin::of(&headers(&[("traceparent", traceparent)]), false, 0.0, |_| false);
        assert_ne!(origin.trace.id(), "0".repeat(32));
        traceparent.contains(&origin.trace.id())
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_our_own() {
        let origin = Origin::of(&headers(&[("traceparent", GIVEN)]), false, 0.0, |_| false);
        assert_eq!(origin.trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let mut passed = HeaderMap::new();
        origin.pass_on(&origin.trace, &mut passed);
        let header = passed["traceparent"].to_str().unwrap();
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{header}");
        assert!(header.ends_with("-01") && header.len() == 55, "{header}");
        assert!(!header.contains("00f067aa0ba902b7"), "{header}");
        assert!(taken(&GIVEN.replace("-01", "-00")));
        // A later version, alone and with more behind it.
        assert!(taken(&GIVEN.replacen("00", "01", 1)));
        assert!(taken(&format!("{}-what-comes-later", GIVEN.replacen("00", "cc", 1))));
    }

    #[test]
    fn a_trace_that_is_not_as_it_should_be_is_another_one() {
        for bad in [
            "",
            "nonsense",
            &GIVEN.to_uppercase(),
            &GIVEN.replacen("00", "ff", 1),
            &GIVEN.replacen("00", "0", 1),
            &format!("{GIVEN}-more"),
            &format!("{GIVEN}x"),
            &format!("{}x", GIVEN.replacen("00", "01", 1)),
            &GIVEN.replace('-', "_"),
            &GIVEN.replace("00f067aa0ba902b7", "0000000000000000"),
            &GIVEN.replace("00f067aa0ba902b7", "00f067aa0ba902bg"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert!(!taken(bad) || bad.is_empty(), "{bad}");
        }
        let twice = headers(&[("traceparent", GIVEN), ("traceparent", GIVEN)]);
        assert!(!GIVEN.contains(&Origin::of(&twice, false, 0.0, |_| false).trace.id()));
        let secret = headers(&[("traceparent", GIVEN)]);
        assert!(!GIVEN.contains(&Origin::of(&secret, false, 0.0, |_| true).trace.id()));
    }

    #[test]
    fn a_request_keeps_its_own_id_only_where_that_is_allowed_and_fit() {
        let of = |id: &str, accepts| {
            Origin::of(&headers(&[("x-request-id", id)]), accepts, 0.0, |id| id == "a-key")
                .request_id
        };
        let long = "x".repeat(64);
        for good in ["a", "A-b_c.9", &long] {
            assert_eq!(&*of(good, true), good);
            assert_ne!(&*of(good, false), good);
        }
        for bad in ["", "a b", "a/b", "a,b", "\u{e9}", "a-key", &"x".repeat(65)] {
            let id = of(bad, true);
            assert!(&*id != bad && id.len() == 16 && is_id(&id), "{bad}: {id}");
        }
        let twice = headers(&[("x-request-id", "a"), ("x-request-id", "a")]);
        assert_eq!(Origin::of(&twice, true, 0.0, |_| false).request_id.len(), 16);
    }
}
