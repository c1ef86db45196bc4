//! Causes of differences: every cause needs evidence, and a difference without evidence is a bug.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::cell::OnceCell;
use std::collections::HashSet;

use corpus::endpoint::{Endpoint, endpoint};
use corpus::node::Node;
use parity::cause::{Evidence, Judgement, Known, KnownEndpoint};
use parity::compare::{Difference, Kind};
use parity::knowledge::{Knowledge, Settings};
use parity::list::KeyedBy;
use parity::witness::Rows;
use report::Cause;

fn v1() -> &'static Endpoint {
    endpoint("v1_users").unwrap()
}

fn node(text: &str) -> Node {
    Node::parse(text.as_bytes()).unwrap()
}

/// The facts from these records of control and candidate.
fn known(records: &[(&str, &str)]) -> Known {
    let mut of = KnownEndpoint::default();
    for (place, (control, candidate)) in records.iter().enumerate() {
        let (control, candidate) = (node(control), node(candidate));
        of.control.note(v1(), &place.to_string(), &control);
        of.candidate.note(v1(), &place.to_string(), &candidate);
        of.pairs.note(&control, &candidate);
    }
    let mut known = Known::default();
    known.endpoints.insert("v1_users", of);
    known
}

/// Judges a field of a record; `row` is the row of the new API, where that can be asked.
fn judged(
    dialect: &str,
    by: KeyedBy,
    row: Option<&str>,
    field: &str,
    control: &str,
    candidate: &str,
) -> Judgement {
    let known = known(&[(control, candidate)]);
    let (control, candidate) = (node(control), node(candidate));
    let settings = Settings::default();
    let knowledge = Knowledge { dialect: dialect.to_owned(), ..Knowledge::default() };
    let rows: Option<Rows> = row.map(|row| Rows::from([("1".to_owned(), node(row))]));
    let evidence = Evidence {
        endpoint: v1(),
        knowledge: &knowledge,
        settings: &settings,
        keyed_by: by,
        witness: rows.as_ref(),
        pairs: &known.endpoints["v1_users"].pairs,
        known: &known,
        mode: OnceCell::new(),
    };
    let difference = Difference {
        record: Some("1".to_owned()),
        field: field.to_owned(),
        path: field.to_owned(),
        kind: Kind::Value,
        control: control.get(field).cloned(),
        candidate: candidate.get(field).cloned(),
        said: None,
        part: None,
    };
    evidence.judge(&difference, Some(&control), Some(&candidate))
}

