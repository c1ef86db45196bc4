//! Calls that are placed: `POST /api/v4/voice/calls`, and the legacy `click2call`. Both only count them.
//!
//! Written from the vendor's pages of both; the texts of a 422 from a public client.

use serde_json::Value;

use crate::Simulator;
use crate::answer::Answer;
use crate::legacy::is_deleted;
use crate::people::record::User;
use crate::voiso;

pub(crate) const PATH: &str = "/api/v4/voice/calls";

/// The parameters of a legacy call, by the vendor's page.
const PARAMETERS: [&str; 5] = ["agent", "number", "account_id", "crm", "get_call_id"];

/// Answers a call of the v4 face.
pub(crate) fn v4(simulator: &Simulator, credential: Option<&str>, body: &[u8]) -> Answer {
    let key = credential.and_then(voiso::bearer);
    let known =
        key.is_some_and(|key| simulator.settings().v4_keys.iter().any(|known| known == key));
    if !known {
        return Answer::error(401, "Unauthorized");
    }
    let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
    let (user, number) = (&wanted["user_id"], wanted["phone_number"].as_str());
    let is_it = |one: &User| user.as_str() == Some(&one.id.to_string()) || *user == one.id;
    let found = simulator.records().into_iter().find(|one| is_it(one));
    match found {
        None => Answer::error(404, "Not found"),
        Some(one) if !is_free(&one) => refused("user", "is offline"),
        Some(_) if !number.is_some_and(is_number) => refused("phone_number", "is invalid"),
        Some(_) => Answer::json(201, format!("{{\"call\":{{\"id\":\"{}\"}}}}", placed(simulator))),
    }
}

/// Answers a legacy call whose key is known. `given` is what query and body say, neither before the other.
pub(crate) fn legacy(simulator: &Simulator, given: &[(String, String)]) -> Answer {
    let plain = |(name, value): &(String, String)| {
        let bare = value.trim();
        let said = match name.as_str() {
            "number" => bare.strip_prefix('+').unwrap_or(bare).to_owned(),
            "get_call_id" if !bare.is_empty() => is_yes(bare).to_string(),
            _ => bare.to_owned(),
        };
        (name.clone(), said)
    };
    let query: Vec<_> = given.iter().map(plain).filter(|(_, value)| !value.is_empty()).collect();
    let has_two = |(name, value): &(String, String)| {
        query.iter().any(|(other, another)| other == name && another != value)
    };
    if query.iter().filter(|(name, _)| PARAMETERS.contains(&name.as_str())).any(has_two) {
        return Answer::error(400, "Parameters contradict each other");
    }
    let query = query.as_slice();
    let agent = voiso::last(query, "agent").unwrap_or_default();
    let is_it = |one: &User| one.extension.as_deref() == Some(agent) || one.email == agent;
    let all = simulator.records();
    let mut found = all.iter().filter(|one| !is_deleted(one) && is_it(one));
    let (Some(one), None) = (found.next(), found.next()) else {
        return Answer::json(400, "{\"errors\":\"User not found\"}");
    };
    if !is_free(one) {
        return Answer::error(400, "Agent logged off");
    }
    let number = voiso::last(query, "number");
    if !number.is_some_and(is_number) {
        return Answer::error(400, "Invalid number");
    }
    let id = placed(simulator);
    match voiso::last(query, "get_call_id") {
        Some("true") => Answer::json(200, format!("{{\"call_id\":\"{id}\"}}")),
        _ => Answer::json(204, ""),
    }
}

fn is_yes(word: &str) -> bool {
    word.eq_ignore_ascii_case("true") || word == "1"
}

fn is_free(user: &User) -> bool {
    user.status.as_deref() == Some("available")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn refused(field: &str, why: &str) -> Answer {
    Answer::json(422, format!("{{\"errors\":{{\"{field}\":[\"{why}\"]}}}}"))
}

/// Counts a call; its id.
fn placed(simulator: &Simulator) -> String {
    let number = simulator.counters().with(|stats| {
        stats.calls += 1;
        stats.calls
    });
    format!("00000000-0000-4000-8000-{number:012}")
}
