//! The differences between two answers, without their causes.

#![expect(clippy::unwrap_used, reason = "a test may")]

use corpus::ask::Reply;
use corpus::endpoint::endpoint;
use parity::compare::{Compared, Kind, compare};
use parity::list::KeyedBy;

fn reply(status: u16, body: &str) -> Reply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Reply { status, headers, body: body.to_owned().into() }
}

fn compared(control: &str, candidate: &str) -> Compared {
    let v1 = endpoint("v1_users").unwrap();
    compare(v1, &reply(200, control), &reply(200, candidate), KeyedBy::Id)
}

/// The path and the kind of every difference.
fn told(found: &Compared) -> Vec<String> {
    let told = |one: &parity::compare::Difference| format!("{} {}", one.path, one.kind.as_str());
    found.differences.iter().map(told).collect()
}

#[test]
fn different_values_of_a_field_differ() {
    for (field, control, candidate, expected) in [
        ("name", r#""a""#, r#""a""#, &[][..]),
        ("name", r#""a""#, r#""b""#, &["name value"]),
        ("name", r#""""#, "null", &["name type"]),
        ("extension", r#""7""#, "7", &["extension type"]),
        ("extension", "1", "1.0", &["extension value"]),
        ("extension", "null", "[]", &["extension type"]),
        ("assigned_teams", r#""1, 2""#, r#""2, 1""#, &["assigned_teams order"]),
        ("assigned_teams", r#""1, 2""#, r#""1,2""#, &["assigned_teams value"]),
        ("assigned_teams", r#""1, 2""#, r#""1, 2, 2""#, &["assigned_teams value"]),
        ("assigned_teams", r#""""#, "null", &["assigned_teams type"]),
        ("name", r#""a, b""#, r#""b, a""#, &["name value"]),
        ("assigned_skills", r"[1,2]", r"[2,1]", &["assigned_skills order"]),
        ("assigned_skills", r"[1,2]", r"[1]", &["assigned_skills value"]),
        ("assigned_skills", r"[1,1,2]", r"[1,2,2]", &["assigned_skills[] value"]),
        (
            "assigned_skills",
            r#"[{"name":"a","value":1}]"#,
            r#"[{"value":1,"name":"a"}]"#,
            &["assigned_skills[] order"],
        ),
        (
            "assigned_skills",
            r#"[{"name":"a","value":1}]"#,
            r#"[{"name":"a","value":1,"value":2}]"#,
            &["assigned_skills[] value"],
        ),
        (
            "assigned_skills",
            r#"[{"name":"a","value":1}]"#,
            r#"[{"name":"a"}]"#,
            &["assigned_skills[].value absent"],
        ),
        (
            "assigned_channels",
            r#"[{"type":"A","name":"x","value":1},{"type":"A","name":"y","value":2}]"#,
            r#"[{"type":"B","name":"y","value":2},{"type":"B","name":"x","value":1}]"#,
            &["assigned_channels[].type value", "assigned_channels[].type value"],
        ),
    ] {
        let one = format!(r#"[{{"id":1,"{field}":{control}}}]"#);
        let other = format!(r#"[{{"id":1,"{field}":{candidate}}}]"#);
        assert_eq!(told(&compared(&one, &other)), expected, "{field}: {control} {candidate}");
    }
}

#[test]
fn records_are_aligned_by_id_in_any_order() {
    for (control, candidate, expected) in [
        (r#"[{"id":1},{"id":2}]"#, r#"[{"id":2},{"id":1}]"#, &["$order order"][..]),
        (r#"[{"id":1},{"id":2}]"#, r#"[{"id":2}]"#, &["$records record missing"]),
        (r#"[{"id":1}]"#, r#"[{"id":1},{"id":2}]"#, &["$records record extra"]),
        (r#"[{"id":1}]"#, r#"[{"id":1},{"id":1}]"#, &["$records record repeated"]),
        (
            r#"[{"id":1,"a":1},{"id":1,"a":2}]"#,
            r#"[{"id":1,"a":1},{"id":1,"a":1}]"#,
            &["$copies value"],
        ),
        (r#"[{"id":1,"a":1},{"id":1,"a":2}]"#, r#"[{"id":1,"a":2},{"id":1,"a":1}]"#, &[]),
        (r#"[{"id":1}]"#, r#"[{"id":"1"}]"#, &["id type"]),
        (
            r#"[{"id":1,"a":123456789012345678901}]"#,
            r#"[{"id":1,"a":123456789012345678999}]"#,
            &["$body value"],
        ),
        (
            r#"[{"id":1000000000000000000001}]"#,
            r#"[{"id":1000000000000000000006}]"#,
            &["$records record missing", "$records record extra"],
        ),
        (r#"[{"id":1,"a":1}]"#, r#"[{"id":1}]"#, &["a absent"]),
        (r#"[{"id":1,"a":1}]"#, r#"[{"id":1,"a":1,"a":2}]"#, &["a value"]),
        (r#"[{"id":1,"a":1}]"#, r#"[{"a":1,"id":1}]"#, &["$members order"]),
        ("[]", r#"{"users":[]}"#, &["$envelope value"]),
        ("[]", "null", &["$body value"]),
        ("[", "[", &[]),
    ] {
        assert_eq!(told(&compared(control, candidate)), expected, "{control} {candidate}");
    }
}

#[test]
fn answers_with_another_status_are_not_compared_further() {
    let v1 = endpoint("v1_users").unwrap();
    for (control, candidate, expected) in [
        (reply(200, "[]"), reply(404, "{}"), &["$status value"][..]),
        (reply(401, r#"{"error":"a"}"#), reply(401, r#"{"error":"b"}"#), &["$error value"]),
        (reply(401, r#"{"error":"a"}"#), reply(401, "a"), &["$error type"]),
        (reply(401, ""), reply(401, r#"{"error":"a"}"#), &["$error absent"]),
        (reply(401, r#"{"error":"a"}"#), reply(401, r#"{ "error" : "a" }"#), &[]),
    ] {
        let found = compare(v1, &control, &candidate, KeyedBy::Id);
        assert_eq!(told(&found), expected, "{control:?} {candidate:?}");
    }
}

#[test]
fn every_field_of_a_record_counts_once() {
    let found = compared(
        r#"[{"id":1,"name":"a"},{"id":2,"name":"b"},{"id":3}]"#,
        r#"[{"id":1,"name":"a"},{"id":2,"name":"c"},{"id":4}]"#,
    );
    let of = |field: &str| found.tallies.get(field).map(|tally| (tally.compared, tally.matched));
    assert_eq!(of("name"), Some((2, 1)));
    assert_eq!(of("id"), Some((2, 2)));
    assert_eq!(of("$records"), Some((4, 2)));
    assert_eq!((found.control_records, found.candidate_records, found.common_records), (3, 3, 2));
    assert!(found.differences.iter().all(|one| one.kind != Kind::Order));
}

#[test]
fn a_list_of_many_elements_is_compared_as_one_value() {
    let list = |from: u32| {
        let elements: Vec<String> =
            (from..from + 20_000).map(|n| format!("{{\"n\":{n}}}")).collect();
        format!("[{{\"id\":1,\"a\":[{}]}}]", elements.join(","))
    };
    assert_eq!(told(&compared(&list(0), &list(0))), [""; 0]);
    assert_eq!(told(&compared(&list(0), &list(20_000))), ["a value"]);
    assert_eq!(told(&compared(&list(0), &list(1))), ["a[].n value"]);
}
