//! The forms of a request that the legacy API took as one: spellings of a path, and parameters in the query, with
//! an index, or in the body. It must never read a path with a meaning of its own, such as an escaped slash.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use serde_json::Value;
use std::time::Duration;

use crate::Body;

const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_IDLE: Duration = Duration::from_secs(10);

/// A body that says it is JSON and is none, or that is too long.
#[derive(Debug)]
pub(crate) struct Refused;

type Pairs = Vec<(String, String)>;

/// The plain spelling: single slashes, none at the end, no `.json`, no escapes of characters that need none.
pub(super) fn path(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let escape = piece.split_at_checked(2);
        let byte = escape.and_then(|(digits, _)| u8::from_str_radix(digits, 16).ok());
        let needs_none = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        match (byte.filter(needs_none), escape) {
            (Some(byte), Some((_, rest))) => {
                plain.push(char::from(byte));
                plain.push_str(rest);
            }
            _ => {
                plain.push('%');
                plain.push_str(piece);
            }
        }
    }
    let parts: Vec<&str> = plain.split('/').filter(|part| !part.is_empty()).collect();
    let bare = parts.join("/");
    format!("/{}", bare.strip_suffix(".json").unwrap_or(&bare))
}

/// The parameters of a request. Those in the body replace those of the query with the same name, up to the
/// first bracket; where a request does something, both stand beside each other.
pub(crate) async fn parameters(
    head: &Parts,
    body: Body,
    has_effect: bool,
) -> Result<Pairs, Refused> {
    let mut query = form(head.uri.query().unwrap_or_default().as_bytes());
    let over = in_body(head, body).await?;
    if has_effect {
        query.extend(over.into_iter().filter(|(name, _)| name != "key"));
        return Ok(query);
    }
    let stem = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
    query.retain(|(name, _)| {
        name == "key" || !over.iter().any(|(other, _)| stem(other) == stem(name))
    });
    let all = query.into_iter().chain(over.into_iter().filter(|(name, _)| name != "key"));
    Ok(all.map(|(name, value)| (without_index(&name).to_owned(), value)).collect())
}

async fn in_body(head: &Parts, body: Body) -> Result<Pairs, Refused> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_coded = head.headers.contains_key(CONTENT_ENCODING);
    let (is_json, is_form) =
        (kind == "application/json", kind == "application/x-www-form-urlencoded");
    if is_coded || !(is_json || is_form) {
        return Ok(Pairs::new());
    }
    let bytes = transport::body::collect(body, BODY_BYTES_MAX, BODY_IDLE).await;
    let bytes = bytes.map_err(|_| Refused)?;
    if is_form || bytes.trim_ascii().is_empty() {
        return Ok(form(&bytes));
    }
    let mut all = Pairs::new();
    if let Value::Object(members) = serde_json::from_slice(&bytes).map_err(|_| Refused)? {
        members.into_iter().for_each(|(name, value)| add(&mut all, name, value));
    }
    Ok(all)
}

/// A member of JSON, with those within it in brackets.
fn add(all: &mut Pairs, name: String, value: Value) {
    match value {
        Value::Object(members) => {
            members.into_iter().for_each(|(key, value)| add(all, format!("{name}[{key}]"), value));
        }
        Value::Array(items) => {
            items.into_iter().for_each(|item| add(all, format!("{name}[]"), item));
        }
        Value::String(text) => all.push((name, text)),
        Value::Null => all.push((name, String::new())),
        Value::Bool(_) | Value::Number(_) => all.push((name, value.to_string())),
    }
}

fn form(bytes: &[u8]) -> Pairs {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// `name` of `name[]` and `name[0]`.
fn without_index(name: &str) -> &str {
    let index = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
    let is_index = |(_, index): &(&str, &str)| index.bytes().all(|byte| byte.is_ascii_digit());
    index.filter(is_index).map_or(name, |(name, _)| name)
}
