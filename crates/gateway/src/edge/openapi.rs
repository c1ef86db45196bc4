//! The description of the legacy API, in OpenAPI 3.1, as this gateway answers it: made of the
//! endpoints, their schemas and the quirks in force. Nothing here knows a legacy field.

mod call;
mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::legacy::{ENDPOINTS, Endpoint};
use domain::quirks::{InvalidKey, Quirks};
use domain::slice::Slice;
use serde_json::{Map, Value, json};

/// Where it is had.
pub(crate) const PATH: &str = "/openapi.json";

/// What the access line and the metrics call it.
pub(crate) const NAME: &str = "openapi";

/// The document, as bytes.
pub(crate) fn document(quirks: &BTreeMap<&'static str, Arc<Quirks>>) -> Bytes {
    let quirks_of = |endpoint: &Endpoint| {
        let quirks = quirks.get(endpoint.name()).map(|quirks| (**quirks).clone());
        endpoint.settled(quirks.unwrap_or_default())
    };
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for endpoint in ENDPOINTS {
        let quirks = quirks_of(endpoint);
        for (place, path) in endpoint.paths().iter().enumerate() {
            paths.insert((*path).to_owned(), path_item(endpoint, &quirks, place));
        }
        let schema = endpoint.schema(&quirks);
        let record = format!("{}_record", endpoint.name());
        schemas.insert(endpoint.name().to_owned(), schema::list(&schema, &record));
        schemas.insert(record, schema::record(&schema.fields));
    }
    schemas.insert("error".to_owned(), error_schema());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Legacy user-management API, answered by Tieline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Paths and records of the legacy API, under the settings of this gateway. \
                Send the key once, as Bearer or as `key`; both together are an error. Parameters that \
                are empty or unknown are ignored.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "key": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The legacy key." },
                "key": {
                    "type": "apiKey", "in": "query", "name": "key",
                    "description": "The legacy key.",
                },
            },
        },
    });
    Bytes::from(document.to_string())
}

fn path_item(endpoint: &Endpoint, quirks: &Quirks, place: usize) -> Value {
    if endpoint.places_calls() {
        return call::path_item(endpoint, quirks);
    }
    let operation = |method: &str| {
        let mut responses = Map::new();
        responses.insert("200".to_owned(), found(endpoint, quirks, method == "get"));
        responses.insert("304".to_owned(), not_modified(quirks));
        for (status, says) in errors(quirks) {
            responses.insert(status.to_string(), error(quirks, status, &says, method == "get"));
        }
        let mut id = endpoint.name().to_owned();
        if place > 0 {
            id.push_str(&format!("_{}", place + 1));
        }
        if method != "get" {
            id.push_str(&format!("_{method}"));
        }
        let mut operation = json!({
            "operationId": id,
            "summary": format!("The whole list `{}`.", endpoint.name()),
            "deprecated": quirks.deprecation.is_some() || quirks.sunset.is_some(),
            "parameters": parameters(endpoint),
            "responses": responses,
        });
        if has_key_in_path(endpoint) {
            operation["security"] = json!([]);
        }
        operation
    };
    json!({ "get": operation("get"), "head": operation("head") })
}

fn key_in_path() -> Value {
    json!({
        "name": "key", "in": "path", "required": true,
        "description": "The legacy key, and no other one beside it.",
        "schema": { "type": "string", "minLength": 1 },
    })
}

fn has_key_in_path(endpoint: &Endpoint) -> bool {
    endpoint.paths().iter().any(|path| path.contains("{key}"))
}

/// Each filter in both spellings, and the tag that a client may have.
fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let spelled = endpoint
        .filters()
        .flat_map(|name| [(name.to_owned(), None), (format!("filter[{name}]"), Some(name))]);
    let mut parameters: Vec<Value> = spelled
        .map(|(name, same_as)| {
            let says = match same_as {
                Some(plain) => format!("The same as `{plain}`."),
                None => "Only records that have this value; ignored where it is empty.".to_owned(),
            };
            json!({
                "name": name, "in": "query", "required": false, "description": says,
                "schema": { "type": "string" },
            })
        })
        .collect();
    if endpoint.has_pages() {
        parameters.extend(Slice::PARAMETERS.iter().map(|(name, says)| {
            json!({
                "name": name, "in": "query", "required": false, "description": says,
                "schema": { "type": "string" },
            })
        }));
    }
    if has_key_in_path(endpoint) {
        parameters.push(key_in_path());
    }
    parameters.push(json!({
        "name": "If-None-Match", "in": "header", "required": false,
        "description": "Tags of answers that the client has; if one of them is still right, 304.",
        "schema": { "type": "string" },
    }));
    parameters
}

