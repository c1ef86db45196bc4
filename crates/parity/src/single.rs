//! One question, compared and judged by itself: for live requests, where neither the whole lists nor
//! the new API are at hand. What needs either for its explanation has none.

use crate::ask::Reply;
use crate::cause::{Evidence, Judgement, Known, KnownEndpoint};
use crate::compare::{Difference, ERROR, Kind, STATUS, compare};
use crate::endpoint;
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::node::Node;
use std::cell::OnceCell;

/// What differs between two answers of an endpoint, and why. Nothing for an endpoint that there is
/// not.
pub fn judge(
    endpoint: &str,
    knowledge: &Knowledge,
    control: &Reply,
    candidate: &Reply,
) -> Vec<(Difference, Judgement)> {
    let Some(endpoint) = endpoint::endpoint(endpoint) else { return Vec::new() };
    let by = KeyedBy::Id;
    let found = compare(endpoint, control, candidate, by);
    if found.differences.is_empty() {
        return Vec::new();
    }
    let read = |reply: &'_ Reply| reply.body.clone();
    let (one, two) = (read(control), read(candidate));
    let (one, two) = (List::read(&one, by).ok(), List::read(&two, by).ok());
    let record = |list: &Option<List<'_>>, key: &str| Some(list.as_ref()?.record(key)?.node());
    let mut known = KnownEndpoint::default();
    if let (Some(one), Some(two)) = (&one, &two) {
        for (key, of_one) in one.keys.iter().zip(&one.records) {
            if let Some(of_two) = two.record(key) {
                known.pairs.note(&of_one.node(), &of_two.node());
            }
        }
    }
    let settings = knowledge.settings(endpoint.name);
    let nothing = Known::default();
    let evidence = Evidence {
        endpoint,
        knowledge,
        settings: &settings,
        keyed_by: by,
        witness: None,
        pairs: &known.pairs,
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
    let judged = found.differences.into_iter().map(|difference| {
        let is_answer = matches!(difference.field.as_str(), STATUS | ERROR);
        let judgement = match (&difference.record, &refused) {
            (None, Some(refused)) if is_answer => refused.clone(),
            // Without the whole lists and the new API only the ledger knows of these.
            (Some(_), _) if difference.kind == Kind::Missing && !endpoint.lists_users() => {
                evidence.declared_missing()
            }
            (None, _) => evidence.judge(&difference, None, None),
            (Some(key), _) => {
                let (a, b) = (record(&one, key), record(&two, key));
                evidence.judge(&difference, a.as_ref(), b.as_ref())
            }
        };
        (difference, judgement)
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Cause;

    fn reply(body: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Reply { status: 200, headers, body: body.to_owned().into() }
    }

    fn causes(control: &str, candidate: &str) -> Vec<(String, Cause)> {
        let found = judge("v1_users", &Knowledge::default(), &reply(control), &reply(candidate));
        found.into_iter().map(|(one, judgement)| (one.path, judgement.cause)).collect()
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
}
