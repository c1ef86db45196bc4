//! `POST /api/v4/voice/calls`: what is sent, and what the answer says. Never a `caller_id`: whose number is shown
//! is the contact center's to decide.
//!
//! Source: the vendor's "Start call" page. It calls `user_id` an integer and shows it as text, which is sent. The
//! answer is known through a public client alone, which reads `call.id` and then `id`, and of a 422 `errors.user`
//! and `errors.phone_number`.

use serde_json::{Value, json};

use crate::call::{CallRefusal, CallRequest, WantedCall};

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

pub(super) fn id(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let id = match (&answer["call"]["id"], &answer["id"]) {
        (Value::Null, id) | (id, _) => id,
    };
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
    match &answer["errors"] {
        Value::Object(errors) if errors.contains_key("user") => CallRefusal::Agent,
        Value::Object(errors) if errors.contains_key("phone_number") => CallRefusal::Number,
        _ => CallRefusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_where_the_public_client_looks_for_it() {
        for (body, found) in [
            (r#"{"call":{"id":"0b97ce11"}}"#, Some("0b97ce11")),
            (r#"{"id":"x","call":{}}"#, Some("x")),
            (r#"{"id":77}"#, Some("77")),
            (r#"{"call":{"id":"a"},"id":"b"}"#, Some("a")),
            (r#"{"id":""}"#, None),
            (r#"{"id":"a b"}"#, None),
            (r#"{"id":null}"#, None),
            (r#"["x"]"#, None),
            ("", None),
            ("{\"id\":\"x", None),
        ] {
            assert_eq!(id(body.as_bytes()).as_deref(), found, "{body}");
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
