//! One question, compared and judged by itself: for live requests, where neither the whole lists nor
//! the new API are at hand. What needs either for its explanation has none.
//!
//! Both answers may be as long as they like, and hold anything: what differs is told record by record,
//! nothing of it is kept, and whoever is told can end it between two records.

use std::cell::OnceCell;

use corpus::ask::Reply;
use corpus::endpoint;
use corpus::node::Node;
use report::Cause;

use crate::cause::{Evidence, Judgement, Known, Pairs};
use crate::compare::{BODY, Both, Difference, ERROR, Kind, STATUS, Told, tell};
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};

/// Differences of one record that are told one by one; what is beyond is told as one that nothing
/// explains.
const OF_A_RECORD_MAX: usize = 256;

/// Tells what differs between two answers of an endpoint, and why. Nothing for an endpoint that there
/// is not, and no more once `goes_on` says no.
pub fn judge(
    endpoint: &str,
    knowledge: &Knowledge,
    (control, candidate): (&Reply, &Reply),
    goes_on: &dyn Fn() -> bool,
    told: &mut dyn FnMut(Difference, Judgement),
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
    let body = |reply: &Reply| Node::parse(&reply.body).unwrap_or(Node::Null);
    let are_refused = [control, candidate].iter().all(|reply| matches!(reply.status, 401 | 403));
    let refused = are_refused
        .then(|| {
            evidence.refused((control.status, &body(control)), (candidate.status, &body(candidate)))
        })
        .flatten();
    let why = |difference: &Difference, both: Both<'_>| {
        let is_answer = matches!(difference.field.as_str(), STATUS | ERROR);
        match (&difference.record, &refused) {
            (None, Some(refused)) if is_answer => refused.clone(),
            // Without the whole lists and the new API only the ledger knows of these.
            (Some(_), _) if difference.kind == Kind::Missing && !endpoint.lists_users() => {
                evidence.declared_missing()
            }
            _ => evidence.judge(difference, both.map(|(one, _)| one), both.map(|(_, other)| other)),
        }
    };
    let all = &mut |mut found: std::vec::Drain<'_, Difference>, both: Both<'_>| {
        for difference in found.by_ref().take(OF_A_RECORD_MAX) {
            let judgement = why(&difference, both);
            told(difference, judgement);
        }
        if let Some(Difference { record, .. }) = found.next() {
            let (field, path, kind) = (BODY.to_owned(), BODY.to_owned(), Kind::Value);
            let beyond = Difference { record, field, path, kind, control: None, candidate: None };
            let why = "more of a record differs than is looked at".to_owned();
            told(beyond, Judgement { cause: Cause::Bug, why, setting: None });
        }
    };
    tell(endpoint, control, candidate, by, &mut Told { all, goes_on });
}

/// What stands beside what in the records that both have.
fn pairs(control: &Reply, candidate: &Reply, by: KeyedBy, goes_on: &dyn Fn() -> bool) -> Pairs {
    let mut pairs = Pairs::default();
    if control.body == candidate.body {
        return pairs;
    }
    let read = |reply| List::read(reply, by).ok();
    let (Some(one), Some(two)) = (read(&control.body), read(&candidate.body)) else { return pairs };
    for (key, of_one) in one.keys.iter().zip(&one.records) {
        if !goes_on() {
            break;
        }
        if let Some(of_two) = two.record(key) {
            pairs.note(&of_one.node(), &of_two.node());
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
    fn the_form_of_an_answer_is_told_from_a_wrong_one() {
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
    fn a_record_of_any_width_is_read_once_and_told_in_part() {
        // Each member with each of the others, read anew each time, would take hours.
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
    fn it_ends_between_two_records_when_it_is_told_to() {
        let list = |value: u8| {
            let records = (0..100).map(|id| format!("{{\"id\":{id},\"name\":{value}}}"));
            format!("[{}]", records.collect::<Vec<_>>().join(","))
        };
        let (control, candidate) = (reply(&list(1)), reply(&list(2)));
        let told = std::cell::Cell::new(0);
        let goes_on = || told.get() < 10;
        judge("v1_users", &Knowledge::default(), (&control, &candidate), &goes_on, &mut |_, _| {
            told.set(told.get() + 1);
        });
        assert_eq!(told.get(), 10);
    }
}
