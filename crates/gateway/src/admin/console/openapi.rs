//! The description of the console's JSON, in OpenAPI 3.1. Must never describe what is not answered: a test compares
//! each path with its answer.

use domain::legacy::Endpoint;
use serde_json::{Map, Value, json};

use super::attempt;
use crate::state::VERSION;

/// A member of an answer: its name, its type, what it means.
type Member = (&'static str, &'static str, &'static str);

/// A path: what it answers, which parameters it takes, and the members of its answer.
type Path = (&'static str, &'static str, &'static [&'static str], &'static [Member]);

const PATHS: &[Path] = &[
    (
        "overview",
        "The state of the process, and what needs attention.",
        &[],
        &[
            ("version", "string", "Of Tieline."),
            ("name", "string?", "Of `[commons]`; null without it."),
            ("state", "string", "`ready` or `draining`."),
            ("overload_level", "integer", "0 enough memory, 1 tight, 2 nothing new."),
            ("started", "number", "Seconds since 1970."),
            ("now", "number", "Seconds since 1970."),
            (
                "configuration",
                "object",
                "`file`, `epoch`, `since` and `fingerprint` of the one in force.",
            ),
            ("refused", "object?", "`at` and `why` of the last configuration, if it was refused."),
            ("certificate_ends", "integer?", "Seconds since 1970; null without TLS."),
            ("resident_bytes", "integer?", "Memory in use."),
            ("connections", "integer", "Of clients, now."),
            ("answers", "integer", "Since the start."),
            ("callers", "integer", "How many there are."),
            ("upstreams", "integer", "How many have callers."),
            ("passthrough", "boolean", "Whether requests that are not translated pass through."),
            ("shadow", "boolean", "Whether answers are compared with the legacy API."),
            (
                "attention",
                "array",
                "What needs a person, worst first: `level`, `what`, `text`, `see`.",
            ),
        ],
    ),
    (
        "callers",
        "Each caller, in the order of the configuration.",
        &["offset", "limit", "name"],
        &[
            ("total", "integer", "How many fit the question."),
            ("offset", "integer", "How many were left out before the first."),
            (
                "callers",
                "array",
                "Name, upstream, state of its key, answers by class of status, places, pause.",
            ),
        ],
    ),
    (
        "upstreams",
        "Each upstream that has callers.",
        &[],
        &[(
            "upstreams",
            "array",
            "Breaker, places, attempts by outcome, pace, tokens, joined listings.",
        )],
    ),
    (
        "endpoints",
        "How each endpoint answers.",
        &[],
        &[(
            "endpoints",
            "array",
            "Answers by class of status, records, and the time within which half and 95 % come.",
        )],
    ),
    (
        "cache",
        "Where lists came from.",
        &[],
        &[
            ("answers", "object", "Lists by source."),
            ("lookups", "object", "Look-ups of names by outcome."),
            ("list_events", "object", "What happened while lists were read."),
        ],
    ),
    (
        "fidelity",
        "Values that could only be shown imperfectly.",
        &[],
        &[(
            "losses",
            "array",
            "Endpoint, note, number of values, meaning, the time zones or kinds of channels that occurred, and TOML to complete and paste.",
        )],
    ),
    (
        "usage",
        "Which callers still use what.",
        &[],
        &[
            ("filters", "array", "Requests by caller, endpoint and filter."),
            (
                "near_misses",
                "array",
                "Ignored parameters that look like filters, by caller and kind.",
            ),
            (
                "untranslated",
                "array",
                "Requests for documented legacy paths without an endpoint, by caller.",
            ),
        ],
    ),
    (
        "brownouts",
        "The windows in which endpoints answer 503 on purpose.",
        &[],
        &[
            (
                "windows",
                "array",
                "`endpoint` and `caller`, null for all, `start` and `end` in seconds since 1970, and `state`: `on`, \
                 `coming`, `over`.",
            ),
            ("found", "array", "Requests that were answered so, by caller and endpoint."),
        ],
    ),
    (
        "shadow",
        "Comparisons with the legacy API; values are masked.",
        &[],
        &[
            ("enabled", "boolean", "Whether there is a `[shadow]`."),
            ("comparisons", "object", "Outcomes by endpoint."),
            ("causes", "object", "Differences by cause."),
            ("dropped", "object", "Answers that were not compared, by reason."),
            (
                "answered_by",
                "object",
                "Requests that either side may answer, by the side that did.",
            ),
            ("differences", "array", "The last 1,000, the newest first."),
        ],
    ),
    (
        "config",
        "The configuration in force, and where each value comes from. Secrets are named, not shown.",
        &["offset", "limit"],
        &[
            ("file", "string", "As it was said at the start."),
            ("fingerprint", "string", "Of everything that shapes answers."),
            ("total", "integer", "How many settings there are."),
            ("offset", "integer", "How many were left out before the first."),
            ("settings", "array", "`setting`, `value`, `origin`."),
            ("differ", "integer", "How many settings have another value in the file."),
            (
                "differs",
                "array",
                "The first 200 of them: `setting`, `in_force`, and `in_file` unless it may be a secret.",
            ),
            ("file_refused", "string?", "Why the file as it is now cannot be read."),
            (
                "history",
                "array",
                "The last 20 configurations that came: `at`, and `epoch` or `refused`.",
            ),
        ],
    ),
    (
        "requests",
        "The last 200 requests, as their access lines say it.",
        &["after", "caller", "slug"],
        &[("requests", "array", "The newest first; `n` numbers them.")],
    ),
    (
        "replicas",
        "The replicas that share.",
        &[],
        &[
            ("version", "string", "Of this one."),
            ("configuration", "string", "Fingerprint of this one's."),
            (
                "commons",
                "object?",
                "The others, as far as this one knows; null without `[commons]`.",
            ),
        ],
    ),
    (
        "view",
        "What the page shows. It changes with the page.",
        &["name"],
        &[("head", "array", "The line at its head."), ("panels", "array", "Its tables.")],
    ),
];

const PARAMETERS: [(&str, &str, &str); 6] = [
    ("offset", "integer", "How many rows to leave out."),
    ("limit", "integer", "The most rows, up to 10,000; 1,000 if it is left out."),
    ("name", "string", "A part of a caller's name."),
    (
        "after",
        "integer",
        "The number (`n`) of the last request that is known; those of a process that started later are greater.",
    ),
    ("caller", "string", "A caller's whole name."),
    ("slug", "string", "The slug of an error."),
];

/// `/api/v1/openapi.json`.
pub(super) fn document() -> Value {
    let mut paths: Map<String, Value> = PATHS
        .iter()
        .map(|(path, summary, parameters, members)| {
            (format!("/api/v1/{path}"), described(summary, parameters, members))
        })
        .collect();
    paths.insert(attempt::PATH.to_owned(), attempt());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tieline's console",
            "version": VERSION,
            "description": "For the machine itself, and for holders of admin.key. Members stay; new ones may come.",
        },
        "security": [{}, {"key": []}],
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    })
}

