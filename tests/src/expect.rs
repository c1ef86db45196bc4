//! The rules for every error answer.

use crate::Answer;

/// Our own words, and the legacy API's where it had some. A text that is not among them came from
/// somewhere else, most likely from the upstream.
const TEXTS: &[&str] = &[
    "This key may place no calls",
    "The call may have been placed, do not repeat it",
    "Invalid api_key",
    "Invalid number",
    "Agent logged off",
    "A prefetch places no call",
    "A parameter is said in two ways",
    "A parameter is too long",
    "API rate limit exceeded",
    "Calls are placed here, and not stopped",
    "Early data places no call, send it again",
    "A filter has a value that is not accepted",
    "A header is not accepted",
    "A path with a key in it is not passed on",
    "HTTP version is not supported",
    "Headers are too large",
    "Host is missing or not accepted",
    "Host is not served here",
    "Request body is not complete",
    "Request body took too long",
    "Request is not understood",
    "Request length is not clear",
    "Request line is too long",
    "Request took too long to arrive",
    "Invalid User API Key",
    "Method not allowed",
    "Not found",
    "Not offered by this upstream",
    "Path is not accepted",
    "Query is not accepted",
    "Request body is no JSON, or too long to be read",
    "Send the API key once: as Bearer or as key",
    "Service is overloaded, try again",
    "Service is unavailable, try again",
    "The list is changing, try again",
    "This API is switched off for a while, because it will end",
    "This key may not use this path",
    "There are more groups than lookups.entries_max",
    "Too many requests at the same time",
    "Upstream gave no usable answer",
    "Upstream refused this caller's access",
    "Upstream took too long",
];

/// Headers an error may have.
const HEADERS: &[&str] = &[
    "allow",
    "cache-control",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "x-request-id",
    "x-tieline-error",
];

/// An error answer with this status and slug (`502 upstream_5xx`), in the one shape all errors have,
/// with nothing of the upstream in it.
#[track_caller]
pub fn error(answer: &Answer, verdict: &str, what: &str) {
    shape(answer, verdict, what);
    let text = answer.json()["error"].as_str().unwrap_or_default().to_owned();
    let is_ours = TEXTS.contains(&text.as_str()) || text.starts_with("The list has more than ");
    assert!(is_ours, "{what}: a text that is none of ours, {} bytes", text.len());
}

/// The same of an answer as it was heard on a connection that it ends.
#[track_caller]
pub fn refusal(heard: &str, verdict: &str, what: &str) {
    let mut answer = Answer::heard(heard);
    assert_eq!(answer.header("connection"), "close", "{what}: {heard}");
    answer.headers.remove("connection");
    error(&answer, verdict, what);
}

/// The same, where the text is a setting.
#[track_caller]
pub fn shape(answer: &Answer, verdict: &str, what: &str) {
    assert_eq!(answer.verdict(), verdict, "{what}");
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8", "{what}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert_eq!(answer.header("x-request-id").len(), 16, "{what}");
    let json = answer.json();
    let members = json.as_object().map_or(0, serde_json::Map::len);
    assert!(members == 1 && json["error"].is_string(), "{what}: not {{\"error\": string}}");
    for name in answer.headers.keys() {
        assert!(HEADERS.contains(&name.as_str()), "{what}: header {name}");
    }
    let has_wait = answer.header("retry-after").parse::<u64>().is_ok_and(|wait| wait >= 1);
    let wants_wait = matches!(answer.status.as_u16(), 429 | 503);
    assert_eq!(has_wait, wants_wait, "{what}: retry-after");
}

/// A whole list of exactly these rows, in this order.
#[track_caller]
pub fn rows(answer: &Answer, ids: &[u64], what: &str) {
    assert_eq!(answer.verdict(), "200 ", "{what}");
    let got = answer.ids();
    let same = got.iter().zip(ids).take_while(|(a, b)| a == b).count();
    let lengths = (got.len(), ids.len());
    assert!(got == ids, "{what}: {lengths:?} rows (got, expected), the first {same} are right");
}
