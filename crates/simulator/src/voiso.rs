//! The v4 face: `/api/v4/users` (scope `users.read`) and, behind switches, `/api/v4/users/teams` and
//! `/api/v4/teams` (scope `users.teams.read`), and `/api/v4/security_access_groups`, and
//! `/api/v4/messaging/canned_messages`, as the vendor's pages describe them.
//!
//! Written only from those pages. It refuses legacy keys, as v4 does.

use crate::Simulator;
use crate::answer::Answer;
use crate::dress;
use crate::fault::Plan;
use crate::fault::spoil;
use crate::people::messages::CannedMessage;
use crate::people::record::User;
use serde::Serialize;

const LIMIT_MAX: u64 = 100;

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
    let is_teams = settings.teams_list && settings.teams_at.has(path);
    let is_messages = path == "/api/v4/messaging/canned_messages";
    let known = is_messages
        || is_users
        || is_teams
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
    let plan = simulator.plan(path, is_users.then_some(offset));
    if plan.faults.stall {
        return None;
    }
    let refused = refusal(simulator, credential, is_teams, &plan);
    let answer = refused.unwrap_or_else(|| match paging {
        Err(answer) => answer,
        Ok(paging) if is_users => users(simulator, &parameters, paging, &plan),
        Ok(paging) if is_messages => {
            simulator.with_teams(|all| list("canned_messages", &CannedMessage::all(all), paging))
        }
        Ok(paging) if is_teams => simulator.with_teams(|all| list("teams", all, paging)),
        Ok(paging) => simulator.with_groups(|all| list("security_access_groups", all, paging)),
    });
    let told = dress::told(&answer, credential, &plan);
    let answer = match told {
        Some(text) => Answer { body: Answer::error(answer.status, &text).body, ..answer },
        None => answer,
    };
    Some(dress::pack(answer, &plan))
}

/// Refusals that do not depend on the list.
fn refusal(
    simulator: &Simulator,
    credential: Option<&str>,
    is_teams: bool,
    plan: &Plan,
) -> Option<Answer> {
    let known = |key: &&str| simulator.settings().v4_keys.iter().any(|known| known == key);
    let key = credential.and_then(bearer).filter(known);
    let faults = simulator.faults();
    let lacks_scope = |key: &str| is_teams && dress::names(&faults.keys_without_teams, key);
    dress::key_refusal(&faults, key)
        .or_else(|| key.is_some_and(lacks_scope).then_some(403))
        .map(simple)
        .or_else(|| dress::failure(plan, simple))
        .or_else(|| dress::instead(&plan.faults, |status| Answer::error(status, "Unauthorized")))
}

/// The key in `Bearer <key>`.
pub(crate) fn bearer(credential: &str) -> Option<&str> {
    let (scheme, key) = credential.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

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

/// The value of a parameter; if there are several, the last one counts, as in Rails.
pub(crate) fn last<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn users(
    simulator: &Simulator,
    parameters: &[(String, String)],
    paging: Paging,
    plan: &Plan,
) -> Answer {
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
    let limit = paging.limit.min(plan.faults.page_cap.unwrap_or(u64::MAX));
    let mut start = 0;
    let (total, rows) = simulator.page(filtered.then_some(&passes), |total| {
        let window = plan.window(paging.offset, limit, total);
        start = window.start as u64;
        window
    });
    Answer::json(200, spoil::users_page(&VoisoPage, &rows, start, total as u64, plan))
}

struct VoisoPage;

impl spoil::UsersPage for VoisoPage {
    const ID: &'static str = "id";

    fn id(&self, user: &User) -> String {
        user.id.to_string()
    }

    fn write_row(&self, body: &mut Vec<u8>, user: &User) {
        spoil::write(body, user);
    }

    fn foot(&self, _: u64, total: Option<&str>) -> String {
        match total {
            Some(total) => format!("\"metadata\":{{\"total\":{total}}}"),
            None => "\"metadata\":{}".to_owned(),
        }
    }
}

fn list<T: Serialize>(name: &str, all: &[T], paging: Paging) -> Answer {
    let skip = usize::try_from(paging.offset).unwrap_or(usize::MAX);
    let page: Vec<&T> = all.iter().skip(skip).take(paging.limit as usize).collect();
    match serde_json::to_string(&page) {
        Ok(page) => {
            let total = all.len();
            Answer::json(200, format!("{{\"{name}\":{page},\"metadata\":{{\"total\":{total}}}}}"))
        }
        Err(_) => simple(500),
    }
}
