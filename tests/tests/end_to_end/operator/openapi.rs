//! `/openapi.json` is a valid description, and what it says is so: every golden answer and every answer
//! of a running world fits its schemas, under every quirk, and another answer does not.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use http::Method;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use simulator::{Faults, Settings};
use tests::{Answer, Front, LEGACY_KEY, V1_USERS, World, failing, users, vonage};

const ENDPOINTS: [&str; 7] = [
    "v1_agents_status",
    "v1_click2call",
    "v1_users",
    "v2_cdr_deleted_agents",
    "v2_cdr_teams",
    "v3_cdr_users",
    "v3_sms_templates",
];

/// The path that places calls.
const CALLS: &str = "/api/v1/{key}/click2call";

const TEMPLATES: &str = "/api/v3/messages/sms/templates";

/// Paths that have the key in them.
const KEYED: [&str; 1] = ["/api/v1/{key}/agents_status"];

const PATHS: [&str; 5] = [
    V1_USERS,
    "/user_management/v1/users",
    "/api/v3/cdr/users",
    "/api/v2/cdr/teams",
    "/api/v2/cdr/deleted_agents",
];

async fn document(front: &Front) -> Value {
    let answer = front.get_with("/openapi.json", &[]).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// A gateway that nothing is asked of, so that it needs no upstream.
async fn described(rest: &str) -> Value {
    document(&Front::over("127.0.0.1:9", "", rest).await).await
}

/// The schema of a component, with the others at hand.
fn schema(document: &Value, name: &str) -> Validator {
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": { "schemas": document["components"]["schemas"] },
    });
    jsonschema::options().with_draft(Draft::Draft202012).build(&schema).unwrap()
}

#[track_caller]
fn fits(schema: &Validator, answer: &Value, what: &str) {
    let errors: Vec<_> = schema.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what}: {}", errors.first().map_or("", String::as_str));
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn read(path: PathBuf) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).unwrap()
}

/// Quirks of a golden case as the configuration has them.
fn toml_of(endpoint: &str, quirks: &Value) -> String {
    let quirks: toml::Table = serde_json::from_value(quirks.clone()).unwrap();
    let mut legacy = toml::Table::new();
    legacy.insert(endpoint.to_owned(), quirks.into());
    let mut whole = toml::Table::new();
    whole.insert("legacy".to_owned(), legacy.into());
    toml::to_string(&whole).unwrap()
}

#[tokio::test]
async fn every_golden_answer_fits_the_schema_of_its_endpoint_and_quirks() {
    let mut by_settings: BTreeMap<String, Value> = BTreeMap::new();
    let (mut answers, mut records) = (0, 0);
    for folder in folders(Path::new("../crates/domain/golden")) {
        let endpoint = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(ENDPOINTS.contains(&endpoint.as_str()), "{endpoint}");
        for case in folders(&folder) {
            let Some(answer) = read(case.join("legacy.json")) else { continue };
            let quirks = read(case.join("quirks.json")).unwrap_or_else(|| json!({}));
            let settings = toml_of(&endpoint, &quirks);
            if !by_settings.contains_key(&settings) {
                by_settings.insert(settings.clone(), described(&settings).await);
            }
            let schema = schema(&by_settings[&settings], &endpoint);
            fits(&schema, &answer, &case.display().to_string());
            answers += 1;
            records += answer.as_array().map_or(1, Vec::len);
        }
    }
    assert!(answers >= 100 && records >= 100, "{answers} answers with {records} records");
    assert!(by_settings.len() >= 8, "{} settings", by_settings.len());
}

