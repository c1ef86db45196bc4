//! Compares and judges the two answers to one live question, by the rules of a validation as far as one pair
//! of answers allows. It cannot ask the new API, so other data there and a mistake of candidate often look
//! alike. Such a difference is undecided: it must never be excused without the ledger, and never be called a
//! bug.
//!
//! Answers may have any length and any content. Differences are passed on record by record, and only a few
//! undecided ones are kept until the end, where a rule may decide them. The receiver can stop between two
//! records.

mod open;

use std::cell::OnceCell;

use corpus::ask::Reply;
use corpus::endpoint::{self, Endpoint};
use corpus::node::Node;
use report::Cause;

use crate::cause::{Evidence, Known, Pairs, stands_twice};
use crate::compare::{BODY, Difference, Kind, Listener, RecordPair, compare_into};
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::zone;
use open::Open;

/// The most differences of one record that are passed on. The others become one unexplained difference.
const OF_A_RECORD_MAX: usize = 256;
/// A live question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub endpoint: &'a str,
    /// Whether both sides list everything: without a filter, and for a caller that sees all users. A rule
    /// can be seen in such lists only.
    pub is_whole: bool,
    /// Whether other data in a record can bring it into the list: a filter looks at more than the id.
    pub is_filtered: bool,
}

/// Gives every difference between two answers, with its cause, to `receive`; `None` is undecided. It does
/// nothing for an unknown endpoint, and stops when `goes_on` returns false.
pub fn judge(
    question: Question<'_>,
    knowledge: &Knowledge,
    (control, candidate): (&Reply, &Reply),
    goes_on: &dyn Fn() -> bool,
    receive: &mut dyn FnMut(Difference, Option<Cause>),
) {
    let Some(endpoint) = endpoint::endpoint(question.endpoint) else { return };
    let by = KeyedBy::Id;
    let pairs = pairs(control, candidate, by, goes_on);
    let settings = knowledge.settings(endpoint.name);
    let nothing = Known::default();
    let evidence = Evidence {
        endpoint,
        knowledge,
        settings: &settings,
        keyed_by: by,
        witness: None,
        pairs: &pairs,
        known: &nothing,
        mode: OnceCell::new(),
    };
    let cause = |difference: &Difference, both: RecordPair<'_>| {
        let (of_control, of_candidate) = both.unzip();
        let judgement = evidence.judge(difference, of_control, of_candidate);
        decided(question, &evidence, difference, both, judgement.cause)
    };
    let mut open = Open::default();
    let take = &mut |mut found: std::vec::Drain<'_, Difference>, both: RecordPair<'_>| {
        for difference in found.by_ref().take(OF_A_RECORD_MAX) {
            match cause(&difference, both) {
                None => {
                    if let Some(difference) = open.keep(difference) {
                        receive(difference, None);
                    }
                }
                decided => receive(difference, decided),
            }
        }
        if let Some(Difference { record, .. }) = found.next() {
            let (field, path, kind) = (BODY.to_owned(), BODY.to_owned(), Kind::Value);
            let (control, candidate, said, part) = (None, None, None, None);
            let beyond = Difference { record, field, path, kind, control, candidate, said, part };
            receive(beyond, Some(Cause::Bug));
        }
    };
    compare_into(endpoint, control, candidate, by, &mut Listener { take, goes_on });
    let is_ruled = question.is_whole && goes_on() && !open.is_empty();
    let read = |reply| is_ruled.then(|| List::read(reply, by).ok()).flatten();
    open.settle(endpoint, read(&control.body).zip(read(&candidate.body)), receive);
}

/// The cause of a difference by the evidence of one pair of answers; `None` where a validation would need
/// more evidence than that.
fn decided(
    question: Question<'_>,
    evidence: &Evidence<'_>,
    difference: &Difference,
    both: RecordPair<'_>,
    cause: Cause,
) -> Option<Cause> {
    let field = difference.field.as_str();
    let is_open = match (cause, difference.kind) {
        (Cause::Bug, Kind::Missing) if evidence.declares_missing() => {
            return Some(Cause::DeclaredLoss);
        }
        // A user, or a team, may be missing in the new API too.
        (Cause::Bug, Kind::Missing) => true,
        (Cause::Bug, Kind::Extra) => question.is_filtered,
        (Cause::Bug, Kind::Value | Kind::Type) => {
            let is_twice = both.is_some_and(|(one, other)| {
                stands_twice(Some(one), field) || stands_twice(Some(other), field)
            });
            let is_part = field.starts_with('$') || difference.record.is_none();
            !is_part && !is_twice && !is_another_form(evidence.endpoint, difference)
        }
        // One record would excuse any wrong value: an entry of a dictionary, or a default that is not known,
        // needs two.
        (Cause::Quirk, _) => {
            !is_same_zone(difference) && records_with(evidence, difference, both).0 == 1
        }
        (Cause::DeclaredLoss, _) => {
            evidence.knowledge.status(evidence.endpoint.name, field) == "defaulted"
                && !evidence.knowledge.defaults.contains_key(field)
                && difference.candidate != Some(Node::Null)
                && records_with(evidence, difference, both).1 == 1
        }
        _ => false,
    };
    (!is_open).then_some(cause)
}

