//! Heads and chunks in order pass whole, others are refused where they go wrong, however they are cut.

use super::super::head::METHOD_BYTES_MAX;
use super::*;
use Refusal::*;

fn guard() -> Guard {
    Guard::new(Arc::new(ServerLimits::default()))
}

/// The fate of a text: how much of it passes, and why the rest does not. The same in any cut.
fn seen(text: impl AsRef<[u8]>) -> Seen {
    let text = text.as_ref();
    let whole = guard().look(text);
    let (mut guard, mut held, mut passed) = (guard(), Vec::new(), 0);
    for byte in text {
        held.push(*byte);
        let seen = guard.look(&held);
        held.drain(..seen.passed);
        passed += seen.passed;
        if seen.refusal.is_some() {
            let text = String::from_utf8_lossy(text);
            assert_eq!(seen.refusal, whole.refusal, "{text:?}");
            assert_eq!(passed, whole.passed, "{text:?}");
            return whole;
        }
    }
    assert_eq!((passed, None), (whole.passed, whole.refusal));
    whole
}

fn refusal(text: impl AsRef<[u8]>) -> Option<Refusal> {
    seen(text).refusal
}

#[test]
fn requests_in_order_are_followed_from_one_to_the_next() {
    for good in [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nHost:x\r\n\r\n",
        "\r\nPOST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\na\n\r\nbGET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\n\r\n\r\n:\r\n\
         00\r\nx-sum: 1\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET http://x:80/a?b=c HTTP/1.1\r\nhost: x:80\r\nx: \u{e9}\t\r\nx_y:\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 010\r\n\r\n0123456789",
    ] {
        assert_eq!(seen(good), Seen { passed: good.len(), refusal: None }, "{good:?}");
    }
    let open = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc";
    let mut following = guard();
    assert_eq!(following.look(open.as_bytes()).passed, open.len());
    assert_eq!(following.step, Step::Fixed(6));
}

#[test]
fn nothing_of_a_head_passes_before_all_of_it_is_there() {
    let (first, second) = ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\n");
    let both = [first, second].concat();
    assert_eq!(seen(both), Seen { passed: first.len(), refusal: None });
}

#[test]
fn a_head_that_is_not_in_order_is_refused_with_its_fault() {
    for (fields, why) in [
        ("content-length: 5\r\ntransfer-encoding: chunked", BadFraming),
        ("transfer-encoding: chunked\r\ncontent-length: 5", BadFraming),
        ("content-length: 5\r\ncontent-length: 5", BadFraming),
        ("content-length: 5, 5", BadFraming),
        ("content-length: +5", BadFraming),
        ("content-length: -1", BadFraming),
        ("content-length: 0x5", BadFraming),
        ("content-length: 5 ", BadFraming),
        ("content-length: 5;", BadFraming),
        ("content-length: \"\"", BadFraming),
        ("content-length:", BadFraming),
        ("content-length: 99999999999999999999", BadFraming),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", BadFraming),
        ("transfer-encoding: ,chunked", BadFraming),
        ("transfer-encoding: gzip, chunked", BadFraming),
        ("transfer-encoding: xchunked", BadFraming),
        ("transfer-encoding: \u{b}chunked", BadHeader),
        ("transfer-encoding : chunked", BadHeader),
        (" transfer-encoding: chunked", BadHeader),
        ("transfer-encoding:\r\n chunked", BadFraming),
        ("x: 1\r\n\ty", BadHeader),
        ("x: 1\ny: 2", BadHeader),
        ("x: 1\r y: 2", BadHeader),
        ("x: 1\0", BadHeader),
        ("x: \u{7f}", BadHeader),
        ("no colon", BadHeader),
        (": no name", BadHeader),
        ("na me: 1", BadHeader),
        ("n\u{e9}: 1", BadHeader),
        ("Content_Length: 5", BadHeader),
        ("transfer_encoding: chunked", BadHeader),
        ("x_forwarded-for: 1.1.1.1", BadHeader),
        ("host: y", BadHost),
    ] {
        let text = format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n");
        assert_eq!(refusal(&text), Some(why), "{fields:?}");
    }
    let coded = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(refusal(coded), Some(BadFraming), "chunks before they were invented");
}

#[test]
fn a_host_is_one_and_a_name() {
    let long = "x".repeat(256);
    for host in ["", "a/b", "a@b", "a b", "a\\b", "a?b", "\u{e9}", &long] {
        let text = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(refusal(&text), Some(BadHost), "{host:?}");
        // A good one before it on the same connection does not excuse it, and is asked for again.
        let good = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
        let after = Seen { passed: good.len(), refusal: Some(BadHost) };
        assert_eq!(seen(good + &text), after, "{host:?} after a good one");
    }
    assert_eq!(refusal("GET / HTTP/1.1\r\n\r\n"), Some(BadHost), "no host");
}

