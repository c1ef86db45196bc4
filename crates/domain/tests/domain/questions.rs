//! Two requests of a caller are one question if they filter by the same, however they spell it.
//! Answers are cached and shared by question.
#![expect(clippy::unwrap_used, reason = "a test may")]

use domain::legacy::{Planned, endpoint_at};
use domain::params::Params;
use domain::plan::{GroupName, UserFilter};
use domain::quirks::Quirks;
use proptest::prelude::*;

const FILTERS: [&str; 8] =
    ["id", "name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"];

/// The filter of a request; `None` where no user can fit.
fn asked(query: &str) -> Option<UserFilter<GroupName>> {
    let endpoint = endpoint_at("/api/user_management/v1/users").unwrap();
    match endpoint.plan(Params::parse(query), &Quirks::default()) {
        Planned::Ask(plan) => Some(plan.filter),
        Planned::Nobody { .. } | Planned::Unclear => None,
    }
}

/// A value whose bytes are escaped or not, as the dice fall.
fn escaped(text: &str, dice: &[bool]) -> String {
    let mut out = String::new();
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() && !dice[at % dice.len()];
        match byte {
            b' ' if dice[at % dice.len()] => out.push('+'),
            byte if plain => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// One way to spell a filter.
fn spelled(name: &str, value: &str, spelling: u8, dice: &[bool]) -> String {
    let value = escaped(value, dice);
    match spelling % 4 {
        0 => format!("{name}={value}"),
        1 => format!("filter[{name}]={value}"),
        2 => format!("filter%5B{name}%5d={value}"),
        _ => format!("{name}[]={value}"),
    }
}

fn filters() -> impl Strategy<Value = Vec<(usize, String)>> {
    // Few values, so that questions often are the same.
    let text = prop_oneof!["[ab]", "[aA] [b/&+é]", "1[0-3]"];
    proptest::collection::btree_map(0..FILTERS.len(), text, 0..5)
        .prop_map(|map| map.into_iter().filter(|(at, text)| *at > 0 || is_id(text)).collect())
}

fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One way to spell all filters, with parameters in between that mean nothing.
fn request() -> impl Strategy<Value = (Vec<usize>, Vec<u8>, Vec<bool>, Vec<usize>)> {
    (
        Just((0..FILTERS.len()).collect::<Vec<_>>()).prop_shuffle(),
        proptest::collection::vec(any::<u8>(), FILTERS.len()),
        proptest::collection::vec(any::<bool>(), 1..9),
        proptest::collection::vec(0..6_usize, 0..4),
    )
}

type Request = (Vec<usize>, Vec<u8>, Vec<bool>, Vec<usize>);

fn query(filters: &[(usize, String)], (order, spelling, dice, noise): &Request) -> String {
    let noises = ["page=2", "utm_source=x", "", "email=", "filter[name]=", "Name=x"];
    let mut parts: Vec<String> = order
        .iter()
        .filter_map(|place| filters.iter().find(|(at, _)| at == place))
        .map(|(at, value)| spelled(FILTERS[*at], value, spelling[*at], dice))
        .collect();
    for (turn, noise) in noise.iter().enumerate() {
        let at = usize::from(spelling[turn]) % (parts.len() + 1);
        parts.insert(at, noises[*noise].to_owned());
    }
    parts.join("&")
}

proptest! {
    #[test]
    fn i10_two_requests_are_one_question_exactly_where_they_ask_for_the_same(
        a in filters(),
        b in filters(),
        first in request(),
        second in request(),
    ) {
        let (one, other) = (query(&a, &first), query(&a, &second));
        prop_assert!(asked(&one).is_some(), "{one}");
        prop_assert_eq!(asked(&one), asked(&other), "{} and {}", one, other);
        let different = query(&b, &second);
        prop_assert_eq!(asked(&one) == asked(&different), a == b, "{} and {}", one, different);
    }
}