/// How many records have both values side by side, and how many have candidate's value, for a field that a
/// dictionary translates; otherwise 0.
fn records_with(
    evidence: &Evidence<'_>,
    difference: &Difference,
    both: RecordPair<'_>,
) -> (u64, u64) {
    let (Some(control), Some(candidate)) = (&difference.control, &difference.candidate) else {
        return (0, 0);
    };
    let (of, others) = evidence.pairs.evidence(&difference.path, candidate, control);
    // Several channels of one record may have the same pair.
    let channels = both.and_then(|(record, _)| record.get(&difference.field)?.list());
    let of_channels = channels.into_iter().flatten();
    let here = of_channels.filter(|channel| channel.get("type") == Some(control)).count();
    let records = |pairs: u64| pairs.div_ceil((here as u64).max(1));
    (records(of), records(of + others))
}

fn is_same_zone(difference: &Difference) -> bool {
    match (difference.path.as_str(), &difference.control, &difference.candidate) {
        ("timezone", Some(Node::Text(one)), Some(Node::Text(other))) => {
            zone::id(one) == zone::id(other)
        }
        _ => false,
    }
}

/// Whether two values differ in their form only, which is never other data.
fn is_another_form(endpoint: &Endpoint, difference: &Difference) -> bool {
    let parts = |text: &str| -> Vec<String> {
        text.split(',').map(|part| part.trim().to_owned()).collect()
    };
    match (&difference.control, &difference.candidate) {
        (Some(Node::Text(one)), Some(Node::Text(other))) => {
            endpoint.is_joined(&difference.field) && parts(one) == parts(other)
                || is_same_zone(difference)
        }
        (Some(Node::Number(one)), Some(Node::Number(other))) => one.as_f64() == other.as_f64(),
        (Some(Node::Null), Some(value)) | (Some(value), Some(Node::Null)) => match value {
            Node::Text(text) => text.is_empty(),
            Node::List(list) => list.is_empty(),
            _ => false,
        },
        _ => difference.kind == Kind::Type,
    }
}