#[test]
fn a_first_line_is_a_method_a_target_and_a_version() {
    let long_method = format!("{} / HTTP/1.1", "M".repeat(METHOD_BYTES_MAX + 1));
    let long_target = format!("GET /{} HTTP/1.1", "x".repeat(9000));
    for (line, why) in [
        ("GET /", BadRequest),
        ("GET  / HTTP/1.1", BadRequest),
        ("GET /x y HTTP/1.1", BadRequest),
        (" GET / HTTP/1.1", BadRequest),
        ("GET / HTTP/1.1x", BadRequest),
        ("GET / http/1.1", BadRequest),
        ("G\0T / HTTP/1.1", BadRequest),
        ("GET / HTTP/1.2", BadVersion),
        ("GET / HTTP/0.9", BadVersion),
        ("GET / HTTP/2.0", BadVersion),
        ("GET /\u{e9} HTTP/1.1", BadTarget),
        ("GET /\0 HTTP/1.1", BadTarget),
        ("GET x HTTP/1.1", BadTarget),
        ("GET /a<b HTTP/1.1", BadTarget),
        ("GET /?a=\"b HTTP/1.1", BadQuery),
        ("GET /?a=\0 HTTP/1.1", BadQuery),
        ("GET /?a=\u{7f} HTTP/1.1", BadQuery),
        ("GET /\u{e9}?a=\0 HTTP/1.1", BadTarget),
        ("GET http:///a HTTP/1.1", BadTarget),
        (&long_method, BadMethod),
        (&long_target, UriTooLong),
    ] {
        let text = format!("{line}\r\nhost: x\r\n\r\n");
        assert_eq!(refusal(&text), Some(why), "{line:?}");
    }
    assert_eq!(refusal("GET / HTTP/1.1\nhost: x\n\n"), Some(BadHeader), "bare ends");
}

#[test]
fn fields_have_a_size_each_and_together_and_a_number() {
    let of = |fields: &str| refusal(format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n"));
    let (fits, long) = (8 << 10, 9 << 10);
    let field = |bytes: usize| format!("x: {}\r\n", "y".repeat(bytes - 3));
    assert_eq!(of(&field(fits)), None);
    assert_eq!(of(&field(long)), Some(HeadersTooLarge));
    assert_eq!(of(&field(fits - 100).repeat(4)), None);
    assert_eq!(of(&field(fits).repeat(4)), Some(HeadersTooLarge), "more than 32 KiB");
    assert_eq!(of(&"x: y\r\n".repeat(99)), None);
    assert_eq!(of(&"x: y\r\n".repeat(100)), Some(HeadersTooLarge));
    // Before a line has ended.
    let endless = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(long));
    assert_eq!(refusal(endless), Some(HeadersTooLarge));
    assert_eq!(refusal("x".repeat(long)), Some(UriTooLong));
    assert_eq!(refusal(format!("{}\n", "x".repeat(long))), Some(UriTooLong), "and with a bare end");
    assert_eq!(refusal("\r\n".repeat(20 << 10)), Some(HeadersTooLarge), "and nothing but ends");
}

#[test]
fn a_chunk_with_two_readings_is_doubted() {
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    for bad in [
        "\r\n",
        "g\r\n",
        "0_2e\r\n",
        "0x1\r\n",
        "-1\r\n",
        "1 \r\n",
        "1\n",
        "1\r\r",
        "1\r\nab",
        "1\r\na\n",
        "1;a\n",
        "1111111111111111\r\n",
        "0\r\nx\r\n",
        "0\r\n x: 1\r\n",
        "0\r\n\n",
    ] {
        let seen = seen(format!("{head}{bad}"));
        assert_eq!(seen.refusal, Some(BadFraming), "{bad:?}");
        assert!(seen.passed >= head.len(), "{bad:?}: what is before it passes");
    }
    let endless = format!("{head}0\r\n{}", "x: y\r\n".repeat(10_000));
    assert_eq!(guard().look(endless.as_bytes()).refusal, Some(BadFraming));
}

#[test]
fn a33_trailers_have_values_to_their_end_and_are_as_few_as_headers() {
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
    let long = "y".repeat(TRAILER_BYTES_KEPT);
    assert_eq!(refusal(format!("{head}x: {long}\u{e9}\t!\r\n\r\n")), None);
    for bad in ['\0', '\u{7f}', '\u{1f}'] {
        assert_eq!(refusal(format!("{head}x: {long}{bad}\r\n\r\n")), Some(BadFraming));
    }
    assert_eq!(refusal(format!("{head}{}\r\n", "x: y\r\n".repeat(100))), None);
    assert_eq!(refusal(format!("{head}{}\r\n", "x: y\r\n".repeat(101))), Some(BadFraming));
}
