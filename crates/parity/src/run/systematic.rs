//! Finds differences that follow a rule. Such differences are not single wrong values in the data, even if
//! the new API holds what candidate shows: candidate and the witness may both be wrong, or the legacy API
//! may do something that neither knows. So they are bugs.

mod learned;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use corpus::endpoint::Endpoint;
use corpus::node::Node;
use report::Cause;

use super::records::Records;
use crate::cause::{Judgement, NOTHING_KNOWN};
use crate::compare::{Compared, Difference, Kind, RECORDS};
use learned::{LOOKED_AT_MAX, Placed, learned};

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
pub(super) fn not_by_rule(
    endpoint: &Endpoint,
    found: &Compared,
    records: &Records<'_>,
    judged: &mut [Judgement],
) {
    let mut fields: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (place, judgement) in judged.iter().enumerate() {
        // Without the new API's rows nothing known explains a rule, but it has a name all the same.
        let is_nameless = judgement.cause == Cause::Bug && judgement.why == NOTHING_KNOWN;
        if judgement.cause == Cause::UpstreamData || is_nameless {
            let of_field = fields.entry(found.differences[place].field.as_str()).or_default();
            of_field.insert(place);
        }
    }
    let mut bugs: BTreeMap<usize, String> = BTreeMap::new();
    let mut all = |places: &BTreeSet<usize>, why: &str| {
        places.iter().for_each(|place| {
            bugs.entry(*place).or_insert_with(|| why.to_owned());
        });
    };
    for (field, places) in &fields {
        // A record counts once, even if several parts of its field differ.
        let keys: HashSet<&str> =
            places.iter().filter_map(|place| found.differences[*place].record.as_deref()).collect();
        let tally = found.tallies.get(*field).copied().unwrap_or_default();
        let count = keys.len() as u64;
        let too_many = if count > FEW_MAX && count * 100 > tally.compared * SHARE_MAX {
            Some("so many differ that it is the translation and not the data")
        } else if tally.compared > 1 && tally.matched == 0 {
            Some("not one is equal: it is the translation and not the data")
        } else {
            None
        };
        if *field == RECORDS {
            too_many.into_iter().for_each(|why| all(places, why));
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
                if have_in_common(&alone, common) {
                    all(&of_kind, "a whole group is listed on one side only");
                }
            }
            continue;
        }
        let placed: Vec<Placed<'_>> =
            places.iter().map(|place| (*place, &found.differences[*place])).collect();
        let learned = learned(endpoint, field, &placed, records);
        let mut ruled = learned.places.clone();
        let values = Values::of(field, &keys, records);
        let replaced = values.replaced();
        ruled.extend(places.iter().filter(|place| {
            let key = found.differences[**place].record.as_deref();
            key.is_some_and(|key| replaced.contains(key))
        }));
        // Rules are looked for in the places before this one.
        let end = placed.get(LOOKED_AT_MAX).map_or(found.differences.len(), |(place, _)| *place);
        let beside = judged[..end]
            .iter()
            .zip(&found.differences)
            .enumerate()
            .filter(|(place, _)| !places.contains(place))
            .filter(|(_, (judgement, one))| judgement.cause == Cause::Bug && one.field == *field);
        let why = match learned.rule() {
            Some(rule) => format!("control's values follow from candidate's by a rule: {rule}"),
            None => REPLACED.to_owned(),
        };
        // A rule has one cause: what is left beside it is no coincidence.
        let count = ruled.range(..end).count() + beside.count();
        match count * 2 >= placed.len().min(LOOKED_AT_MAX) && !ruled.is_empty() {
            true => all(places, &why),
            false => all(&ruled, &why),
        }
        // A rule says more than a number.
        too_many.into_iter().for_each(|why| all(places, why));
    }
    for (place, why) in bugs {
        judged[place].cause = Cause::Bug;
        judged[place].why = why;
    }
}

const REPLACED: &str = "control has one and the same other value wherever candidate has this one";

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
            let (_, most) = of_value.into_iter().max_by_key(|(_, keys)| keys.len())?;
            (most.len() > CHANCE_MAX && most.len() * 10 >= all * MOST_OF_TEN).then_some(most)
        });
        most.flatten().collect()
    }
}

