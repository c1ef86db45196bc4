//! The path that places calls.

use domain::legacy::Endpoint;
use domain::quirks::Quirks;
use serde_json::{Map, Value, json};

use super::{content, error, errors, header_refs};

/// What a client may say, in the query, in a form or in JSON.
const PARAMETERS: [(&str, &str); 5] = [
    ("agent", "The extension or the sign-in e-mail of the one live user who is to call."),
    ("number", "The number to call: digits, with or without a plus."),
    ("account_id", "The client's own id of the one who is called."),
    ("crm", "The name of the client's system."),
    ("get_call_id", "`true`: the answer has the id of the call."),
];

pub(super) fn path_item(endpoint: &Endpoint, quirks: &Quirks) -> Value {
    let operation = |method: &str| {
        let mut responses = Map::new();
        let headers = header_refs(quirks, &["x-request-id", "cache-control"]);
        responses.insert(
            "200".to_owned(),
            json!({
                "description": "The call was placed, and this is its id.",
                "headers": headers, "content": content(endpoint.name()),
            }),
        );
        responses.insert(
            "204".to_owned(),
            json!({ "description": "The call was placed.", "headers": headers }),
        );
        for (status, says) in of_call(quirks) {
            responses.insert(status.to_string(), error(quirks, status, &says, true));
        }
        let says = |(name, says): &(&str, &str)| {
            json!({
                "name": name, "in": "query", "required": false, "description": says,
                "schema": { "type": "string" },
            })
        };
        let mut parameters: Vec<Value> = PARAMETERS.iter().map(says).collect();
        parameters.push(super::key_in_path());
        let mut operation = json!({
            "operationId": format!("{}_{method}", endpoint.name()),
            "summary": "Places a call, at most once.",
            "deprecated": quirks.deprecation.is_some() || quirks.sunset.is_some(),
            "parameters": parameters,
            "responses": responses,
            "security": [],
        });
        if method == "post" {
            operation["requestBody"] = body();
        }
        operation
    };
    json!({ "get": operation("get"), "post": operation("post") })
}

fn of_call(quirks: &Quirks) -> Vec<(u16, String)> {
    let mut all = errors(quirks);
    all.remove(&413);
    let words = [
        (
            400,
            "A parameter is missing, or said in two ways; not one user is the agent; or the agent cannot take a call.",
        ),
        (
            403,
            "The key is missing or unknown, or may place no calls; or a browser only prefetches.",
        ),
        (405, "Only GET and POST are answered."),
        (408, "The body of the request took too long."),
        (
            425,
            "The request came as early data of TLS, which may come again. It is to be sent once more.",
        ),
        (
            504,
            "The upstream took too long. With `call_unknown` the call may have been placed: do not repeat it.",
        ),
    ];
    all.extend(words.map(|(status, says)| (status, says.to_owned())));
    all.into_iter().collect()
}

fn body() -> Value {
    let property = |(name, says): &(&str, &str)| {
        ((*name).to_owned(), json!({ "type": "string", "description": says }))
    };
    let properties: Map<String, Value> = PARAMETERS.iter().map(property).collect();
    let schema = json!({ "type": "object", "properties": properties });
    json!({
        "required": false,
        "description": "The same parameters. Where query and body say one, they must agree.",
        "content": {
            "application/json": { "schema": schema },
            "application/x-www-form-urlencoded": { "schema": schema },
        },
    })
}
