//! HTTP/1: the guard's verdict does not depend on the cuts, and the service gets the requests that the simplest reader
//! of RFC 9112 finds in the bytes that passed, whole and in order. Must never be as strict as the guard: only what the
//! guard has let through is read here.

use std::sync::Arc;

use super::super::{Refusal, ServerLimits, guard::Guard};
use super::client::serve;
use super::cut;

/// Checks a connection of HTTP/1. The first byte says how the others are cut.
pub fn http1_guard(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    if bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") || bytes.first() == Some(&0x16) {
        return;
    }
    let pieces = cut(bytes, *how);
    let whole = verdict(&[bytes]);
    assert_eq!(verdict(&pieces), whole, "the verdict depends on the cuts");
    let (passed, refusal, _) = whole;
    let (head_ends, rest) = ends_of_heads(bytes);
    let messages = messages(&bytes[..passed]);
    assert!(
        messages.iter().map(|message| message.head_end).eq(head_ends),
        "heads that end elsewhere: {messages:?}"
    );
    if refusal.is_none() && messages.last().is_none_or(|last| last.body.is_some()) {
        let left = skip_empty_lines(rest);
        assert!(find(left, b"\r\n\r\n").is_none(), "a whole head is held back");
    }
    let seen = serve(&pieces);
    let (mut count, mut goes_on) = (0, true);
    for request in &seen {
        if request.refusal.is_some() {
            goes_on = false;
            continue;
        }
        assert!(goes_on, "a request behind a refused one: {request:?}");
        let Some(message) = messages.get(count) else {
            panic_with(&format!("a request from nowhere: {request:?}"));
            return;
        };
        count += 1;
        assert_eq!(request.method.as_bytes(), message.method, "{message:?}");
        if message.target.starts_with(b"/") {
            assert_eq!(request.target.as_bytes(), message.target, "{message:?}");
        }
        if request.body.is_some() {
            assert_eq!(request.body, message.body, "{message:?}");
        }
        goes_on = message.body.is_some();
    }
    let is_last = |message: &Message| message.may_end || message.body.is_none();
    let first_last = messages.iter().position(is_last);
    let least = first_last.map_or(messages.len(), |at| at + 1);
    assert!(count >= least, "{count} requests of {least}: {seen:?}, {messages:?}");
    for (request, message) in seen.iter().zip(&messages).take(least) {
        assert_eq!(request.body, message.body, "{message:?}");
    }
}

fn panic_with(text: &str) {
    assert!(text.is_empty(), "{text}");
}

/// How many bytes pass, why not all, and whether the next one belongs to a head.
fn verdict(pieces: &[&[u8]]) -> (usize, Option<Refusal>, bool) {
    let mut guard = Guard::new(Arc::new(ServerLimits::default()));
    let (mut held, mut passed) = (Vec::new(), 0);
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let seen = guard.look(&held);
            held.drain(..seen.passed);
            passed += seen.passed;
            if seen.refusal.is_some() {
                return (passed, seen.refusal, guard.is_in_head());
            }
            if !guard.awaits_answer() || held.is_empty() {
                break;
            }
            guard.stays();
        }
    }
    (passed, None, guard.is_in_head())
}

/// Where each head ends that passes, when every byte comes alone; and the bytes that are held back at the end.
fn ends_of_heads(bytes: &[u8]) -> (Vec<usize>, &[u8]) {
    let mut guard = Guard::new(Arc::new(ServerLimits::default()));
    let (mut from, mut ends) = (0, Vec::new());
    for to in 1..=bytes.len() {
        let is_in_head = guard.is_in_head();
        if guard.awaits_answer() {
            guard.stays();
        }
        let seen = guard.look(&bytes[from..to]);
        from += seen.passed;
        if is_in_head && seen.passed > 0 {
            ends.push(from);
        }
        if seen.refusal.is_some() {
            break;
        }
    }
    (ends, &bytes[from..])
}

/// A request as the simplest reader finds it.
#[derive(Debug)]
struct Message {
    method: Vec<u8>,
    target: Vec<u8>,
    head_end: usize,
    /// How many bytes the body has; `None` if it has not come whole.
    body: Option<u64>,
    /// Whether the connection may end behind it.
    may_end: bool,
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|part| part == mark)
}

fn skip_empty_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes
}

fn messages(all: &[u8]) -> Vec<Message> {
    let (mut found, mut rest) = (Vec::new(), all);
    loop {
        rest = skip_empty_lines(rest);
        let Some(end) = find(rest, b"\r\n\r\n") else { return found };
        let (head, behind) = rest.split_at(end + 4);
        let mut message = message(&head[..end]);
        message.1.head_end = all.len() - behind.len();
        let body = match message.0 {
            Length::Bytes(length) => usize::try_from(length)
                .ok()
                .filter(|length| *length <= behind.len())
                .map(|taken| (taken, length)),
            Length::Chunks => chunks(behind),
        };
        message.1.body = body.map(|(_, length)| length);
        found.push(message.1);
        let Some((taken, _)) = body else { return found };
        rest = &behind[taken..];
    }
}

enum Length {
    Bytes(u64),
    Chunks,
}

/// A head without its end, and how long its body is. Bytes that no head may have must not have passed.
fn message(head: &[u8]) -> (Length, Message) {
    let text = String::from_utf8_lossy(head);
    let controls = head.iter().filter(|byte| **byte < b' ' && **byte != b'\t').count();
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    assert_eq!(controls, 2 * (lines.len() - 1), "a control character: {text:?}");
    let mut lines = lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first: Vec<&[u8]> = lines.next().unwrap_or_default().split(|byte| *byte == b' ').collect();
    assert_eq!(first.len(), 3, "{text:?}");
    let (mut length, mut framings, mut hosts) = (Length::Bytes(0), 0, 0);
    let mut may_end = first[2] != b"HTTP/1.1";
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
        assert!(colon > 0 && !line[..colon].contains(&b' '), "{text:?}");
        let value = line[colon + 1..].trim_ascii();
        match line[..colon].to_ascii_lowercase().as_slice() {
            b"content-length" => {
                framings += 1;
                let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                assert!(number.is_some() && !value.starts_with(b"+"), "{text:?}");
                length = Length::Bytes(number.unwrap_or_default());
            }
            b"transfer-encoding" => {
                framings += 1;
                assert!(value.eq_ignore_ascii_case(b"chunked") && first[2] == b"HTTP/1.1");
                length = Length::Chunks;
            }
            b"host" => hosts += 1,
            b"connection" | b"expect" => may_end = true,
            _ => {}
        }
    }
    assert!(framings <= 1, "two framings: {text:?}");
    assert!(hosts == 1 || hosts == 0 && first[2] == b"HTTP/1.0", "{text:?}");
    let (method, target) = (first[0].to_vec(), first[1].to_vec());
    (length, Message { method, target, head_end: 0, body: None, may_end })
}

/// How many bytes chunks take, and how many are in them, if all have come.
fn chunks(all: &[u8]) -> Option<(usize, u64)> {
    let (mut rest, mut sum) = (all, 0);
    loop {
        let line = find(rest, b"\r\n")?;
        let digits = rest[..line].split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            break;
        }
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
        sum += size as u64;
    }
    // Trailers, up to an empty line.
    loop {
        let line = find(rest, b"\r\n")?;
        rest = &rest[line + 2..];
        if line == 0 {
            return Some((all.len() - rest.len(), sum));
        }
    }
}
