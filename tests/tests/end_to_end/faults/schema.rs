//! Pages that break the schema or are no JSON at all: each becomes one error of a known name, never
//! half a list, and never a word of the upstream. The ids in front of the test names are those of
//! the fault list in `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::Faults;
use tests::raw::{Raw, Reply, page, user};
use tests::{Answer, Front, V1_USERS, World, expect, users};

async fn world() -> World {
    World::new(users(12)).await
}

/// One request under these faults; then the faults go and the answer is the legacy bytes again.
async fn under(world: &World, faults: Faults) -> Answer {
    world.vendor.set_faults(faults);
    world.vendor.reset_stats();
    let answer = world.get(V1_USERS).await;
    assert_eq!(world.vendor.stats().users_pages, 1, "a page is not asked for again");
    world.vendor.set_faults(Faults::default());
    let good = world.get(V1_USERS).await;
    assert_eq!(good.verdict(), "200 ", "afterwards");
    assert!(good.body == world.legacy(V1_USERS).await.body, "afterwards not the legacy bytes");
    answer
}

/// A gateway over an upstream that answers every request with the bytes given last.
struct Scripted {
    front: Front,
    raw: Raw,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Scripted {
    async fn new() -> Scripted {
        Scripted::with("").await
    }

    async fn with(more: &str) -> Scripted {
        let body = Arc::<Mutex<Vec<u8>>>::default();
        let said = Arc::clone(&body);
        let raw = Raw::start(move |_| Reply::json(200, &*said.lock().unwrap())).await;
        Scripted { front: Front::over(raw.address, more, "").await, raw, body }
    }

    /// One request answered with this page; then a plain good page is answered rightly.
    async fn with_page(&self, bytes: &[u8]) -> Answer {
        *self.body.lock().unwrap() = bytes.to_vec();
        let before = self.raw.asked();
        let answer = self.front.get(V1_USERS).await;
        assert_eq!(self.raw.asked() - before, 1, "a page is not asked for again");
        *self.body.lock().unwrap() = page(&[user(1), user(2)], 2).into_bytes();
        expect::rows(&self.front.get(V1_USERS).await, &[1, 2], "afterwards");
        answer
    }
}

#[tokio::test]
async fn f01_an_answer_that_is_not_json_is_502() {
    let scripted = Scripted::new().await;
    let good = page(&[user(7)], 1);
    let pages: [(&str, Vec<u8>); 12] = [
        ("a text", b"users: none of your business".to_vec()),
        ("nothing", Vec::new()),
        ("blanks", b" \r\n".to_vec()),
        ("cut short", good.as_bytes()[..good.len() - 1].to_vec()),
        ("cut in a text", good.as_bytes()[..30].to_vec()),
        ("two values", [good.as_bytes(), good.as_bytes()].concat()),
        ("a byte order mark", [b"\xEF\xBB\xBF", good.as_bytes()].concat()),
        ("a trailing comma", good.replace("}]", "},]").into_bytes()),
        ("a comment", good.replace("}]", "}/* the end */]").into_bytes()),
        ("single quotes", good.replace('"', "'").into_bytes()),
        ("a bare word", good.replace("\"7\"", "seven").into_bytes()),
        ("a tab inside a text", good.replace("User 7", "User\t7").into_bytes()),
    ];
    for (what, bytes) in pages {
        expect::error(&scripted.with_page(&bytes).await, "502 upstream_bad_json", what);
    }
    for (what, bytes) in [("an array", "[]"), ("null", "null"), ("a text", "\"users\"")] {
        let answer = scripted.with_page(bytes.as_bytes()).await;
        expect::error(&answer, "502 upstream_bad_schema", what);
    }
    let world = world().await;
    for (what, faults) in [
        ("not_json", Faults { not_json: true, ..Faults::default() }),
        ("bom", Faults { bom: true, ..Faults::default() }),
        ("trailing_garbage", Faults { trailing_garbage: true, ..Faults::default() }),
    ] {
        expect::error(&under(&world, faults).await, "502 upstream_bad_json", what);
    }
}

#[tokio::test]
async fn f02_nesting_deeper_than_anybody_needs_is_502() {
    let world = world().await;
    for depth in [33, 127, 128, 100_000] {
        let faults = Faults { deep_nesting: depth, ..Faults::default() };
        let answer = under(&world, faults).await;
        expect::error(&answer, "502 upstream_bad_json", &format!("depth {depth}"));
    }
    let faults = Faults { deep_nesting: 20, ..Faults::default() };
    assert_eq!(under(&world, faults).await.verdict(), "200 ", "an unknown field may be nested");
    let scripted = Scripted::new().await;
    let opening = |n| "[".repeat(n);
    let bomb = format!("{{\"users\":[{{\"id\":\"1\",\"x\":{}", opening(100_000));
    let objects = format!("{{\"users\":[{{\"x\":{}", "{\"x\":".repeat(50_000));
    for (what, bytes) in [("in a row", bomb), ("of objects", objects)] {
        let answer = scripted.with_page(bytes.as_bytes()).await;
        expect::error(&answer, "502 upstream_bad_json", what);
    }
    let answer = scripted.with_page(opening(100_000).as_bytes()).await;
    expect::error(&answer, "502 upstream_bad_schema", "a page that is no object is read no deeper");
}

#[tokio::test]
async fn f03_numbers_that_no_id_or_count_can_be_are_502() {
    let world = world().await;
    let numbers = [
        ("NaN", "502 upstream_bad_json", "502 upstream_bad_json"),
        ("Infinity", "502 upstream_bad_json", "502 upstream_bad_json"),
        ("01", "502 upstream_bad_json", "502 upstream_bad_json"),
        ("1e400", "502 upstream_bad_schema", "502 upstream_bad_schema"),
        ("-0", "502 upstream_bad_id", "502 upstream_bad_schema"),
        ("1e2", "502 upstream_bad_id", "502 upstream_bad_schema"),
        ("1.0", "502 upstream_bad_id", "502 upstream_bad_schema"),
        ("-1", "502 upstream_bad_id", "502 upstream_bad_schema"),
        ("123456789012345678901234567890", "502 upstream_bad_id", "502 upstream_bad_schema"),
        ("18446744073709551616", "502 upstream_bad_id", "502 upstream_bad_schema"),
    ];
    for (number, as_id, as_count) in numbers {
        let field = Some(("id".to_owned(), number.to_owned()));
        let answer = under(&world, Faults { bad_field: field, ..Faults::default() }).await;
        expect::error(&answer, as_id, &format!("{number} as an id"));
        let faults = Faults { total_raw: Some(number.to_owned()), ..Faults::default() };
        expect::error(&under(&world, faults).await, as_count, &format!("{number} as a count"));
    }
    // Where nobody reads it, a number of any length is no reason to fail.
    let long = format!("0.{}", "1234567890".repeat(4));
    for number in [long.as_str(), "123456789012345678901234567890", "-0", "1e-400"] {
        let field = Some(("updated_at".to_owned(), number.to_owned()));
        let answer = under(&world, Faults { bad_field: field, ..Faults::default() }).await;
        assert_eq!(answer.verdict(), "200 ", "{number}");
    }
}

#[tokio::test]
async fn f04_a_key_that_stands_twice_in_an_object_is_502() {
    let world = world().await;
    let faults = Faults { duplicate_key: true, ..Faults::default() };
    expect::error(&under(&world, faults).await, "502 upstream_bad_json", "id");
    let fields = [
        ("name", "\"a\",\"name\":\"b\""),
        ("name", "\"a\",\"n\\u0061me\":\"b\""),
        ("security_access_group", "{\"id\":1,\"name\":\"a\",\"id\":2}"),
        ("webrtc_ringtone", "{\"name\":\"a\",\"name\":\"a\"}"),
        ("teams", "[{\"id\":1,\"name\":\"a\",\"name\":\"a\"}]"),
        ("skills", "[{\"skill\":{\"name\":\"a\"},\"value\":1,\"value\":10}]"),
        ("skills", "[{\"skill\":{\"name\":\"a\",\"name\":\"b\"},\"value\":1}]"),
        ("channel_profiles", "[{\"channel\":\"sms\",\"channel\":\"chat\"}]"),
    ];
    for (field, text) in fields {
        let bad_field = Some((field.to_owned(), text.to_owned()));
        let answer = under(&world, Faults { bad_field, ..Faults::default() }).await;
        expect::error(&answer, "502 upstream_bad_json", &format!("{field} {text}"));
    }
    let faults = Faults { users_raw: Some("[],\"users\":[]".to_owned()), ..Faults::default() };
    expect::error(&under(&world, faults).await, "502 upstream_bad_json", "users");
    let faults = Faults { total_raw: Some("12,\"total\":12".to_owned()), ..Faults::default() };
    expect::error(&under(&world, faults).await, "502 upstream_bad_json", "total");
    let twice = "12},\"metadata\":{\"total\":12".to_owned();
    let faults = Faults { total_raw: Some(twice), ..Faults::default() };
    expect::error(&under(&world, faults).await, "502 upstream_bad_json", "metadata");
}

#[tokio::test]
async fn f05_text_that_is_no_unicode_is_502_and_an_escaped_nul_stays_escaped() {
    let world = world().await;
    let faults = Faults { invalid_utf8: true, ..Faults::default() };
    expect::error(&under(&world, faults).await, "502 upstream_bad_json", "FF");
    let faults = Faults { lone_surrogate: true, ..Faults::default() };
    expect::error(&under(&world, faults).await, "502 upstream_bad_json", "half a pair");
    let scripted = Scripted::new().await;
    let around = |place: &str, bytes: &[u8]| {
        let row = user(7).replace("User 7", "User").into_bytes();
        let row = String::from_utf8(row).unwrap();
        let row = match place {
            "a name" => row.replace("\"User\"", "\"@\""),
            "an unknown field" => row.replace("{\"id\"", "{\"unknown\":\"@\",\"id\""),
            "an unknown nested field" => row.replace("{\"id\"", "{\"u\":[{\"n\":\"@\"}],\"id\""),
            _ => row.replace("{\"id\"", "{\"@\":1,\"id\""),
        };
        let text = page(&[row], 1);
        let at = text.find('@').unwrap();
        [&text.as_bytes()[..at], bytes, &text.as_bytes()[at + 1..]].concat()
    };
    for place in ["a name", "an unknown field", "an unknown nested field", "an unknown key"] {
        for (what, bytes) in [
            ("FF", &b"\xFF"[..]),
            ("an overlong slash", b"\xC0\xAF"),
            ("an encoded surrogate", b"\xED\xA0\x80"),
            ("beyond the last character", b"\xF4\x90\x80\x80"),
            ("a character cut short", b"\xE2\x82"),
            ("half a pair", b"\\ud800"),
            ("the other half", b"x\\udc00"),
            ("two first halves", b"\\ud800\\ud800"),
        ] {
            let answer = scripted.with_page(&around(place, bytes)).await;
            expect::error(&answer, "502 upstream_bad_json", &format!("{what} in {place}"));
        }
    }
    let answer = scripted.with_page(&around("a name", b"a\\u0000b")).await;
    assert_eq!(answer.verdict(), "200 ");
    assert!(answer.text().contains("\"name\":\"a\\u0000b\""), "the escape is kept");
}

#[tokio::test]
async fn f06_users_missing_or_of_another_type_is_502() {
    let world = world().await;
    let missing = Faults { users_missing: true, ..Faults::default() };
    expect::error(&under(&world, missing).await, "502 upstream_bad_schema", "missing");
    for raw in ["null", "{}", "\"\"", "\"[]\"", "0", "false", "[null]", "[[]]", "[1]", "{\"0\":{}}"]
    {
        let faults = Faults { users_raw: Some(raw.to_owned()), ..Faults::default() };
        expect::error(&under(&world, faults).await, "502 upstream_bad_schema", raw);
    }
}

#[tokio::test]
async fn f07_a_count_that_is_missing_or_no_count_is_502() {
    let world = world().await;
    let missing = Faults { total_missing: true, ..Faults::default() };
    expect::error(&under(&world, missing).await, "502 upstream_bad_schema", "total missing");
    let text = Faults { total_as_string: true, ..Faults::default() };
    expect::error(&under(&world, text).await, "502 upstream_bad_schema", "\"12\"");
    for raw in ["null", "-1", "1.5", "true", "[12]", "{}", "\"\"", "9223372036854775808"] {
        let faults = Faults { total_raw: Some(raw.to_owned()), ..Faults::default() };
        expect::error(&under(&world, faults).await, "502 upstream_bad_schema", raw);
    }
    let scripted = Scripted::new().await;
    let rows = user(7);
    for metadata in ["", ",\"metadata\":null", ",\"metadata\":[]", ",\"metadata\":12"] {
        let bytes = format!("{{\"users\":[{rows}]{metadata}}}");
        let answer = scripted.with_page(bytes.as_bytes()).await;
        expect::error(&answer, "502 upstream_bad_schema", metadata);
    }
}

#[tokio::test]
async fn f13_an_id_without_a_legacy_number_is_502_and_a_number_is_printed_exactly() {
    let world = world().await;
    let uuids = Faults { uuid_ids: true, ..Faults::default() };
    expect::error(&under(&world, uuids).await, "502 upstream_bad_id", "UUIDs");
    for id in [
        "0b97ce11-4d0a-4f5e-9d3e-000000000001",
        "007",
        "",
        "12a",
        " 1",
        "+1",
        "9223372036854775808",
    ] {
        let faults = Faults { bad_id: Some(id.to_owned()), bad_row: 5, ..Faults::default() };
        expect::error(&under(&world, faults).await, "502 upstream_bad_id", id);
    }
    for (raw, what) in [("null", "null"), ("", "missing"), ("1.5", "1.5"), ("true", "true")] {
        let field = Some(("id".to_owned(), raw.to_owned()));
        let faults = Faults { bad_field: field, bad_row: 5, ..Faults::default() };
        expect::error(&under(&world, faults).await, "502 upstream_bad_id", what);
    }
    for (raw, shown) in [("\"9007199254740993\"", "9007199254740993"), ("5", "5")] {
        let field = Some(("id".to_owned(), raw.to_owned()));
        let answer = under(&world, Faults { bad_field: field, ..Faults::default() }).await;
        assert_eq!(answer.verdict(), "200 ", "{raw}");
        assert!(answer.text().starts_with(&format!("[{{\"id\":{shown},")), "{raw}");
    }
}

#[tokio::test]
async fn f13_one_row_that_stands_twice_is_merged_and_two_rows_of_one_id_are_502() {
    let scripted = Scripted::new().await;
    let twice = page(&[user(1), user(2), user(2), user(3)], 3);
    expect::rows(&scripted.with_page(twice.as_bytes()).await, &[1, 2, 3], "the same row twice");
    let other = user(2).replace("User 2", "Somebody else");
    let rows = page(&[user(1), user(2), other, user(3)], 4);
    let raw = Raw::start(move |_| Reply::json(200, &rows)).await;
    let front = Front::over(raw.address, "", "").await;
    expect::error(&front.get(V1_USERS).await, "502 upstream_bad_id", "two users, one id");
    assert_eq!(raw.asked(), 2, "read once more, since the list might have been changing");
}

#[tokio::test]
async fn f13_the_id_policy_hash_answers_for_uuids() {
    let more = "id_policy = \"hash\"";
    let world = World::with(users(12), more, "").await;
    let calm = world.get(V1_USERS).await.ids();
    world.vendor.set_faults(Faults { uuid_ids: true, ..Faults::default() });
    let (first, again) = (world.get(V1_USERS).await, world.get(V1_USERS).await);
    assert_eq!(first.verdict(), "200 ");
    assert!(first.ids().iter().all(|id| *id < 1 << 52), "exact in every JSON reader");
    assert!(first.ids().len() == calm.len() && first.ids() != calm, "other numbers, as many");
    assert!(first.body == again.body, "the same id is always the same number");
}

/// What happens to a record when a field of the row it is made from is something else.
async fn shown(world: &World, field: &str, text: &str) -> Result<Value, String> {
    let id = world.vendor.users()[0]["id"].as_str().unwrap().parse::<u64>().unwrap();
    let bad_field = Some((field.to_owned(), text.to_owned()));
    let answer = under(world, Faults { bad_field, ..Faults::default() }).await;
    let what = format!("{field}: {}", text.chars().take(40).collect::<String>());
    if answer.status != 200 {
        expect::error(&answer, "502 upstream_bad_schema", &what);
        return Err(answer.verdict());
    }
    let all = answer.json();
    let record = all.as_array().and_then(|all| all.iter().find(|record| record["id"] == id));
    Ok(record.cloned().unwrap_or_default())
}

#[tokio::test]
async fn f14_each_text_follows_its_null_rule() {
    let world = world().await;
    let huge = "x".repeat(100_000);
    // The v4 field and the legacy field it becomes.
    for (field, legacy) in [
        ("name", "name"),
        ("email", "email"),
        ("sip_account", "sip_account"),
        ("extension", "extension"),
        ("caller_id", "caller_id"),
        ("employee_id", "employee_id"),
        ("timezone", "timezone"),
    ] {
        for (text, expected) in [
            ("", Value::Null),
            ("null", Value::Null),
            ("\"\"", json!("")),
            (&format!("\"{huge}\""), json!(huge)),
        ] {
            let record = shown(&world, field, text).await.unwrap();
            assert!(record[legacy] == expected, "{field}: {} bytes of text", text.len());
        }
        for text in ["0", "true", "[]", "{}", "[\"a\"]"] {
            assert!(shown(&world, field, text).await.is_err(), "{field}: {text}");
        }
    }
}

#[tokio::test]
async fn f14_each_object_follows_its_null_rule() {
    let world = world().await;
    let huge = "x".repeat(100_000);
    for (field, legacy, wrap) in [
        ("security_access_group", "sag", "{\"id\":3,\"name\":@}"),
        ("webrtc_ringtone", "webrtc_ringtone", "{\"type\":\"ringtone\",\"name\":@}"),
    ] {
        for (text, expected) in [
            (String::new(), Value::Null),
            ("null".to_owned(), Value::Null),
            (wrap.replace('@', "null"), Value::Null),
            (wrap.replace(",\"name\":@", ""), Value::Null),
            (wrap.replace('@', "\"\""), json!("")),
            (wrap.replace('@', &format!("\"{huge}\"")), json!(huge)),
        ] {
            let record = shown(&world, field, &text).await.unwrap();
            assert!(record[legacy] == expected, "{field}: {} bytes of text", text.len());
        }
        for text in ["\"\"", "\"Agent\"", "3", "[]", &wrap.replace('@', "3")] {
            assert!(shown(&world, field, text).await.is_err(), "{field}: {text}");
        }
    }
    for text in ["{}", "{\"name\":\"Agent\"}", "{\"id\":null,\"name\":\"Agent\"}"] {
        assert!(shown(&world, "security_access_group", text).await.is_err(), "{text}");
    }
}

#[tokio::test]
async fn f14_each_list_is_a_list_or_502() {
    let world = world().await;
    let repeated = |item: &str| format!("[{}]", vec![item; 3000].join(","));
    let named = "{\"id\":3,\"name\":\"A\"}";
    let channel = "{\"channel\":\"sms\",\"identifier\":\"49301\",\"name\":\"N\"}";
    let skill = "{\"skill\":{\"id\":1,\"name\":\"S\"},\"value\":5}";
    for (field, legacy, empty, item) in [
        ("teams", "assigned_teams", json!(""), named),
        ("supervised_teams", "supervisor_in_teams", json!(""), named),
        ("queues", "assigned_queues", json!(""), named),
        ("skills", "assigned_skills", json!([]), skill),
        ("channel_profiles", "assigned_channels", json!([]), channel),
    ] {
        let record = shown(&world, field, "[]").await.unwrap();
        assert_eq!(record[legacy], empty, "{field}");
        let record = shown(&world, field, &repeated(item)).await.unwrap();
        let count = match &record[legacy] {
            Value::Array(all) => all.len(),
            joined => joined.as_str().unwrap().split(", ").count(),
        };
        assert_eq!(count, 3000, "{field}");
        for text in ["", "null", "{}", "\"\"", "0", "[null]", "[1]", "[\"A\"]", "[[]]", "[{}]"] {
            assert!(shown(&world, field, text).await.is_err(), "{field}: {text}");
        }
    }
    for level in ["0", "11", "4.5", "\"5\"", "null", "-1"] {
        let text = format!("[{{\"skill\":{{\"name\":\"S\"}},\"value\":{level}}}]");
        assert!(shown(&world, "skills", &text).await.is_err(), "level {level}");
    }
}

#[tokio::test]
async fn f14_status_and_deletion_date_decide_whether_a_row_is_there() {
    let world = world().await;
    // No deletion date: there, whatever the status says.
    world.vendor.edit_user(simulator::FIRST_ID, |user| {
        user.deleted_at = None;
        user.status = Some("offline".into());
    });
    for text in ["", "null", "\"\"", "\"nonsense\"", "\"offline\""] {
        assert!(shown(&world, "status", text).await.unwrap().is_object(), "status {text}");
    }
    // An empty text is no date.
    for text in ["", "null", "\"\""] {
        assert!(shown(&world, "deleted_at", text).await.unwrap().is_object(), "deleted_at {text}");
    }
    let date = "\"2025-11-11T12:00:00.216Z\"";
    assert!(shown(&world, "deleted_at", date).await.unwrap().is_null(), "offline and deleted");
    for field in ["status", "deleted_at"] {
        for text in ["0", "true", "[]", "{}"] {
            assert!(shown(&world, field, text).await.is_err(), "{field}: {text}");
        }
    }
}

#[tokio::test]
async fn f19_a_refusal_in_a_success_is_the_refusal_it_names() {
    let named = [
        ("Unauthorized", "502 mapped_key_refused", true),
        ("Forbidden", "502 upstream_forbidden", true),
        ("Too many requests", "429 rate_limited", false),
        ("Not found", "502 upstream_refused_call", false),
        ("something else", "502 upstream_bad_schema", false),
    ];
    let mut waiting = Vec::new();
    for (text, verdict, is_believed) in named {
        let scripted = Scripted::new().await;
        *scripted.body.lock().unwrap() = json!({ "error": text }).to_string().into_bytes();
        expect::error(&scripted.front.get(V1_USERS).await, verdict, text);
        assert_eq!(scripted.raw.asked(), 1, "{text}");
        *scripted.body.lock().unwrap() = page(&[user(1), user(2)], 2).into_bytes();
        if is_believed {
            expect::error(&scripted.front.get(V1_USERS).await, verdict, "believed for a while");
            assert_eq!(scripted.raw.asked(), 1, "{text}: not asked again so soon");
            waiting.push(scripted);
        } else {
            expect::rows(&scripted.front.get(V1_USERS).await, &[1, 2], text);
        }
    }
    tokio::time::sleep(Duration::from_millis(5_050)).await;
    for scripted in waiting {
        expect::rows(&scripted.front.get(V1_USERS).await, &[1, 2], "after five seconds");
    }
    let world = world().await;
    world.vendor.set_faults(Faults { error_in_200: true, ..Faults::default() });
    expect::error(&world.get(V1_USERS).await, "502 mapped_key_refused", "error_in_200");
}