fn found(endpoint: &Endpoint, quirks: &Quirks, with_body: bool) -> Value {
    let names = [
        "x-request-id",
        "etag",
        "cache-control",
        "content-encoding",
        "vary",
        "x-tieline-cache",
        "age",
    ];
    let mut response = json!({
        "description": "The whole list. Where no record fits, it is empty.",
        "headers": header_refs(quirks, &names),
    });
    if with_body {
        response["content"] = content(endpoint.name());
    }
    response
}

fn not_modified(quirks: &Quirks) -> Value {
    let names = ["x-request-id", "etag", "cache-control", "vary", "x-tieline-cache", "age"];
    json!({
        "description": "The client has this very answer.",
        "headers": header_refs(quirks, &names),
    })
}

/// Status and meaning of every error an endpoint has.
fn errors(quirks: &Quirks) -> BTreeMap<u16, String> {
    let mut errors: BTreeMap<u16, String> = [
        (400, "More than one key, or a filter with a value that the upstream does not take."),
        (405, "Only GET and HEAD are answered."),
        (413, "The list is too long."),
        (429, "The upstream limits the rate, or the gateway itself does."),
        (500, "A bug in the gateway."),
        (501, "The upstream has nothing of the kind."),
        (502, "The upstream gave no usable answer, or refused this caller."),
        (503, "The upstream or the gateway is unavailable, or the list is changing."),
        (504, "The upstream took too long."),
    ]
    .map(|(status, says)| (status, says.to_owned()))
    .into();
    let no_key = "The key is missing or unknown.";
    errors
        .entry(invalid_key(quirks).status)
        .and_modify(|says| *says = format!("{no_key} {says}"))
        .or_insert_with(|| no_key.to_owned());
    errors
}

fn invalid_key(quirks: &Quirks) -> InvalidKey {
    quirks.invalid_key.clone().unwrap_or_default()
}

fn error(quirks: &Quirks, status: u16, says: &str, with_body: bool) -> Value {
    let mut names = vec!["x-request-id", "x-tieline-error", "cache-control"];
    match status {
        405 => names.push("allow"),
        429 | 503 => names.push("retry-after"),
        _ => {}
    }
    let mut response = json!({ "description": says, "headers": header_refs(quirks, &names) });
    if with_body {
        response["content"] = content("error");
        let invalid_key = invalid_key(quirks);
        if status == invalid_key.status {
            response["content"]["application/json"]["example"] =
                json!({ "error": invalid_key.text });
        }
    }
    response
}

fn content(schema: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    json!({ "application/json": { "schema": { "$ref": reference } } })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong, in words; `x-tieline-error` says it in one.",
        "properties": {
            "error": { "type": "string", "minLength": 1 },
            "errors": { "const": "User not found" },
        },
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
    })
}

/// References to headers, those of an endpoint's end included.
fn header_refs(quirks: &Quirks, names: &[&str]) -> Map<String, Value> {
    let end = [
        ("deprecation", quirks.deprecation.is_some()),
        ("sunset", quirks.sunset.is_some()),
        ("link", quirks.link.is_some()),
    ];
    let end = end.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name);
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
    };
    names.iter().chain(end).map(reference).collect()
}

fn headers() -> Value {
    let header = |required: bool, says: &str, schema: Value| json!({ "description": says, "required": required, "schema": schema });
    let text = || json!({ "type": "string" });
    let count = |least: u64| json!({ "type": "integer", "minimum": least });
    json!({
        "x-request-id": header(true, "The id of this request in the gateway's log.", json!({
            "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$",
        })),
        "x-tieline-error": header(true, "What went wrong, in one word.", json!({
            "type": "string", "pattern": "^[a-z0-9_]+$",
        })),
        "retry-after": header(true, "Seconds to wait before another request.", count(1)),
        "allow": header(true, "The methods that are answered.", text()),
        "etag": header(false, "Names just these bytes.", json!({
            "type": "string", "pattern": "^\"[0-9a-f]{32}(-gzip|-br|-zstd)?\"$",
        })),
        "cache-control": header(true, "Who may keep the answer.", text()),
        "content-encoding": header(false, "How the bytes are compressed.", text()),
        "vary": header(false, "What else of a request the bytes depend on.", text()),
        "age": header(false, "How old a kept answer is, in seconds.", count(0)),
        "x-tieline-cache": header(
            false,
            "Where the answer came from, where it was not read for this request.",
            json!({ "type": "string", "enum": ["shared", "replica", "hit", "stale"] }),
        ),
        "deprecation": header(true, "Since when the endpoint is deprecated (RFC 9745).", json!({
            "type": "string", "pattern": "^@[0-9]+$",
        })),
        "sunset": header(true, "From when on the endpoint may be gone (RFC 8594).", text()),
        "link": header(true, "A page about that.", text()),
    })
}
