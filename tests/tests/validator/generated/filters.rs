//! Draws filters that compare in another way, or forms of a question that one side does not know.

use corpus::ask::Ask;
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use report::Cause;

use super::case::{Case, Where, case, planted};
use super::dice::Dice;
use super::world::Change;

type Form = fn(&Ask) -> Option<Ask>;
type Fits = fn(&str, &str) -> bool;

fn plain(text: &str) -> String {
    let fold = |c: char| match c {
        'é' | 'è' | 'ë' => 'e',
        'Š' => 'S',
        'ü' => 'u',
        'ö' => 'o',
        c => c,
    };
    text.chars().map(fold).collect()
}

/// Filters of a field by another rule.
const RULES: [(&str, &str, Fits); 9] = [
    ("sag", "by its beginning", |value, wanted| value.starts_with(wanted)),
    ("sag", "by its end", |value, wanted| value.ends_with(wanted)),
    ("name", "without accents", |value, wanted| plain(value) == plain(wanted)),
    ("name", "by a part, as written", |value, wanted| value.contains(wanted)),
    ("extension", "as numbers", |value, wanted| {
        match (value.parse::<u64>(), wanted.parse::<u64>()) {
            (Ok(one), Ok(other)) => one == other,
            _ => value == wanted,
        }
    }),
    ("email", "without the tag", |value, wanted| {
        let bare = |text: &str| match (text.split_once('+'), text.split_once('@')) {
            (Some((local, _)), Some((_, domain))) => format!("{local}@{domain}"),
            _ => text.to_owned(),
        };
        bare(value) == bare(wanted)
    }),
    ("email", "with plus as a space", |value, wanted| value == wanted.replace('+', " ")),
    ("timezone", "by the name alone", |value, wanted| value == wanted),
    ("name", "up to an ampersand", |value, wanted| {
        value == wanted.split('&').next().unwrap_or(wanted)
    }),
];

/// Forms of a parameter.
const FORMS: [(&str, Form); 4] = [
    ("a parameter with empty brackets is ignored", |ask| without(ask, |name| name.ends_with("[]"))),
    ("filter[..] is ignored", |ask| without(ask, |name| name.starts_with("filter["))),
    ("a parameter that stands twice is ignored", |ask| {
        let (first, rest) = ask.query.split_first()?;
        let is_twice = rest.iter().any(|(name, _)| *name == first.0);
        is_twice.then(|| Ask { query: Vec::new(), ..ask.clone() })
    }),
    ("zeros before an id find nobody", |ask| {
        let is_padded = |(name, value): &(String, String)| name == "id" && value.starts_with('0');
        ask.query
            .iter()
            .any(is_padded)
            .then(|| Ask { query: vec![("id".to_owned(), "999999998".to_owned())], ..ask.clone() })
    }),
];

fn without(ask: &Ask, is_it: fn(&str) -> bool) -> Option<Ask> {
    let query: Vec<_> = ask.query.iter().filter(|(name, _)| !is_it(name)).cloned().collect();
    (query.len() < ask.query.len()).then(|| Ask { query, ..ask.clone() })
}

pub(super) fn draw(dice: &mut Dice, endpoint: &'static Endpoint, rows: &[Node]) -> Option<Case> {
    let place = dice.pick(&[Where::Control, Where::Candidate, Where::Seen]);
    let fields = vec!["$records", "$status"];
    let of = (2, rows.len());
    if dice.below(4) == 0 {
        let (name, form) = dice.pick(&FORMS);
        let is_of_id = name.contains("an id");
        let is_known = !name.contains("filter[") || endpoint.bracketed;
        if is_of_id && !endpoint.filters.contains(&"id") || !is_known {
            return None;
        }
        let place = if place == Where::Control { Where::Candidate } else { place };
        let case = case(name.to_owned(), endpoint, place, fields, vec![Cause::Bug], of);
        let change = Change { asked: Some(Box::new(form)), ..Change::default() };
        return Some(planted(case, change));
    }
    let (field, how, fits) = dice.pick(&RULES);
    let name = format!("{field} is found {how}");
    // A filter by this rule must find other rows than an exact one.
    let values: Vec<&str> = rows.iter().filter_map(|row| row.get(field)?.text()).collect();
    let makes_a_difference = values
        .iter()
        .any(|value| values.iter().any(|wanted| fits(value, wanted) != (value == wanted)));
    if !makes_a_difference && !["without accents", "as numbers", "by the name alone"].contains(&how)
    {
        return None;
    }
    let case = case(name, endpoint, place, fields, vec![Cause::Bug, Cause::Quirk], of);
    let bare = move |name: &str| {
        let inner = name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
        inner.unwrap_or(name) == field
    };
    let is_asked = move |ask: &Ask| {
        let mut all = ask.query.iter().filter(|(name, _)| bare(name));
        all.next().filter(|(_, value)| !value.is_empty()).map(|(_, value)| value.clone())
    };
    let change = Change {
        asked: Some(Box::new(move |ask| {
            is_asked(ask)?;
            let query = ask.query.iter().filter(|(name, _)| !bare(name)).cloned().collect();
            Some(Ask { query, ..ask.clone() })
        })),
        rows: Some(Box::new(move |ask, _, rows| {
            let Some(wanted) = is_asked(ask) else { return };
            rows.retain(|row| {
                row.get(field).and_then(Node::text).is_some_and(|value| fits(value, &wanted))
            });
        })),
    };
    Some(planted(case, change))
}
