//! Finds differences that follow a rule. Such differences are not single wrong values in the data, even if
//! the new API holds what candidate shows: candidate and the witness may both be wrong, or the legacy API
//! may do something that neither knows. So they are bugs.

mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use corpus::node::Node;
use report::Cause;

use super::records::Records;
use crate::cause::Judgement;
use crate::compare::{Compared, Difference, Kind, RECORDS};
use rules::rules;

/// The largest share of differing values, in percent, that can be single values in the data.
const SHARE_MAX: u64 = 20;
/// Up to this number of differences a share means nothing, and records may be missing from a list.
const FEW_MAX: u64 = 5;
/// Up to this number of equal differences may be chance.
const CHANCE_MAX: usize = 2;
/// How many of ten occurrences of a value of candidate must have the same other value of control.
const MOST_OF_TEN: usize = 8;

/// Calls upstream data a bug where the differences are too many or too regular. Only whole lists can show
/// that.
pub(super) fn not_by_rule(found: &Compared, records: &Records<'_>, judged: &mut [Judgement]) {
    let mut fields: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (place, judgement) in judged.iter().enumerate() {
        if judgement.cause == Cause::UpstreamData {
            let of_field = fields.entry(found.differences[place].field.as_str()).or_default();
            of_field.insert(place);
        }
    }
    let mut bugs: BTreeMap<usize, &str> = BTreeMap::new();
    let mut all = |places: &BTreeSet<usize>, why| {
        places.iter().for_each(|place| {
            bugs.entry(*place).or_insert(why);
        });
    };
    for (field, places) in &fields {
        // A record counts once, even if several parts of its field differ.
        let keys: HashSet<&str> =
            places.iter().filter_map(|place| found.differences[*place].record.as_deref()).collect();
        let tally = found.tallies.get(*field).copied().unwrap_or_default();
        let count = keys.len() as u64;
        if count > FEW_MAX && count * 100 > tally.compared * SHARE_MAX {
            all(places, "so many differ that it is the translation and not the data");
        }
        if tally.compared > 1 && tally.matched == 0 {
            all(places, "not one is equal: it is the translation and not the data");
        }
        if *field == RECORDS {
            for kind in [Kind::Missing, Kind::Extra] {
                let of_kind = places.iter().filter(|place| found.differences[**place].kind == kind);
                let of_kind: BTreeSet<usize> = of_kind.copied().collect();
                if of_kind.len() as u64 > FEW_MAX {
                    all(
                        &of_kind,
                        "so many are listed on one side only that it is no single record",
                    );
                }
                let is_extra_bug = |(difference, judgement): (&Difference, &Judgement)| {
                    difference.kind == Kind::Extra && judgement.cause == Cause::Bug
                };
                let mut with_causes = found.differences.iter().zip(judged.iter());
                if kind == Kind::Extra && with_causes.any(is_extra_bug) {
                    all(&of_kind, "control does not list others either whom nothing explains");
                }
                let is_control = kind == Kind::Missing;
                let alone = of_kind.iter().map(|place| {
                    let difference = &found.differences[*place];
                    if is_control { &difference.control } else { &difference.candidate }
                });
                let alone: Vec<&Node> = alone.flatten().collect();
                let common =
                    records.both().map(|(one, other)| if is_control { one } else { other });
                if have_in_common(&alone, &common.collect::<Vec<_>>()) {
                    all(&of_kind, "a whole group is listed on one side only");
                }
            }
            continue;
        }
        let values = Values::of(field, &keys, records);
        if values.follow_a_rule() {
            all(places, "control's value follows from candidate's by a rule for all that differ");
        }
        let replaced = values.replaced();
        let of_replaced = places.iter().filter(|place| {
            let key = found.differences[**place].record.as_deref();
            key.is_some_and(|key| replaced.contains(key))
        });
        let of_replaced = of_replaced.copied().collect();
        all(
            &of_replaced,
            "control has one and the same other value wherever candidate has this one",
        );
    }
    for (place, why) in bugs {
        judged[place].cause = Cause::Bug;
        why.clone_into(&mut judged[place].why);
    }
}

struct Values<'a> {
    /// Key, control's value and candidate's value, where the cause is upstream data.
    differing: Vec<(&'a str, Node, Node)>,
    equal: Vec<Node>,
}

