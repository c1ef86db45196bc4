//! What must hold for any bytes of an upstream, beside serde_json. tests/fuzz makes such bytes up, and a test here
//! replays what it found. Must never share a rule of reading with the reader that is held to account.

use serde_json::Value;

use crate::asked::plan::Resolved;
use crate::asked::visibility::Visibility;
use crate::hub::User;
use crate::legacy::{ENDPOINTS, Lists, Planned};
use crate::listing::{Listing, Which};
use crate::page::{Page, View};
use crate::params::Params;
use crate::quirks::{Quirks, TimeZoneName};
use crate::related::Related;
pub use crate::upstream::properties::json_reader;
use crate::upstream::{Context, DIALECTS, Dialect, Rules};

/// Whatever is read as a page of users is JSON for serde_json too, with as many users and the same values; and the
/// legacy records written from it are JSON with these values.
///
/// # Panics
///
/// Where this does not hold.
pub fn page_reader(data: &[u8]) {
    for dialect in DIALECTS {
        for which in [Which::Live, Which::Deleted] {
            users(*dialect, &Listing::Users(which), data);
        }
        others(*dialect, &Listing::Teams, data);
    }
}

/// Pages of the other listings are JSON, too.
fn others(dialect: &'static dyn Dialect, listing: &Listing, data: &[u8]) {
    let (rules, related) = (Rules::default(), Related::default());
    let context = Context { rules: &rules, related: &related, tells_keys: false };
    let page = Page { dialect, listing, body: data, record_bytes: None, context };
    if page.read_items().is_ok() {
        assert!(serde_json::from_slice::<Value>(data).is_ok());
    }
}

fn users(dialect: &'static dyn Dialect, listing: &Listing, data: &[u8]) {
    let (rules, related, visibility) =
        (Rules::default(), Related::default(), Visibility::Everything);
    let quirks = Quirks { timezone: TimeZoneName::Upstream, ..Quirks::default() };
    let context = Context { rules: &rules, related: &related, tells_keys: true };
    let page = Page { dialect, listing, body: data, record_bytes: None, context };
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.name() == "v1_users") else {
        unreachable!("v1_users is an endpoint")
    };
    let Planned::Ask(plan) = endpoint.plan(Params::default(), &quirks) else {
        unreachable!("everybody is asked for")
    };
    let Resolved::Ask(plan) = plan.resolve(Vec::new()) else {
        unreachable!("everybody is asked for")
    };
    let lists: Lists = endpoint.lists();
    let view = View {
        lists,
        quirks: &quirks,
        filter: &plan.filter,
        visibility: &visibility,
        unmapped: None,
    };
    let mut seen = Vec::new();
    let read = page.read_rows(&[Some(view)], &mut |user| seen.push(Told::of(user)));
    let Ok(rows) = read else { return };
    let tree = serde_json::from_slice::<Value>(data).ok();
    assert!(tree.is_some(), "{}: serde_json refuses this page", dialect.name());
    let tree = tree.unwrap_or_default();
    assert_eq!(rows.keys.len(), seen.len());
    if dialect.name() == "voiso-v4" {
        let expected: Vec<Told> =
            tree["users"].as_array().into_iter().flatten().map(Told::by_serde_json).collect();
        assert_eq!(seen, expected);
    }
    let Some(records) = rows.bytes.strip_prefix(b",") else {
        assert!(rows.bytes.is_empty());
        return;
    };
    let records = [b"[", records, b"]"].concat();
    let records = serde_json::from_slice::<Vec<Value>>(&records).ok();
    assert!(records.is_some(), "{}: the records of this page are no JSON", dialect.name());
    let records = records.unwrap_or_default();
    assert_eq!(records.len(), rows.shown.len());
    for (record, shown) in records.iter().zip(&rows.shown) {
        assert_eq!(seen.get(shown.row as usize).map(Told::shown), Some(Told::recorded(record)));
    }
}

/// The texts of a user.
#[derive(Debug, PartialEq)]
struct Told {
    name: Option<String>,
    email: Option<String>,
    sip_account: Option<String>,
    extension: Option<String>,
    employee_id: Option<String>,
    time_zone: Option<String>,
    group: Option<String>,
    teams: Vec<Option<String>>,
    skills: Vec<Option<String>>,
}

impl Told {
    fn of(user: &User<'_>) -> Told {
        let owned = |text: &crate::hub::Text<'_>| text.as_deref().map(str::to_owned);
        Told {
            name: owned(&user.name),
            email: owned(&user.email),
            sip_account: owned(&user.sip_account),
            extension: owned(&user.extension),
            employee_id: owned(&user.employee_id),
            time_zone: owned(&user.time_zone),
            group: user.group.as_ref().and_then(|group| owned(&group.name)),
            teams: user.teams.iter().map(|team| owned(&team.name)).collect(),
            skills: user.skills.iter().map(|skill| owned(&skill.name)).collect(),
        }
    }

    fn by_serde_json(user: &Value) -> Told {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let each = |values: &Value, of: &dyn Fn(&Value) -> Option<String>| {
            values.as_array().into_iter().flatten().map(of).collect()
        };
        Told {
            name: text(&user["name"]),
            email: text(&user["email"]),
            sip_account: text(&user["sip_account"]),
            extension: text(&user["extension"]),
            employee_id: text(&user["employee_id"]),
            time_zone: text(&user["timezone"]),
            group: text(&user["security_access_group"]["name"]),
            teams: each(&user["teams"], &|team| text(&team["name"])),
            skills: each(&user["skills"], &|skill| text(&skill["skill"]["name"])),
        }
    }

    /// What a record of v1 shows of it as it is.
    fn shown(&self) -> [Option<&str>; 6] {
        [
            self.name.as_deref(),
            self.email.as_deref(),
            self.sip_account.as_deref(),
            self.extension.as_deref(),
            self.time_zone.as_deref(),
            self.group.as_deref(),
        ]
    }

    /// The same by a record.
    fn recorded(record: &Value) -> [Option<&str>; 6] {
        ["name", "email", "sip_account", "extension", "timezone", "sag"]
            .map(|key| record[key].as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a line: a graphic character of ASCII stands for itself, a backslash or another byte is `\xNN`.
    fn bytes(line: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), line.as_bytes());
        while let Some((first, behind)) = rest.split_first() {
            let code = (*first == b'\\').then(|| std::str::from_utf8(&behind[1..3]).unwrap());
            bytes.push(code.map_or(*first, |code| u8::from_str_radix(code, 16).unwrap()));
            rest = if code.is_some() { &behind[3..] } else { behind };
        }
        bytes
    }

    fn replay(corpus: &str, holds: impl Fn(&[u8])) {
        corpus.lines().for_each(|line| holds(&bytes(line)));
        assert!(corpus.lines().count() >= 50, "a corpus that is nearly empty proves nothing");
    }

    #[test]
    fn the_corpus_of_json_is_read_as_serde_json_reads_it() {
        replay(include_str!("../../../tests/fuzz/corpus/json.txt"), json_reader);
    }

    #[test]
    fn the_corpus_of_pages_is_read_as_serde_json_reads_it() {
        replay(include_str!("../../../tests/fuzz/corpus/pages.txt"), page_reader);
    }
}