#[tokio::test]
async fn every_list_of_a_running_world_fits_under_every_quirk() {
    let quirks = [
        "",
        "[legacy.v1_users]\nenvelope = \"users\"\nemployee_id = \"number\"\n\
         [legacy.v3_cdr_users]\nassigned_teams = \"names\"\ntimezone = \"upstream\"\n",
        "[legacy.v1_users]\nenvelope = \"sample\"\nsupervisor_in_teams = \"names\"\n\
         separator_in_name = \"replace\"\n",
    ];
    for rest in quirks {
        let settings = Settings { users: 320, teams_list: true, ..Settings::default() };
        let voiso = World::with(settings.clone(), "", rest).await;
        let vonage = vonage::world(settings, "", rest).await;
        for world in [&voiso, &vonage] {
            let document = document(&world.front).await;
            for path in PATHS {
                let reference = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
                    ["schema"]["$ref"];
                let name = reference.as_str().unwrap().rsplit('/').next().unwrap();
                let schema = schema(&document, name);
                for query in ["", "?name=nobody"] {
                    let answer = world.get(&format!("{path}{query}")).await;
                    assert_eq!(answer.status, 200, "{path}");
                    fits(&schema, &answer.json(), path);
                    has_headers(&document, path, &answer);
                }
            }
            for path in KEYED {
                let answer = world.front.get_with(&path.replace("{key}", LEGACY_KEY), &[]).await;
                assert_eq!(answer.status, 200, "{path}");
                let id = document["paths"][path]["get"]["operationId"].as_str().unwrap();
                fits(&schema(&document, id), &answer.json(), path);
                has_headers(&document, path, &answer);
            }
            let one = world.get(V1_USERS).await.text();
            let id = one.split("\"id\":").nth(1).unwrap().split(',').next().unwrap().to_owned();
            let answer = world.get(&format!("{V1_USERS}?id={id}")).await;
            fits(&schema(&document, "v1_users"), &answer.json(), "one user");
        }
        let document = document(&voiso.front).await;
        let answer = voiso.get(&format!("{TEMPLATES}?page=2")).await;
        fits(&schema(&document, "v3_sms_templates"), &answer.json(), "templates");
        // The vendor's own legacy API gives this answer, too.
        if rest.is_empty() {
            for path in PATHS {
                let answer = voiso.legacy(path).await;
                let id = document["paths"][path]["get"]["operationId"].as_str().unwrap();
                fits(&schema(&document, id.trim_end_matches("_2")), &answer.json(), path);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_differs_in_anything_does_not_fit() {
    let document = described("").await;
    let golden = "../crates/domain/golden/v1_users/voiso-v4__documented_user/legacy.json";
    let answer = read(golden.into()).unwrap();
    let schema = schema(&document, "v1_users");
    fits(&schema, &answer, "the answer itself");
    let fields: Vec<String> = answer[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields.len(), 15);
    for field in &fields {
        let mut other = answer.clone();
        other[0].as_object_mut().unwrap().remove(field);
        assert!(!schema.is_valid(&other), "without {field}");
        for wrong in [json!({}), json!(true), json!(1.5), json!(["x"])] {
            let mut other = answer.clone();
            other[0][field] = wrong.clone();
            assert!(!schema.is_valid(&other), "{field} as {wrong}");
        }
    }
    let mut other = answer.clone();
    other[0]["status"] = json!("available");
    assert!(!schema.is_valid(&other), "a field too many");
    for (field, wrong) in [
        ("id", json!("28982")),
        ("id", json!(null)),
        ("assigned_teams", json!(null)),
        ("employee_id", json!(7)),
    ] {
        let mut other = answer.clone();
        other[0][field] = wrong.clone();
        assert!(!schema.is_valid(&other), "{field} as {wrong}");
    }
    assert!(!schema.is_valid(&json!({ "users": answer })));
    // Only the quirk makes a number of it.
    let number = described("[legacy.v1_users]\nemployee_id = \"number\"\n").await;
    let mut other = answer.clone();
    other[0]["employee_id"] = json!(7);
    fits(&self::schema(&number, "v1_users"), &other, "a number by the quirk");
}

#[tokio::test]
async fn errors_have_the_shape_status_and_headers_that_are_described() {
    let rest = "[legacy.v1_users]\ndeprecation = \"2026-01-31\"\nsunset = \"2026-12-31\"\n\
                link = \"https://example.com/move\"\n\
                [legacy.v3_cdr_users.invalid_key]\nstatus = 403\ntext = \"Invalid api_key\"\n";
    let world = World::with(Settings::default(), "attempts_max = 1", rest).await;
    let document = document(&world.front).await;
    let error = schema(&document, "error");
    let mut seen = BTreeSet::new();
    let mut check = |answer: Answer, path: &str, status: u16| {
        assert_eq!(answer.status.as_u16(), status, "{path}");
        fits(&error, &answer.json(), path);
        has_headers(&document, path, &answer);
        seen.insert(status);
    };
    let bearer = format!("Bearer {LEGACY_KEY}");
    let key = [("authorization", bearer.as_str())];
    for path in PATHS {
        let no_key = if path == "/api/v3/cdr/users" { 403 } else { 401 };
        check(world.front.get_with(path, &[]).await, path, no_key);
        let both = world.front.get_with(&format!("{path}?key=x"), &key).await;
        check(both, path, 400);
        check(world.front.send(Method::POST, path, &key).await, path, 405);
    }
    for (status, shown) in [(500, 502), (503, 503), (429, 429)] {
        world.vendor.set_faults(failing(status));
        check(world.get(V1_USERS).await, V1_USERS, shown);
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    let few = World::with(users(300), "rows_max = 100", rest).await;
    check(few.get(V1_USERS).await, V1_USERS, 413);
    let late = "attempt_timeout = \"60ms\"\nattempts_max = 1";
    let slow = Settings { latency: std::time::Duration::from_millis(500), ..Settings::default() };
    let slow = World::with(slow, late, rest).await;
    check(slow.get(V1_USERS).await, V1_USERS, 504);
    assert_eq!(seen, [400, 401, 403, 405, 413, 429, 502, 503, 504].into());
    // 304 as well, and HEAD as GET.
    let tag = few.front.get(&format!("{V1_USERS}?id=1")).await.header("etag");
    let headers = [("authorization", bearer.as_str()), ("if-none-match", tag.as_str())];
    world.vendor.set_faults(Faults::default());
    let same = few.front.get_with(&format!("{V1_USERS}?id=1"), &headers).await;
    if same.status == 304 {
        has_headers(&document, V1_USERS, &same);
    }
    has_headers(&document, V1_USERS, &world.front.send(Method::HEAD, V1_USERS, &key).await);
}

/// The headers of an answer are described, and those that are required are there and as described.
#[track_caller]
fn has_headers(document: &Value, path: &str, answer: &Answer) {
    let status = answer.status.as_str();
    let response = &document["paths"][path]["get"]["responses"][status];
    assert!(response.is_object(), "{path}: {status} is not described");
    let described = response["headers"].as_object().unwrap();
    for (name, reference) in described {
        let header = document.pointer(reference["$ref"].as_str().unwrap().trim_start_matches('#'));
        let header = header.unwrap();
        let value = answer.header(name);
        assert!(!value.is_empty() || header["required"] == false, "{path} {status}: no {name}");
        if !value.is_empty() {
            let typed = match header["schema"]["type"].as_str() {
                Some("integer") => json!(value.parse::<u64>().unwrap()),
                _ => json!(value),
            };
            let schema = jsonschema::draft202012::new(&header["schema"]).unwrap();
            fits(&schema, &typed, name);
        }
    }
    for name in answer.headers.keys().map(http::HeaderName::as_str) {
        let is_http = ["content-type", "content-length", "date"].contains(&name);
        assert!(
            is_http || described.contains_key(name),
            "{path} {status}: {name} is not described"
        );
    }
}

/// It is longer than the pieces in which most bodies are handled.
#[tokio::test]
async fn the_description_comes_whole_plain_and_compressed() {
    let front = Front::over("127.0.0.1:9", "", "").await;
    let plain = front.get_with("/openapi.json", &[]).await;
    assert!(plain.body.len() > 64 << 10, "{}", plain.body.len());
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    assert_eq!(plain.json()["openapi"], "3.1.0");
    let packed = front.get_with("/openapi.json", &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut whole = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut whole).unwrap();
    assert_eq!(whole, plain.body);
}

#[tokio::test]
async fn the_description_needs_no_key_and_may_be_kept() {
    let front = Front::over("127.0.0.1:9", "", "").await;
    for method in [Method::GET, Method::HEAD] {
        let answer = front.send(method.clone(), "/openapi.json", &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD);
    }
    let posted = front.send(Method::POST, "/openapi.json", &[]).await;
    assert_eq!(
        (posted.verdict(), posted.header("allow")),
        ("405 method_not_allowed".into(), "GET, HEAD".into())
    );
    assert_eq!(front.get_with("/openapi.json/", &[]).await.verdict(), "404 not_found");
    // `crm` is also a parameter of a call.
    let config = tests::config_text("127.0.0.1:9", "", "").replace("\"crm\"", "\"a-caller\"");
    let front = Front::start(&config).await;
    let text = front.get_with("/openapi.json?key=x", &[]).await.text();
    assert!(!text.contains("a-caller") && !text.contains("sha256") && !text.contains("127.0.0.1"));
}

#[tokio::test]
async fn the_document_is_openapi_3_1_by_its_structure() {
    let rest = "[legacy.v2_cdr_teams]\nsunset = \"2027-01-01\"\n[legacy.v1_users.invalid_key]\nstatus = 400\n";
    for document in [described("").await, described(rest).await] {
        only(&document, &["openapi", "info", "servers", "security", "paths", "components"]);
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
        for name in ["title", "version"] {
            assert!(document["info"][name].is_string());
        }
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        for requirement in document["security"].as_array().unwrap() {
            assert!(requirement.as_object().unwrap().keys().all(|name| schemes.contains_key(name)));
        }
        assert_eq!(schemes["bearer"]["scheme"], "bearer");
        assert_eq!(
            (&schemes["key"]["in"], &schemes["key"]["name"]),
            (&json!("query"), &json!("key"))
        );
        let paths = document["paths"].as_object().unwrap();
        let all: BTreeSet<&str> =
            PATHS.into_iter().chain(KEYED).chain([TEMPLATES, CALLS]).collect();
        assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), all);
        let mut ids = BTreeSet::new();
        for (path, item) in paths {
            assert!(path.starts_with('/'));
            only(item, if path == CALLS { &["get", "post"] } else { &["get", "head"] });
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} stands twice");
                operation_is_whole(path, method, operation);
            }
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            schema(&document, name);
        }
        references_lead_somewhere(&document, &document);
    }
    let document = described(rest).await;
    assert_eq!(document["paths"]["/api/v2/cdr/teams"]["get"]["deprecated"], true);
    assert_eq!(document["paths"][V1_USERS]["get"]["deprecated"], false);
}

fn operation_is_whole(path: &str, method: &str, operation: &Value) {
    let members = ["operationId", "summary", "deprecated", "parameters", "responses", "security"];
    let with_body = [&members[..], &["requestBody"]].concat();
    only(operation, if method == "post" { &with_body } else { &members });
    let is_keyed = |path: &str| KEYED.contains(&path) || path == CALLS;
    assert_eq!(operation.get("security") == Some(&json!([])), is_keyed(path), "{path}");
    let mut names = BTreeSet::new();
    for parameter in operation["parameters"].as_array().unwrap() {
        only(parameter, &["name", "in", "required", "description", "schema"]);
        let place = parameter["in"].as_str().unwrap();
        assert!(["query", "header", "path"].contains(&place));
        assert_eq!(parameter["required"], place == "path");
        assert!(names.insert((place, parameter["name"].as_str().unwrap())), "{path}: {parameter}");
        jsonschema::draft202012::new(&parameter["schema"]).unwrap();
    }
    assert_eq!(names.contains(&("path", "key")), is_keyed(path), "{path}");
    let filters = names.iter().filter(|(place, _)| *place == "query").count();
    let wanted = if path.ends_with("v1/users") {
        16
    } else if path == TEMPLATES {
        2
    } else if path == CALLS {
        5
    } else if path.contains("v3") {
        14
    } else {
        0
    };
    assert_eq!(filters, wanted, "{path}: both spellings of each filter");
    for (status, response) in operation["responses"].as_object().unwrap() {
        let number: u16 = status.parse().unwrap();
        assert!((200..600).contains(&number));
        only(response, &["description", "headers", "content"]);
        assert!(response["description"].as_str().unwrap().ends_with('.'));
        assert_eq!(
            response["content"].is_object(),
            method != "head" && number != 304 && number != 204,
            "{path}"
        );
    }
}

/// An object of no other members than these.
#[track_caller]
fn only(object: &Value, names: &[&str]) {
    for name in object.as_object().unwrap().keys() {
        assert!(names.contains(&name.as_str()), "no place for {name}");
    }
}

fn references_lead_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref") {
                let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|member| references_lead_somewhere(document, member));
        }
        Value::Array(items) => {
            items.iter().for_each(|item| references_lead_somewhere(document, item))
        }
        _ => {}
    }
}