#[test]
fn the_row_of_the_new_api_decides() {
    for (field, row, control, candidate, cause) in [
        ("name", r#"{"name":"B"}"#, r#"{"name":"A"}"#, r#"{"name":"B"}"#, Cause::UpstreamData),
        ("name", r#"{"name":"A"}"#, r#"{"name":"A"}"#, r#"{"name":"B"}"#, Cause::Bug),
        ("name", r#"{"name":"C"}"#, r#"{"name":"A"}"#, r#"{"name":"B"}"#, Cause::Bug),
        // The first of two members is right, but a client may read the second.
        ("name", r#"{"name":"A"}"#, r#"{"name":"A"}"#, r#"{"name":"A","name":"B"}"#, Cause::Bug),
        (
            "timezone",
            r#"{"timezone":"Europe/London"}"#,
            r#"{"timezone":"Edinburgh"}"#,
            r#"{"timezone":"London"}"#,
            Cause::Quirk,
        ),
        (
            "timezone",
            r#"{"timezone":"Europe/London"}"#,
            r#"{"timezone":"London"}"#,
            r#"{"timezone":"Europe/London"}"#,
            Cause::Bug,
        ),
        (
            "caller_id",
            r#"{"caller_id":"1202"}"#,
            r#"{"caller_id":"Sales"}"#,
            r#"{"caller_id":"1202"}"#,
            Cause::Quirk,
        ),
        (
            "caller_id",
            r#"{"caller_id":"1202"}"#,
            r#"{"caller_id":"1203"}"#,
            r#"{"caller_id":"1202"}"#,
            Cause::UpstreamData,
        ),
        (
            "caller_id",
            r#"{"caller_id":"12025550039"}"#,
            r#"{"caller_id":"1202..."}"#,
            r#"{"caller_id":"12025550039"}"#,
            Cause::UpstreamData,
        ),
        (
            "employee_id",
            r#"{"employee_id":"7"}"#,
            r#"{"employee_id":7}"#,
            r#"{"employee_id":"7"}"#,
            Cause::Quirk,
        ),
    ] {
        let found = judged("voiso-v4", KeyedBy::Id, Some(row), field, control, candidate);
        assert_eq!(found.cause, cause, "{row} {control} {candidate}: {}", found.why);
        assert_eq!(found.setting.is_some(), cause == Cause::Quirk);
    }
}

#[test]
fn without_the_new_api_candidate_must_follow_its_settings() {
    for (field, control, candidate, cause) in [
        ("name", r#"{"name":"A"}"#, r#"{"name":"B"}"#, Cause::Bug),
        ("timezone", r#"{"timezone":"Europe/London"}"#, r#"{"timezone":"London"}"#, Cause::Quirk),
        ("timezone", r#"{"timezone":"London"}"#, r#"{"timezone":"Europe/London"}"#, Cause::Bug),
        ("timezone", r#"{"timezone":"Istanbul"}"#, r#"{"timezone":"Moscow"}"#, Cause::Bug),
        ("employee_id", r#"{"employee_id":7}"#, r#"{"employee_id":"7"}"#, Cause::Quirk),
        ("employee_id", r#"{"employee_id":"7"}"#, r#"{"employee_id":7}"#, Cause::Bug),
        ("caller_id", r#"{"caller_id":"Sales"}"#, r#"{"caller_id":"1202"}"#, Cause::Quirk),
    ] {
        let found = judged("voiso-v4", KeyedBy::Id, None, field, control, candidate);
        assert_eq!(found.cause, cause, "{control} {candidate}: {}", found.why);
    }
}

#[test]
fn other_ids_of_the_same_people_need_a_vendor_with_other_ids() {
    let (control, candidate) = (r#"{"id":1}"#, r#"{"id":900}"#);
    let address = r#"{"id":"jane@x.example"}"#;
    let found = judged("vonage-v4", KeyedBy::Email, None, "id", address, candidate);
    assert_eq!(found.cause, Cause::Bug, "a map gives numbers only: {}", found.why);
    for (dialect, row, candidate, cause) in [
        ("vonage-v4", None, candidate, Cause::Quirk),
        ("vonage-v4", None, r#"{"id":"x"}"#, Cause::Bug),
        ("voiso-v4", None, candidate, Cause::Bug),
        ("voiso-v4", Some(r#"{"id":"900"}"#), candidate, Cause::Quirk),
        ("voiso-v4", Some(r#"{"id":"1"}"#), candidate, Cause::Bug),
        ("vonage-v4", None, r#"{"name":"without a number"}"#, Cause::Bug),
    ] {
        let found = judged(dialect, KeyedBy::Email, row, "id", control, candidate);
        assert_eq!(found.cause, cause, "{dialect} {row:?} {candidate}: {}", found.why);
    }
}

#[test]
fn each_role_of_vonage_may_replace_a_group() {
    for role in ["Admin", "Supervisor", "Agent", "Wallboard"] {
        let candidate = format!(r#"{{"sag":"{role}"}}"#);
        let control = r#"{"sag":"Night shift"}"#;
        let found = judged("vonage-v4", KeyedBy::Id, None, "sag", control, &candidate);
        assert_eq!(found.cause, Cause::Quirk, "{role}: {}", found.why);
    }
    let found =
        judged("vonage-v4", KeyedBy::Id, None, "sag", r#"{"sag":"A"}"#, r#"{"sag":"Owner"}"#);
    assert_eq!(found.cause, Cause::Bug);
}

#[test]
fn a_zone_without_a_rails_name_decides_nothing() {
    let troll = r#"{"timezone":"Antarctica/Troll"}"#;
    let known = known(&[(troll, troll)]);
    assert_eq!(known.endpoints["v1_users"].pairs.held("timezone"), 0);
    let london = r#"{"timezone":"London"}"#;
    let known = self::known(&[(london, london)]);
    assert_eq!(known.endpoints["v1_users"].pairs.held("timezone"), 1);
}

#[test]
fn a_filter_that_control_applies_as_set_is_no_quirk() {
    // The new API has another name for record 0, so only control finds it under the old name.
    let known = known(&[
        (r#"{"name":"Jane"}"#, r#"{"name":"Joan"}"#),
        (r#"{"name":"jane"}"#, r#"{"name":"jane"}"#),
    ]);
    let settings = Settings::default();
    let knowledge = Knowledge::default();
    for (listed, is_quirk) in [(&["0"][..], false), (&["0", "1"], true)] {
        let evidence = of_v1(&known, &knowledge, &settings);
        let filters = [("name".to_owned(), "Jane".to_owned())];
        let listed: HashSet<String> = listed.iter().map(|key| (*key).to_owned()).collect();
        let found = evidence.filtered(Kind::Missing, "0", &filters, &listed);
        assert_eq!(found.cause == Cause::Quirk, is_quirk, "{listed:?}: {}", found.why);
    }
}

/// The evidence of a question to v1 users, without the new API's rows.
fn of_v1<'a>(known: &'a Known, knowledge: &'a Knowledge, settings: &'a Settings) -> Evidence<'a> {
    Evidence {
        endpoint: v1(),
        knowledge,
        settings,
        keyed_by: KeyedBy::Id,
        witness: None,
        pairs: &known.endpoints["v1_users"].pairs,
        known,
        mode: OnceCell::new(),
    }
}

#[test]
fn one_value_in_another_form_is_never_the_data_of_the_new_api() {
    for (field, shown, control) in [
        ("extension", "null", r#""null""#),
        ("extension", "null", r#""None""#),
        ("extension", "null", r#""-""#),
        ("extension", r#""nil""#, "null"),
        ("extension", r#""5""#, r#""5.0""#),
        ("extension", r#""1000""#, r#""1e3""#),
        ("name", r#""Max 🎧 Ray""#, r#""Max \ufffd""#),
    ] {
        let of = |value: &str| format!(r#"{{"{field}":{value}}}"#);
        let (control, shown) = (of(control), of(shown));
        let found = judged("voiso-v4", KeyedBy::Id, Some(&shown), field, &control, &shown);
        assert_eq!(found.cause, Cause::Bug, "{control} {shown}: {}", found.why);
        assert!(!found.why.contains("nothing known"), "{control} {shown}: {}", found.why);
    }
}

/// Three users of one zone, for which control has two names, and candidate one.
#[test]
fn names_of_a_zone_that_users_chose_explain_the_filter_too() {
    let row = |zone: &str| format!(r#"{{"timezone":"{zone}"}}"#);
    let (london, edinburgh) = (row("London"), row("Edinburgh"));
    let known = known(&[(&edinburgh, &london), (&london, &london), (&london, &london)]);
    let (settings, knowledge) = (Settings::default(), Knowledge::default());
    let judge = |wanted: &str, key: &str, listed: &[&str]| {
        let evidence = of_v1(&known, &knowledge, &settings);
        let filters = [("timezone".to_owned(), wanted.to_owned())];
        let listed: HashSet<String> = listed.iter().map(|key| (*key).to_owned()).collect();
        evidence.filtered(Kind::Extra, key, &filters, &listed).cause
    };
    assert_eq!(judge("Edinburgh", "1", &["0"]), Cause::DeclaredLoss);
    assert_eq!(judge("London", "0", &["1", "2"]), Cause::DeclaredLoss);
    assert_eq!(judge("London", "0", &["1"]), Cause::Bug, "one who has the name is not listed");
}