/// Whether records share a value of a field that no other record has. The others are read one by one.
fn have_in_common(alone: &[&Node], others: impl Iterator<Item = Node>) -> bool {
    let [Node::Object(members), ..] = alone else { return false };
    if alone.len() <= CHANCE_MAX {
        return false;
    }
    let mut shared: Vec<&(String, Node)> = members.iter().collect();
    shared.retain(|(name, value)| alone.iter().all(|record| record.get(name) == Some(value)));
    for record in others {
        shared.retain(|(name, value)| record.get(name) != Some(value));
        if shared.is_empty() {
            break;
        }
    }
    !shared.is_empty()
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
        not_by_rule(&ENDPOINTS[0], &found, &Records::of(&pair, KeyedBy::Id), &mut judged);
        judged.into_iter().map(|judgement| judgement.cause).collect()
    }

    /// Two lists with some equal records, and a field of two more records.
    fn of_two(field: &str, control: [&str; 2], candidate: [&str; 2]) -> Vec<Cause> {
        let list = |values: [&str; 2]| {
            let equal = (10..20).map(|id| format!(r#"{{"id":{id},"{field}":"Plain{id}, {id}"}}"#));
            let pair = values.iter().enumerate();
            let pair = pair.map(|(id, value)| {
                format!(r#"{{"id":{id},"{field}":"{value}","sip_account":"u{id}@x"}}"#)
            });
            format!("[{}]", equal.chain(pair).collect::<Vec<_>>().join(","))
        };
        judged(&list(control), &list(candidate))
    }

    #[test]
    fn a_rule_of_two_records_is_a_bug_and_single_values_are_data() {
        let (bug, data) = ([Cause::Bug; 2], [Cause::UpstreamData; 2]);
        assert_eq!(of_two("name", ["Jane", "Joan"], [" Jane", "Joan "]), bug);
        assert_eq!(of_two("name", ["Max ?", "Zo ?"], ["Max 🎧", "Zo 🚀"]), bug);
        assert_eq!(of_two("extension", ["u0", "u1"], ["", ""]), bug);
        assert_eq!(of_two("assigned_queues", ["a, c", "d"], ["a, b, c", "b, d"]), bug);
        assert_eq!(of_two("assigned_queues", ["a, B", "B"], ["a, b", "b"]), bug);
        assert_eq!(of_two("name", ["null", "null"], ["Mary", "Joe"]), bug);
        assert_eq!(of_two("name", ["Jane", "Joan"], ["Mary", "Joe"]), data);
        assert_eq!(of_two("name", ["Jane", "Joan"], ["Jane.", "Joan."]), data);
        assert_eq!(of_two("extension", ["1234", "5678"], ["8001", "8002"]), data);
        assert_eq!(of_two("assigned_queues", ["a, c", "d"], ["a, b", "d, e"]), data);
    }

    #[test]
    fn values_of_two_users_that_control_shows_as_null_are_a_bug() {
        let rows = |values: [&str; 2]| {
            let of = |(id, value): (usize, &&str)| format!(r#",{{"id":{id},"extension":{value}}}"#);
            let rows: String = values.iter().enumerate().map(of).collect();
            format!(r#"[{{"id":8,"extension":"8"}},{{"id":9,"extension":null}}{rows}]"#)
        };
        let whole = rows([r#""81""#, r#""82""#]);
        assert_eq!(judged(&rows(["null", "null"]), &whole), [Cause::Bug; 2]);
        assert_eq!(judged(&rows(["null", r#""82""#]), &whole), [Cause::UpstreamData]);
    }

    #[test]
    fn two_users_who_moved_to_a_new_part_are_no_rule_while_others_keep_the_old_one() {
        let rows = |moved: usize, others: usize, by: &str| {
            let row = |id: usize| {
                let queue = if id < moved { by } else { "Old" };
                format!(r#"{{"id":{id},"assigned_queues":"A{id}, {queue}"}}"#)
            };
            format!("[{}]", (0..moved + others).map(row).collect::<Vec<_>>().join(","))
        };
        let of = |moved, others| judged(&rows(moved, others, "New"), &rows(moved, others, "Old"));
        assert_eq!(of(2, 12), [Cause::UpstreamData; 2]);
        assert_eq!(of(3, 12), [Cause::Bug; 3], "three are no chance");
    }

    #[test]
    fn one_text_in_the_place_of_null_is_a_rule_if_no_other_user_has_it() {
        let of = |filled: usize, other: &str| {
            let rows = |by: &str| {
                let row = |id: usize| {
                    let value = if id < filled { by } else { "null" };
                    format!(r#"{{"id":{id},"employee_id":{value}}},"#)
                };
                let rows: String = (0..20).map(row).collect();
                format!(r#"[{rows}{{"id":50,"employee_id":"{other}"}}]"#)
            };
            judged(&rows(r#""Default""#), &rows("null"))
        };
        assert_eq!(of(3, "E-7"), [Cause::Bug; 3]);
        assert_eq!(of(2, "E-7"), [Cause::UpstreamData; 2], "two may be chance");
        assert_eq!(of(3, "Default"), [Cause::UpstreamData; 3], "the new API lacks it for three");
    }

    #[test]
    fn a_skill_that_is_left_out_beside_others_is_one_part_whatever_its_level() {
        let skill = |name: &str, level: usize| format!(r#"{{"name":"{name}","value":{level}}}"#);
        let rows = |hidden: usize| {
            let row = |id: usize| {
                let both = [skill("A", id + 1), skill("B", id + 2)];
                let shown = if id < hidden { &both[..1] } else { &both[..] };
                format!(r#"{{"id":{id},"assigned_skills":[{}]}}"#, shown.join(","))
            };
            let other = (10..20)
                .map(|id| format!(r#"{{"id":{id},"assigned_skills":[{}]}}"#, skill("C", id)));
            format!("[{}]", (0..3).map(row).chain(other).collect::<Vec<_>>().join(","))
        };
        assert_eq!(judged(&rows(3), &rows(0)), [Cause::Bug; 3]);
        assert_eq!(judged(&rows(1), &rows(0)), [Cause::UpstreamData]);
    }

    #[test]
    fn a_rule_that_rounds_names_the_ends_of_both_numbers() {
        let number = |text: &str| Node::parse(text.as_bytes()).unwrap();
        let of = |one: &str, other: &str| rules::both_numbers(&number(one), &number(other));
        let told = of("15551234567", "15551234570");
        assert_eq!(told, ": a number that ends in 67 ends in 70");
        assert_eq!(of("15551234567", "10000000000"), "", "that would be a user's number");
    }

    /// Four users whose skill A has the name B for control, and others.
    fn of_skills(others: &[&str]) -> Vec<Cause> {
        let rows = |name: &str| {
            let names = [name; 4].into_iter().chain(others.iter().copied());
            let row = |(id, name): (usize, &str)| {
                format!(r#"{{"id":{id},"assigned_skills":[{{"name":"{name}","level":{id}}}]}}"#)
            };
            format!("[{}]", names.enumerate().map(row).collect::<Vec<_>>().join(","))
        };
        judged(&rows("B"), &rows("A"))
    }

    #[test]
    fn a_name_that_also_stands_equal_has_no_other_name_by_a_rule() {
        let others = ["B", "C", "D", "E", "F", "G"];
        assert_eq!(of_skills(&others), [Cause::Bug; 4]);
        assert_eq!(of_skills(&["B", "C", "A", "E", "F", "G"]), [Cause::UpstreamData; 4]);
    }

    #[test]
    fn a_number_is_no_bound_where_a_larger_one_stands_equal() {
        let rows = |level: fn(usize) -> usize, last: usize| {
            let levels = (0..20).map(level).chain([last]);
            let row = |(id, level): (usize, usize)| {
                format!(r#"{{"id":{id},"assigned_skills":[{{"name":"A","level":{level}}}]}}"#)
            };
            format!("[{}]", levels.enumerate().map(row).collect::<Vec<_>>().join(","))
        };
        let (cut, whole) = (
            |id: usize| if id > 17 { 60 } else { 7 },
            |id: usize| match id {
                18 => 73,
                19 => 94,
                _ => 7,
            },
        );
        assert_eq!(judged(&rows(cut, 8), &rows(whole, 8)), [Cause::Bug; 2]);
        assert_eq!(judged(&rows(cut, 61), &rows(whole, 61)), [Cause::UpstreamData; 2]);
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
