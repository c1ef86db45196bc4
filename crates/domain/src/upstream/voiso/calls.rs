//! `POST /api/v4/voice/calls`: what is sent, and what the answer says. Never a `caller_id`: whose number is shown
//! is the contact center's to decide.
//!
//! Source: the vendor's "Start call" page. It calls `user_id` an integer and shows it as text, which is sent. The
//! answer is known through a public client alone, which reads `call.id` and then `id`, and of a 422 `errors.user`
//! and `errors.phone_number`.

use serde_json::{Value, json};

use crate::call::{CallRequest, WantedCall};
use crate::upstream::{CallAnswer, CallRefusal};

pub(super) const SCOPE: &str = "voice.call.manage";

/// No id is longer.
const ID_BYTES_MAX: usize = 128;

pub(super) fn request(own_id: &str, wanted: &WantedCall) -> CallRequest {
    let mut body = json!({ "user_id": own_id, "phone_number": wanted.number });
    let mut source = serde_json::Map::new();
    for (name, text) in [("account_id", &wanted.account_id), ("system", &wanted.system)] {
        if let Some(text) = text {
            source.insert(name.to_owned(), Value::from(text.as_str()));
        }
    }
    if !source.is_empty() {
        body["source"] = Value::Object(source);
    }
    CallRequest { target: "/api/v4/voice/calls", body: body.to_string() }
}

/// An answer with an id was placed. One with an error and no id is a refusal in the clothes of a success.
pub(super) fn answer(body: &[u8]) -> CallAnswer {
    if body.trim_ascii().is_empty() {
        return CallAnswer::Placed(None);
    }
    let Ok(answer @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else {
        return CallAnswer::Unclear;
    };
    let id = match (&answer["call"]["id"], &answer["id"]) {
        (Value::Null, id) | (id, _) => id,
    };
    match id {
        Value::Null => refused(&answer).map_or(CallAnswer::Placed(None), CallAnswer::Refused),
        id => CallAnswer::Placed(fit_id(id)),
    }
}

/// Why an answer without an id is a refusal; `None` where it is none.
fn refused(answer: &Value) -> Option<CallRefusal> {
    let says = |member: &Value| match member {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    };
    let (error, errors) = (&answer["error"], &answer["errors"]);
    if !says(error) && !says(errors) {
        return None;
    }
    let words = [error, errors].into_iter().filter_map(Value::as_str);
    let general = words.filter_map(super::refusal).next();
    Some(general.map_or_else(|| of_errors(errors), CallRefusal::General))
}

fn fit_id(id: &Value) -> Option<String> {
    let id = match id {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_fit =
        !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic());
    is_fit.then_some(id)
}

pub(super) fn refusal(body: &[u8]) -> CallRefusal {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    of_errors(&answer["errors"])
}

fn of_errors(errors: &Value) -> CallRefusal {
    match errors {
        Value::Object(errors) if errors.contains_key("user") => CallRefusal::Agent,
        Value::Object(errors) if errors.contains_key("phone_number") => CallRefusal::Number,
        _ => CallRefusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Refusal;

    #[test]
    fn an_id_is_found_where_the_public_client_looks_for_it() {
        for (body, found) in [
            (r#"{"call":{"id":"0b97ce11"}}"#, Some("0b97ce11")),
            (r#"{"id":"x","call":{}}"#, Some("x")),
            (r#"{"id":77}"#, Some("77")),
            (r#"{"call":{"id":"a"},"id":"b"}"#, Some("a")),
            (r#"{"id":"a","errors":{"base":["late"]}}"#, Some("a")),
            (r#"{"id":""}"#, None),
            (r#"{"id":"a b","error":"x"}"#, None),
            (r#"{"id":null,"error":null,"errors":[]}"#, None),
            (" \n", None),
            ("", None),
        ] {
            let placed = CallAnswer::Placed(found.map(str::to_owned));
            assert_eq!(answer(body.as_bytes()), placed, "{body}");
        }
    }

    #[test]
    fn an_error_without_an_id_is_a_refusal_and_what_is_no_object_is_unclear() {
        let general = |refusal| CallRefusal::General(refusal);
        for (body, why) in [
            (r#"{"error":"Unauthorized"}"#, general(Refusal::Unauthorized)),
            (r#"{"errors":"Forbidden"}"#, general(Refusal::Forbidden)),
            (r#"{"error":"Too many requests"}"#, general(Refusal::RateLimited)),
            (r#"{"errors":{"user":["is offline"]},"call":{"id":null}}"#, CallRefusal::Agent),
            (r#"{"error":"no","errors":{"phone_number":["x"]}}"#, CallRefusal::Number),
            (r#"{"error":"Agent logged off"}"#, CallRefusal::Other),
            (r#"{"errors":["x"]}"#, CallRefusal::Other),
        ] {
            assert_eq!(answer(body.as_bytes()), CallAnswer::Refused(why), "{body}");
        }
        for body in [r#"["x"]"#, "7", "null", "\"x\"", "{\"id\":\"x", "<html>", "no JSON"] {
            assert_eq!(answer(body.as_bytes()), CallAnswer::Unclear, "{body}");
        }
    }

    #[test]
    fn a_refusal_names_the_agent_or_the_number() {
        for (body, says) in [
            (r#"{"errors":{"user":["is offline"]}}"#, CallRefusal::Agent),
            (r#"{"errors":{"phone_number":["is invalid"]}}"#, CallRefusal::Number),
            (r#"{"errors":{"base":["x"]}}"#, CallRefusal::Other),
            (r#"{"errors":"user"}"#, CallRefusal::Other),
            ("no JSON", CallRefusal::Other),
        ] {
            assert_eq!(refusal(body.as_bytes()), says, "{body}");
        }
    }
}
