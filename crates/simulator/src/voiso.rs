//! The v4 face: `/api/v4/users` and, behind switches, `/api/v4/teams` and
//! `/api/v4/security_access_groups`, as the vendor's pages describe them.
//!
//! Written from those pages and from nothing else. It refuses legacy keys, as v4 does.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};

use crate::Simulator;
use crate::answer::Answer;
use crate::fault::{Fail, Plan};
use crate::record::{Named, User};
use crate::spoil;

const LIMIT_MAX: u64 = 100;
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>\
    <form action=\"/users/sign_in\" method=\"post\"><input name=\"user[email]\"></form></body></html>";

/// `limit` and `offset`.
#[derive(Clone, Copy, Debug)]
struct Paging {
    limit: u64,
    offset: u64,
}

/// Answers a GET for a path under `/api/v4/`. `credential` is the whole `Authorization` value.
/// `None` means that no answer ever comes.
pub(crate) fn answer(
    simulator: &Simulator,
    path: &str,
    query: &str,
    credential: Option<&str>,
) -> Option<Answer> {
    let settings = simulator.settings();
    let is_users = path == "/api/v4/users";
    let known = is_users
        || (path == "/api/v4/teams" && settings.teams_list)
        || (path == "/api/v4/security_access_groups" && settings.groups_list);
    if !known {
        return Some(Answer::not_found());
    }
    let parameters: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let paging = paging(&parameters);
    if is_users {
        simulator.counters().users_page(query);
    }
    let offset = paging.as_ref().map_or(0, |paging| paging.offset);
    let plan = simulator.plan(is_users.then_some(offset));
    if plan.faults.stall {
        return None;
    }
    let answer = refusal(simulator, credential, &plan).unwrap_or_else(|| match paging {
        Err(answer) => answer,
        Ok(paging) if is_users => users(simulator, &parameters, paging, &plan),
        Ok(paging) if path.ends_with("/teams") => {
            simulator.with_teams(|all| list("teams", all, paging))
        }
        Ok(paging) => simulator.with_groups(|all| list("security_access_groups", all, paging)),
    });
    Some(dress(answer, credential, &plan))
}

/// Everything that is decided before the list is looked at.
fn refusal(simulator: &Simulator, credential: Option<&str>, plan: &Plan) -> Option<Answer> {
    let key = credential.and_then(bearer);
    let names = |list: &[String], key: &str| list.iter().any(|other| other == "*" || other == key);
    let faults = simulator.faults();
    match key {
        Some(key) if simulator.settings().v4_keys.iter().any(|known| known == key) => {
            if names(&faults.keys_unauthorized, key) {
                return Some(simple(401));
            }
            if names(&faults.keys_forbidden, key) {
                return Some(simple(403));
            }
        }
        _ => return Some(simple(401)),
    }
    if let Some(Fail { status, retry_after, .. }) = &plan.fail {
        let answer = simple(*status);
        let after = retry_after.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        return Some(match after {
            Some(after) => answer.header(RETRY_AFTER, after),
            None => answer,
        });
    }
    if plan.faults.redirect {
        let location = HeaderValue::from_static("/users/sign_in");
        let answer = Answer::json(302, "").header(LOCATION, location);
        return Some(answer.header(CONTENT_TYPE, HeaderValue::from_static("text/html")));
    }
    if plan.faults.html_login_page {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        return Some(Answer::json(200, LOGIN_PAGE).header(CONTENT_TYPE, html));
    }
    if plan.faults.error_in_200 {
        return Some(Answer::error(200, "Unauthorized"));
    }
    if plan.faults.not_json {
        return Some(Answer::json(200, "users: none of your business"));
    }
    None
}

/// The key in `Bearer <key>`.
pub(crate) fn bearer(credential: &str) -> Option<&str> {
    let (scheme, key) = credential.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The documented error body of a status.
fn simple(status: u16) -> Answer {
    let text = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not found",
        422 => return Answer::json(422, "{\"errors\":{\"base\":[\"is invalid\"]}}"),
        429 => "Too many requests",
        503 => "Service Unavailable",
        _ => "Internal server error",
    };
    Answer::error(status, text)
}