impl<'a> Values<'a> {
    fn of(field: &str, keys: &HashSet<&'a str>, records: &Records<'_>) -> Values<'a> {
        let at = |record: Option<Node>| record.and_then(|record| record.get(field).cloned());
        let mut values = Values { differing: Vec::new(), equal: Vec::new() };
        for key in keys {
            let both = (at(records.control(key)), at(records.candidate(key)));
            if let (Some(control), Some(candidate)) = both {
                values.differing.push((*key, control, candidate));
            }
        }
        for (control, candidate) in records.both() {
            if let (Some(control), Some(candidate)) = (at(Some(control)), at(Some(candidate)))
                && control == candidate
            {
                values.equal.push(control);
            }
        }
        values
    }

    /// Whether a simple rule, such as trimming, turns every differing value of candidate into control's
    /// value, and changes no equal value.
    fn follow_a_rule(&self) -> bool {
        let [(_, control, _), _, ..] = &self.differing[..] else { return false };
        rules(control).iter().any(|rule| {
            self.differing.iter().all(|(_, control, candidate)| rule(candidate) == *control)
                && self.equal.iter().all(|value| rule(value) == *value)
        })
    }

    /// The records in which one value of candidate always has the same other value of control.
    fn replaced(&self) -> HashSet<&'a str> {
        let equal: HashSet<String> = self.equal.iter().map(Node::to_json).collect();
        let mut beside: HashMap<String, HashMap<String, Vec<&'a str>>> = HashMap::new();
        for (key, control, candidate) in &self.differing {
            let of_value = beside.entry(candidate.to_json()).or_default();
            of_value.entry(control.to_json()).or_default().push(key);
        }
        beside.retain(|candidate, _| !equal.contains(candidate));
        let most = beside.into_values().filter_map(|of_value| {
            let all: usize = of_value.values().map(Vec::len).sum();
            let most = of_value.into_values().max_by_key(Vec::len)?;
            (most.len() > CHANCE_MAX && most.len() * 10 >= all * MOST_OF_TEN).then_some(most)
        });
        most.flatten().collect()
    }
}

/// Whether records share a value of a field that no other record has.
fn have_in_common(alone: &[&Node], common: &[Node]) -> bool {
    let [Node::Object(members), ..] = alone else { return false };
    alone.len() > CHANCE_MAX
        && members.iter().any(|(name, value)| {
            alone.iter().all(|record| record.get(name) == Some(value))
                && !common.iter().any(|record| record.get(name) == Some(value))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(differing: &[(&'static str, &str, &str)], equal: &[&str]) -> Values<'static> {
        let differing =
            differing.iter().map(|(key, one, two)| (*key, Node::from(*one), Node::from(*two)));
        let equal = equal.iter().map(|value| Node::from(*value)).collect();
        Values { differing: differing.collect(), equal }
    }

    #[test]
    fn a_rule_must_fit_every_differing_and_every_equal_value() {
        let two = [("1", "Jane", " Jane"), ("2", "Joan", "Joan ")];
        assert!(values(&two, &["Jim"]).follow_a_rule());
        assert!(!values(&two, &["Jim "]).follow_a_rule());
        assert!(!values(&two[..1], &["Jim"]).follow_a_rule());
        assert!(!values(&[two[0], ("2", "Joan", "Jean")], &["Jim"]).follow_a_rule());
    }

    #[test]
    fn a_value_that_always_has_the_same_other_value_is_replaced() {
        let three = [("1", "UTC", ""), ("2", "UTC", ""), ("3", "UTC", "")];
        assert_eq!(values(&three, &["Paris"]).replaced().len(), 3);
        assert_eq!(values(&three, &[""]).replaced().len(), 0);
        assert_eq!(values(&three[1..], &["Paris"]).replaced().len(), 0);
        let mixed = [three[0], three[1], three[2], ("4", "Oslo", ""), ("5", "Rome", "")];
        assert_eq!(values(&mixed, &["Paris"]).replaced().len(), 0);
    }

    fn judged(control: &str, candidate: &str) -> Vec<Cause> {
        use crate::compare::compare;
        use crate::list::KeyedBy;
        use crate::run::Pair;
        use corpus::ask::Reply;
        use corpus::endpoint::ENDPOINTS;
        use std::time::Duration;
        let reply =
            |body: &str| Reply { status: 200, headers: Vec::new(), body: body.to_owned().into() };
        let pair = Pair {
            control: reply(control),
            candidate: reply(candidate),
            control_took: Duration::ZERO,
            candidate_took: Duration::ZERO,
        };
        let found = compare(&ENDPOINTS[0], &pair.control, &pair.candidate, KeyedBy::Id);
        let upstream = Judgement { cause: Cause::UpstreamData, why: String::new(), setting: None };
        let mut judged = vec![upstream; found.differences.len()];
        not_by_rule(&found, &Records::of(&pair, KeyedBy::Id), &mut judged);
        judged.into_iter().map(|judgement| judgement.cause).collect()
    }

    #[test]
    fn without_an_equal_value_a_small_account_has_a_bug() {
        let of = |one: &str, two: &str| {
            format!(r#"[{{"id":1,"name":"{one}"}},{{"id":2,"name":"{two}"}}]"#)
        };
        assert_eq!(judged(&of("q", "x"), &of("a", "b")), [Cause::Bug; 2]);
        assert_eq!(judged(&of("q", "b"), &of("a", "b")), [Cause::UpstreamData]);
    }

    #[test]
    fn a_group_that_one_side_never_lists_is_a_bug() {
        let rows = |ids: std::ops::Range<u32>, sag: &str| -> String {
            ids.map(|id| format!(r#",{{"id":{id},"sag":"{sag}"}}"#)).collect()
        };
        let list = |rows: &str| format!(r#"[{{"id":0,"sag":"B"}}{rows}]"#);
        assert_eq!(judged(&list(&rows(5..8, "A")), &list("")), [Cause::Bug; 3]);
        assert_eq!(judged(&list(""), &list(&rows(5..8, "A"))), [Cause::Bug; 3]);
        assert_eq!(judged(&list(&rows(5..8, "B")), &list("")), [Cause::UpstreamData; 3]);
        assert_eq!(judged(&list(&rows(5..12, "B")), &list("")), [Cause::Bug; 7]);
    }
}