/// The pairs of values in the records that both sides have.
fn pairs(control: &Reply, candidate: &Reply, by: KeyedBy, goes_on: &dyn Fn() -> bool) -> Pairs {
    let mut pairs = Pairs::default();
    if control.body == candidate.body {
        return pairs;
    }
    let read = |reply| List::read(reply, by).ok();
    let both = (read(&control.body), read(&candidate.body));
    let (Some(control), Some(candidate)) = both else { return pairs };
    for (key, of_control) in control.keys.iter().zip(&control.records) {
        if !goes_on() {
            break;
        }
        if let Some(of_candidate) = candidate.record(key) {
            pairs.note(&of_control.node(), &of_candidate.node());
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::open::OPEN_BYTES_MAX;
    use super::*;

    fn reply(body: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Reply { status: 200, headers, body: body.to_owned().into() }
    }

    const WHOLE: Question<'_> =
        Question { endpoint: "v1_users", is_whole: true, is_filtered: false };
    const FILTERED: Question<'_> = Question { is_whole: false, is_filtered: true, ..WHOLE };

    fn causes_of(
        question: Question<'_>,
        knowledge: &Knowledge,
        (control, candidate): (&Reply, &Reply),
    ) -> Vec<(String, Option<Cause>)> {
        let mut found = Vec::new();
        judge(question, knowledge, (control, candidate), &|| true, &mut |one, cause| {
            found.push((one.path, cause));
        });
        found
    }

    fn causes(control: &str, candidate: &str) -> Vec<(String, Option<Cause>)> {
        causes_of(WHOLE, &Knowledge::default(), (&reply(control), &reply(candidate)))
    }

    /// The causes of a field with these values of control and candidate, one record for each pair.
    fn of_field(field: &str, values: &[(&str, &str)]) -> Vec<Option<Cause>> {
        let (control, candidate) = lists(field, values);
        causes(&control, &candidate).into_iter().map(|(_, cause)| cause).collect()
    }

    fn lists(field: &str, values: &[(&str, &str)]) -> (String, String) {
        let list = |side: fn(&(&str, &str)) -> String| {
            let rows = values.iter().map(side).enumerate();
            let rows = rows.map(|(id, value)| format!(r#"{{"id":{id},"{field}":{value}}}"#));
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        };
        (list(|(control, _)| (*control).to_owned()), list(|(_, candidate)| (*candidate).to_owned()))
    }

    const BUG: Option<Cause> = Some(Cause::Bug);
    const QUIRK: Option<Cause> = Some(Cause::Quirk);
    const ORDER: Option<Cause> = Some(Cause::Order);

    #[test]
    fn another_form_has_a_cause_and_another_value_of_one_record_is_undecided() {
        let order = ("$order".to_owned(), ORDER);
        assert_eq!(causes(r#"[{"id":1},{"id":2}]"#, r#"[{"id":2},{"id":1}]"#), [order]);
        for (field, control, candidate, cause) in [
            ("employee_id", "7", "\"7\"", QUIRK),
            ("timezone", "\"Europe/Istanbul\"", "\"Istanbul\"", QUIRK),
            ("timezone", "\"Edinburgh\"", "\"London\"", QUIRK),
            ("timezone", "\"Paris\"", "\"London\"", None),
            ("assigned_teams", "\"2, 1\"", "\"1, 2\"", ORDER),
            ("assigned_teams", "\"1,2\"", "\"1, 2\"", BUG),
            ("assigned_teams", "\"1, 3\"", "\"1, 2\"", None),
            ("name", "null", "\"\"", BUG),
            ("name", "null", "\"Jane\"", None),
            ("name", "\"Jane\"", "\"Joan\"", None),
            ("extension", "8", "\"7\"", BUG),
            ("extension", "7.0", "7", BUG),
            ("extension", "8", "7", None),
        ] {
            let (one, other) = lists(field, &[(control, candidate)]);
            let found = causes(&one, &other);
            assert_eq!(found, [(field.to_owned(), cause)], "{control} {candidate}");
        }
        assert_eq!(causes(r#"[{"id":1,"name":"a"}]"#, r#"[{"id":1}]"#), [("name".to_owned(), BUG)]);
        let twice = causes(r#"[{"id":1,"sag":"a"}]"#, r#"[{"id":1,"sag":"a","sag":"b"}]"#);
        assert_eq!(twice, [("sag".to_owned(), BUG)]);
    }

    #[test]
    fn one_record_never_excuses_a_wrong_value() {
        let sales = ("\"Sales\"", "\"+12025550100\"");
        assert_eq!(of_field("caller_id", &[sales]), [None]);
        assert_eq!(of_field("caller_id", &[sales, sales]), [QUIRK; 2]);
        // Where no value is equal it would be a rule.
        let equal = ("\"Home\"", "\"Home\"");
        assert_eq!(of_field("caller_id", &[sales, ("\"Ops\"", sales.1), equal]), [None; 2]);
        let channels = |count: usize| {
            let of = |name: &str| {
                format!("[{}]", vec![format!(r#"{{"type":"{name}","value":1}}"#); count].join(","))
            };
            (of("Telephone"), of("call_center"))
        };
        let (control, candidate) = channels(2);
        let pair = (control.as_str(), candidate.as_str());
        assert!(of_field("assigned_channels", &[pair]).iter().all(Option::is_none));
        assert_eq!(of_field("assigned_channels", &[pair, pair]), [QUIRK; 4]);
        // A default that is not known is one only if every user has it.
        let vonage: Knowledge = serde_json::from_value(serde_json::json!({
            "dialect": "vonage-v4",
            "ledger": [{
                "endpoint": "v1_users", "field": "timezone", "dialect": "vonage-v4",
                "status": "defaulted", "reason": "It has no zones.",
            }],
        }))
        .unwrap();
        let of = |values: &[(&str, &str)]| {
            let (control, candidate) = lists("timezone", values);
            causes_of(WHOLE, &vonage, (&reply(&control), &reply(&candidate)))
        };
        let (paris, rome) = (("\"Paris\"", "\"London\""), ("\"Rome\"", "\"London\""));
        let zone = |cause| ("timezone".to_owned(), cause);
        assert_eq!(of(&[paris]), [zone(None)]);
        let loss = zone(Some(Cause::DeclaredLoss));
        assert_eq!(of(&[paris, rome]), [loss.clone(), loss]);
    }

    #[test]
    fn a_rule_over_whole_lists_is_a_bug_and_under_a_filter_it_is_undecided() {
        let mut values = vec![("\"Jane\"", "\" Jane\""), ("\"Joan\"", "\"Joan \"")];
        values.extend(vec![("\"Max\"", "\"Max\""); 20]);
        assert_eq!(of_field("name", &values), [BUG; 2]);
        let all = [("\"a\"", "\"x\""), ("\"b\"", "\"y\"")];
        assert_eq!(of_field("name", &all), [BUG; 2], "not one is equal");
        let (control, candidate) = lists("name", &all);
        let both = (&reply(&control), &reply(&candidate));
        let undecided = causes_of(FILTERED, &Knowledge::default(), both);
        assert!(undecided.iter().all(|(_, cause)| cause.is_none()), "{undecided:?}");
        values.splice(..2, [("\"Jane\"", "\"Mary\""), ("\"Joan\"", "\"Joe\"")]);
        assert_eq!(of_field("name", &values), [None; 2]);
    }

    #[test]
    fn a_missing_record_is_undecided_and_one_too_many_is_a_bug() {
        let (one, two) = (r#"[{"id":1}]"#, r#"[{"id":1},{"id":2}]"#);
        assert_eq!(causes(two, one), [("$records".to_owned(), None)]);
        assert_eq!(causes(one, two), [("$records".to_owned(), BUG)]);
        let many = |ids: std::ops::Range<u32>| {
            let rows: Vec<String> = ids.map(|id| format!(r#"{{"id":{id}}}"#)).collect();
            format!("[{}]", rows.join(","))
        };
        let missing = causes(&many(0..20), &many(0..10));
        assert!(missing.len() == 10 && missing.iter().all(|(_, cause)| *cause == BUG));
    }

    #[test]
    fn an_extra_record_is_undecided_where_other_data_can_bring_it_into_the_list() {
        let (one, two) = (reply(r#"[{"id":1}]"#), reply(r#"[{"id":1},{"id":2}]"#));
        let narrowed = Question { is_whole: false, ..WHOLE };
        for (question, cause) in [(FILTERED, None), (narrowed, BUG), (WHOLE, BUG)] {
            let found = causes_of(question, &Knowledge::default(), (&one, &two));
            assert_eq!(found, [("$records".to_owned(), cause)], "{question:?}");
        }
    }

    #[test]
    fn missing_records_are_a_loss_where_the_ledger_declares_it_for_the_endpoint() {
        let row = |endpoint: &str, code: &str| {
            serde_json::json!({
                "endpoint": endpoint, "field": "id", "dialect": "voiso-v4",
                "status": "renamed", "code": code, "reason": "It may be missing.",
            })
        };
        let ledger = [
            row("v1_users", "same_value"),
            row("v2_cdr_deleted_agents", "vanished_users_missing"),
            row("v2_cdr_teams", "empty_teams_missing"),
        ];
        let of = |dialect: &str| -> Knowledge {
            let all = serde_json::json!({ "dialect": dialect, "ledger": ledger });
            serde_json::from_value(all).unwrap()
        };
        let many = |ids: std::ops::Range<u32>| {
            let rows: Vec<String> = ids.map(|id| format!(r#"{{"id":{id}}}"#)).collect();
            reply(&format!("[{}]", rows.join(",")))
        };
        let (longer, shorter) = (many(0..20), many(0..10));
        let declared = Some(Cause::DeclaredLoss);
        for (endpoint, dialect, missing) in [
            ("v2_cdr_deleted_agents", "voiso-v4", declared),
            ("v2_cdr_teams", "voiso-v4", declared),
            ("v2_cdr_teams", "vonage-v4", BUG),
            ("v1_users", "voiso-v4", BUG),
        ] {
            let question = Question { endpoint, ..WHOLE };
            let found = causes_of(question, &of(dialect), (&longer, &shorter));
            let expected = vec![("$records".to_owned(), missing); 10];
            assert_eq!(found, expected, "{endpoint} {dialect}");
            let extra = causes_of(question, &of(dialect), (&shorter, &longer));
            assert!(extra.iter().all(|(_, cause)| *cause == BUG), "no loss: {endpoint}");
        }
    }

    #[test]
    fn differences_that_have_a_cause_leave_room_for_rules() {
        let odd: String = (0..100).map(|n| format!(r#","odd{n}":1"#)).collect();
        let list = |values: &[&str], odd: &str| {
            let rows = values.iter().enumerate();
            let rows = rows.map(|(id, name)| format!(r#"{{"id":{id}{odd},"name":"{name}"}}"#));
            format!("[{}]", rows.collect::<Vec<_>>().join(","))
        };
        let plain = ["Max"; 200];
        let (mut one, mut other) = (plain, plain);
        (one[0], one[1]) = ("Jane", "Joan");
        (other[0], other[1]) = (" Jane", "Joan ");
        let found = causes(&list(&one, &odd), &list(&other, ""));
        let names: Vec<_> = found.iter().filter(|(path, _)| path == "name").collect();
        assert_eq!((found.len(), names.len()), (200 * 100 + 2, 2));
        assert!(names.iter().all(|(_, cause)| *cause == BUG), "{names:?}");
    }

    #[test]
    fn a_404_beside_an_empty_list_is_a_bug() {
        let not_found = Reply { status: 404, ..reply(r#"{"error":"Not found"}"#) };
        for silent in [not_found.clone(), Reply { body: "".into(), ..not_found }] {
            for both in [(&silent, &reply("[]")), (&reply("[]"), &silent)] {
                let found = causes_of(FILTERED, &Knowledge::default(), both);
                assert_eq!(found, [("$status".to_owned(), BUG)]);
            }
        }
    }

    #[test]
    fn of_a_record_with_many_differences_a_part_is_passed_on() {
        // Comparing each member with every other one would take hours.
        let record = |value: u8| {
            let members: Vec<String> = (0..20_000).map(|n| format!("\"m{n}\":{value}")).collect();
            format!("[{{\"id\":1,{}}},{{\"id\":2,\"name\":{value}}}]", members.join(","))
        };
        let found = causes(&record(1), &record(2));
        assert_eq!(found.len(), OF_A_RECORD_MAX + 2);
        assert_eq!(found.iter().filter(|one| **one == (BODY.to_owned(), BUG)).count(), 1);
        assert_eq!(found.iter().filter(|one| **one == ("name".to_owned(), None)).count(), 1);
    }

    #[test]
    fn no_more_than_a_few_undecided_differences_are_kept() {
        let value = format!("\"{}\"", "x".repeat(1 << 10));
        let values = vec![("\"\"", value.as_str()); 3000];
        let (control, candidate) = lists("name", &values);
        let (control, candidate) = (reply(&control), reply(&candidate));
        let received = std::cell::Cell::new(0);
        let at_end = std::cell::Cell::new(0);
        let goes_on = || {
            at_end.set(received.get());
            true
        };
        let knowledge = Knowledge::default();
        judge(WHOLE, &knowledge, (&control, &candidate), &goes_on, &mut |_, _| {
            received.set(received.get() + 1);
        });
        assert_eq!(received.get(), 3000);
        // The last look is before the kept ones are passed on.
        let kept = 3000 - at_end.get();
        assert!((1..=OPEN_BYTES_MAX / value.len()).contains(&kept), "{kept} are kept");
    }

    #[test]
    fn it_stops_between_two_records_when_it_should() {
        let list = |name: &str| {
            let records = (0..100).map(|id| format!("{{\"id\":{id}{name}}}"));
            format!("[{}]", records.collect::<Vec<_>>().join(","))
        };
        // Another value is kept until the end. A missing member is passed on at once.
        for of_candidate in [",\"name\":2", ""] {
            let (control, candidate) = (reply(&list(",\"name\":1")), reply(&list(of_candidate)));
            let (received, looks) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
            // One look for each pair of values, and then one for each record.
            let goes_on = || {
                looks.set(looks.get() + 1);
                looks.get() <= 100 + 10
            };
            let knowledge = Knowledge::default();
            judge(WHOLE, &knowledge, (&control, &candidate), &goes_on, &mut |_, _| {
                received.set(received.get() + 1);
            });
            assert_eq!(received.get(), 10, "{of_candidate}");
        }
    }
}