/// The faults that concern the answer as a whole.
fn dress(mut answer: Answer, credential: Option<&str>, plan: &Plan) -> Answer {
    let is_error = answer.status >= 400 || plan.faults.error_in_200;
    if plan.faults.echo_key_in_error && is_error {
        let text = format!("refused: Authorization: {}", credential.unwrap_or("(none)"));
        answer.body = Answer::error(answer.status, &text).body;
    }
    if plan.faults.gzip_unasked {
        answer.body = spoil::gzip(&answer.body).into();
        answer = answer.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.cut = plan.truncate;
    answer
}

fn paging(parameters: &[(String, String)]) -> Result<Paging, Answer> {
    let read = |name: &str, default: u64, most: u64| match last(parameters, name) {
        None => Ok(default),
        Some(text) => match text.parse::<u64>() {
            Err(_) => Err(invalid(name, "must be an integer")),
            Ok(0) if name == "limit" => Err(invalid(name, "must be greater than 0")),
            Ok(number) if number > most => Err(invalid(name, "is too big")),
            Ok(number) => Ok(number),
        },
    };
    Ok(Paging { limit: read("limit", 100, LIMIT_MAX)?, offset: read("offset", 0, u64::MAX)? })
}

fn invalid(field: &str, why: &str) -> Answer {
    Answer::json(422, format!("{{\"errors\":{{\"{field}\":[\"{why}\"]}}}}"))
}

/// The value of a parameter; of several the last one counts, as in Rails.
pub(crate) fn last<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn users(
    simulator: &Simulator,
    parameters: &[(String, String)],
    paging: Paging,
    plan: &Plan,
) -> Answer {
    let faults = &plan.faults;
    let wants = |name: &str, value: Option<&str>| {
        last(parameters, name).is_none_or(|wanted| value == Some(wanted))
    };
    let passes = |user: &User| {
        let group = user.security_access_group.as_ref().map(|group| group.id.to_string());
        wants("name", Some(&user.name))
            && wants("email", Some(&user.email))
            && wants("sip_account", user.sip_account.as_deref())
            && wants("security_access_group_id", group.as_deref())
            && wants("extension", user.extension.as_deref())
            && wants("caller_id", user.caller_id.as_deref())
            && wants("timezone", user.timezone.as_deref())
    };
    let filters = [
        "name",
        "email",
        "sip_account",
        "security_access_group_id",
        "extension",
        "caller_id",
        "timezone",
    ];
    let filtered = filters.iter().any(|name| last(parameters, name).is_some());
    let limit = paging.limit.min(faults.page_cap.unwrap_or(u64::MAX));
    let mut start = 0;
    let (total, rows) = simulator.page(filtered.then_some(&passes), |total| {
        let total = total as u64;
        let mut offset = if faults.ignore_offset { 0 } else { paging.offset.min(total) };
        if faults.repeat_last_page_forever {
            offset = offset.min(total.saturating_sub(limit));
        }
        let mut count = limit.saturating_add(faults.page_extra_rows).min(total - offset);
        if plan.short {
            count /= 2;
        }
        if plan.empty {
            count = 0;
        }
        start = offset;
        offset as usize..(offset + count) as usize
    });
    Answer::json(200, spoil::users_page(&rows, start, total as u64, plan))
}

fn list(name: &str, all: &[Named], paging: Paging) -> Answer {
    let skip = usize::try_from(paging.offset).unwrap_or(usize::MAX);
    let page: Vec<&Named> = all.iter().skip(skip).take(paging.limit as usize).collect();
    match serde_json::to_string(&page) {
        Ok(page) => {
            let total = all.len();
            Answer::json(200, format!("{{\"{name}\":{page},\"metadata\":{{\"total\":{total}}}}}"))
        }
        Err(_) => simple(500),
    }
}
