//! The page that benchmarks read, and what serde reads from it. Must never be smaller or plainer than what the vendor
//! sends.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The vendor's documented page, of one user.
const DOCUMENTED: &str =
    include_str!("../../golden/v1_users/voiso-v4__documented_user/page_1.json");
/// Every fourth name has escapes, and every fourth one letters beyond ASCII.
const NAMES: [&str; 4] = ["Jane Doe", r#"Bob \"Bobby\" Tables"#, "Ana Maria da Silva", "Şükrü Öz"];
/// Users on the page.
pub(crate) const USERS: usize = 100;

/// A page as the vendor sends it: keys in the documented order and no space.
pub(crate) fn page() -> String {
    let compact = DOCUMENTED.replace('\n', "").replace("\": ", "\":");
    let (head, rest) = compact.split_once('[').unwrap();
    let (row, tail) = rest.rsplit_once(']').unwrap();
    let live = row.replace(r#""deleted_at":"2025-11-11T12:00:00.216Z""#, r#""deleted_at":null"#);
    let rows: Vec<String> = (0..USERS)
        .map(|n| {
            live.replace("1234", &(10_000 + n).to_string())
                .replace("Jane Doe", NAMES[n % NAMES.len()])
                .replace("[email protected]", &format!("agent.{n}@cc1.example.com"))
        })
        .collect();
    format!("{head}[{}]{tail}", rows.join(","))
}

/// A text that serde_json borrows from the page where it can.
#[derive(Deserialize, Serialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow)]
    pub(crate) users: Vec<Wire<'a>>,
}

/// The fields of a user that a record needs.
#[derive(Deserialize)]
pub(crate) struct Wire<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    pub(crate) name: Option<Text<'a>>,
    pub(crate) email: Option<Text<'a>>,
    pub(crate) sip_account: Option<Text<'a>>,
    pub(crate) extension: Option<Text<'a>>,
    pub(crate) caller_id: Option<Text<'a>>,
    pub(crate) employee_id: Option<Text<'a>>,
    pub(crate) timezone: Option<Text<'a>>,
    pub(crate) security_access_group: Option<Named<'a>>,
    pub(crate) teams: Vec<Named<'a>>,
    pub(crate) supervised_teams: Vec<Named<'a>>,
    pub(crate) queues: Vec<Named<'a>>,
    pub(crate) webrtc_ringtone: Option<Ringtone<'a>>,
    pub(crate) channel_profiles: Vec<Profile<'a>>,
    pub(crate) skills: Vec<Skill<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Named<'a> {
    pub(crate) id: u64,
    #[serde(borrow)]
    pub(crate) name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Ringtone<'a> {
    #[serde(borrow)]
    pub(crate) name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Profile<'a> {
    #[serde(borrow)]
    pub(crate) identifier: Text<'a>,
    pub(crate) name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Skill<'a> {
    #[serde(borrow)]
    pub(crate) skill: Named<'a>,
    pub(crate) value: u32,
}
