//! Compares and judges one question by itself, for live requests. Neither the whole lists nor the new API
//! can be asked, so differences that need them stay unexplained.
//!
//! Answers may have any length and any content. Differences are passed on record by record and not kept,
//! and the receiver can stop between two records.

use std::cell::OnceCell;

use corpus::ask::Reply;
use corpus::endpoint;

use crate::cause::{Evidence, Judgement, Known, Pairs};
use crate::compare::{BODY, Difference, ERROR, Kind, Listener, RecordPair, STATUS, compare_into};
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};

/// The most differences of one record that are passed on. The others become one unexplained difference.
const OF_A_RECORD_MAX: usize = 256;

/// Gives every difference between two answers of an endpoint, with its judgement, to `receive`. It does
/// nothing for an unknown endpoint, and stops when `goes_on` returns false.
pub fn judge(
    endpoint: &str,
    knowledge: &Knowledge,
    (control, candidate): (&Reply, &Reply),
    goes_on: &dyn Fn() -> bool,
    receive: &mut dyn FnMut(Difference, Judgement),
) {
    let Some(endpoint) = endpoint::endpoint(endpoint) else { return };
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
    let are_refused = [control, candidate].iter().all(|reply| matches!(reply.status, 401 | 403));
    let refused = if are_refused { evidence.refused(control, candidate) } else { None };
    let why = |difference: &Difference, both: RecordPair<'_>| {
        let is_answer = matches!(difference.field.as_str(), STATUS | ERROR);
        match (&difference.record, &refused) {
            (None, Some(refused)) if is_answer => refused.clone(),
            // Without the whole lists and the new API only the ledger explains these.
            (Some(_), _) if difference.kind == Kind::Missing && !endpoint.lists_users() => {
                evidence.declared_missing()
            }
            _ => evidence.judge(
                difference,
                both.map(|(control, _)| control),
                both.map(|(_, candidate)| candidate),
            ),
        }
    };
    let take = &mut |mut found: std::vec::Drain<'_, Difference>, both: RecordPair<'_>| {
        for difference in found.by_ref().take(OF_A_RECORD_MAX) {
            let judgement = why(&difference, both);
            receive(difference, judgement);
        }
        if let Some(Difference { record, .. }) = found.next() {
            let (field, path, kind) = (BODY.to_owned(), BODY.to_owned(), Kind::Value);
            let beyond = Difference { record, field, path, kind, control: None, candidate: None };
            receive(beyond, Judgement::bug("more of a record differs than is looked at"));
        }
    };
    compare_into(endpoint, control, candidate, by, &mut Listener { take, goes_on });
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
    use super::*;
    use report::Cause;

    fn reply(body: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Reply { status: 200, headers, body: body.to_owned().into() }
    }

    fn causes(control: &str, candidate: &str) -> Vec<(String, Cause)> {
        let (mut found, both) = (Vec::new(), (&reply(control), &reply(candidate)));
        judge("v1_users", &Knowledge::default(), both, &|| true, &mut |one, judgement| {
            found.push((one.path, judgement.cause));
        });
        found
    }

    #[test]
    fn another_form_of_a_value_is_no_bug_and_another_value_is() {
        let order = ("$order".to_owned(), Cause::Order);
        assert_eq!(causes(r#"[{"id":1},{"id":2}]"#, r#"[{"id":2},{"id":1}]"#), [order]);
        for (field, control, candidate, cause) in [
            ("employee_id", "7", "\"7\"", Cause::Quirk),
            ("timezone", "\"Europe/Istanbul\"", "\"Istanbul\"", Cause::Quirk),
            ("timezone", "\"Edinburgh\"", "\"London\"", Cause::Quirk),
            ("timezone", "\"Paris\"", "\"London\"", Cause::Bug),
            ("assigned_teams", "\"2, 1\"", "\"1, 2\"", Cause::Order),
            ("assigned_teams", "\"1,2\"", "\"1, 2\"", Cause::Bug),
            ("name", "null", "\"\"", Cause::Bug),
        ] {
            let record = |value: &str| format!(r#"[{{"id":1,"{field}":{value}}}]"#);
            let found = causes(&record(control), &record(candidate));
            assert_eq!(found, [(field.to_owned(), cause)], "{control} {candidate}");
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
        assert_eq!(found[OF_A_RECORD_MAX], (BODY.to_owned(), Cause::Bug));
        assert_eq!(found[OF_A_RECORD_MAX + 1], ("name".to_owned(), Cause::Bug));
    }

    #[test]
    fn it_stops_between_two_records_when_it_should() {
        let list = |value: u8| {
            let records = (0..100).map(|id| format!("{{\"id\":{id},\"name\":{value}}}"));
            format!("[{}]", records.collect::<Vec<_>>().join(","))
        };
        let (control, candidate) = (reply(&list(1)), reply(&list(2)));
        let received = std::cell::Cell::new(0);
        let goes_on = || received.get() < 10;
        judge("v1_users", &Knowledge::default(), (&control, &candidate), &goes_on, &mut |_, _| {
            received.set(received.get() + 1);
        });
        assert_eq!(received.get(), 10);
    }
}