/// What is tried is asked for in another way than all the rest.
fn attempt() -> Value {
    let names: Vec<_> = attempt::endpoints().map(Endpoint::name).collect();
    let text = |what: &str| json!({"type": "string", "description": what});
    let told = properties(TRIED);
    json!({"post": {
        "summary": "Tries a legacy request with a legacy key; there with `admin.try_requests`.",
        "parameters": [{
            "name": "x-tieline-console", "in": "header", "required": true, "schema": {"const": "1"},
        }],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["endpoint", "key"],
            "additionalProperties": false,
            "properties": {
                "endpoint": {"enum": names},
                "query": text("As in an address, with escapes."),
                "key": text("A caller's legacy key. It is neither kept nor shown."),
            },
        }}}},
        "responses": {
            "200": {
                "description": "What became of it, whatever its status.",
                "content": {"application/json": {"schema": {"type": "object", "properties": told}}},
            },
            "400": {"description": "No such list, no such query, or no such key can be sent."},
            "403": {"description": "Another page asks, or the header is missing."},
            "404": {"description": "It is switched off."},
            "429": {"description": "Another one is under way."},
        },
    }})
}

/// The members of what is told of a request that was tried.
const TRIED: &[Member] = &[
    ("endpoint", "string", "The list that was asked for."),
    ("status", "integer", "Of its answer."),
    ("error", "string?", "The slug, if it is an error of Tieline's."),
    ("request_id", "string?", "As in the log."),
    ("ms", "number", "To the end of the answer."),
    ("bytes", "integer", "Of the answer's body."),
    ("whole", "boolean", "Whether the answer came to its end."),
    ("explanation", "object?", "How it came about, for a caller with `explain = true`."),
];

fn described(summary: &str, parameters: &[&str], members: &[Member]) -> Value {
    let known = PARAMETERS.iter().filter(|(name, ..)| parameters.contains(name));
    let parameters = known.map(|(name, kind, what)| {
        json!({"name": name, "in": "query", "description": what, "schema": {"type": kind}})
    });
    let properties = properties(members);
    json!({"get": {
        "summary": summary,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": {
            "200": {
                "description": summary,
                "content": {"application/json": {"schema": {
                    "type": "object",
                    "required": members.iter().map(|(name, ..)| name).collect::<Vec<_>>(),
                    "properties": properties,
                }}},
            },
            "401": {"description": "Asked from another machine without admin.key."},
            "403": {"description": "Asked from another machine where there is no admin.key, or by another site."},
        },
    }})
}

fn properties(members: &[Member]) -> Map<String, Value> {
    members
        .iter()
        .map(|(name, kind, what)| {
            let kind = match kind.strip_suffix('?') {
                Some(kind) => json!([kind, "null"]),
                None => json!(kind),
            };
            ((*name).to_owned(), json!({"type": kind, "description": what}))
        })
        .collect()
}
