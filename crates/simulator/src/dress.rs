//! Faults that concern an answer as a whole, the same on every face of the new API.
//!
//! Only the configured faults may have an effect; without any, an answer stays unchanged.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};

use crate::answer::Answer;
use crate::fault::spoil;
use crate::fault::{Faults, Plan};

const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>\
    <form action=\"/users/sign_in\" method=\"post\"><input name=\"user[email]\"></form></body></html>";

/// The answer that replaces the right one, if a fault asks for it. `refused` makes this face's refusal.
pub(crate) fn instead(faults: &Faults, refused: impl FnOnce(u16) -> Answer) -> Option<Answer> {
    if faults.redirect {
        let location = HeaderValue::from_static("/users/sign_in");
        let answer = Answer::json(302, "").header(LOCATION, location);
        return Some(answer.header(CONTENT_TYPE, HeaderValue::from_static("text/html")));
    }
    if faults.html_login_page {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        return Some(Answer::json(200, LOGIN_PAGE).header(CONTENT_TYPE, html));
    }
    if faults.error_in_200 {
        return Some(refused(200));
    }
    if faults.not_json {
        return Some(Answer::json(200, "users: none of your business"));
    }
    None
}

/// Whether a list of keys has this one. `*` is every key.
pub(crate) fn names(list: &[String], key: &str) -> bool {
    list.iter().any(|other| other == "*" || other == key)
}

/// The status of the refusal of a key: 401 for an unknown or revoked one, 403 for one that may not read users.
pub(crate) fn key_refusal(faults: &Faults, key: Option<&str>) -> Option<u16> {
    match key {
        Some(key) if names(&faults.keys_unauthorized, key) => Some(401),
        Some(key) if names(&faults.keys_forbidden, key) => Some(403),
        Some(_) => None,
        None => Some(401),
    }
}

/// The failure of this request, with its `Retry-After`. `simple` makes this face's error of a status.
pub(crate) fn failure(plan: &Plan, simple: impl Fn(u16) -> Answer) -> Option<Answer> {
    let fail = plan.fail.as_ref()?;
    let after = fail.retry_after.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    Some(match after {
        Some(after) => simple(fail.status).header(RETRY_AFTER, after),
        None => simple(fail.status),
    })
}

/// The text of an error that repeats the caller's credential, if a fault asks for it.
pub(crate) fn told(answer: &Answer, credential: Option<&str>, plan: &Plan) -> Option<String> {
    let is_error = answer.status >= 400 || plan.faults.error_in_200;
    let tells = plan.faults.echo_key_in_error && is_error;
    tells.then(|| format!("refused: Authorization: {}", credential.unwrap_or("(none)")))
}

/// Compresses and cuts an otherwise finished answer, and says whether its tag lies.
pub(crate) fn pack(mut answer: Answer, plan: &Plan) -> Answer {
    if plan.faults.gzip_unasked {
        answer.body = spoil::gzip(&answer.body).into();
        answer = answer.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.cut = plan.truncate;
    answer.tag_lies = plan.faults.tag_lies;
    answer
}
