//! One user in this vendor's formats: the documented record and the flat one.
//!
//! Values that the store does not have are derived from the user's id, so that they are stable.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::answer::Answer;
use crate::legacy::is_deleted;
use crate::people::record::User;
use crate::vonage::identity::{
    uuid, vonage_agent_display_id, vonage_callback_number_id, vonage_role, vonage_user_id,
};
use crate::vonage::json;

/// A user in the documented shape.
pub(crate) struct Whole<'a> {
    pub(crate) user: &'a User,
    /// Write `userId` twice, as the samples of single users do.
    pub(crate) twice: bool,
}

/// A user as clients get it that name no version. Only the bare array and `userLastLogin` of this shape
/// are known; the rest is a guess.
pub(crate) struct Flat<'a>(pub(crate) &'a User);

/// The answer with one user.
pub(crate) fn whole(user: &User) -> Answer {
    match serde_json::to_string(&Whole { user, twice: true }) {
        Ok(body) => json(200, body),
        Err(_) => super::simple(500),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Account<'a> {
    role: &'static str,
    chargeable: bool,
    act_as_agent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_configuration: Option<Agent<'a>>,
}

/// The vendor's sample has every field. A real record lacked the fields that are optional here, and had
/// two that no page names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent<'a> {
    agent_display_id: String,
    webrtc: bool,
    enforced_disposition_codes: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    recording: Option<Recording>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    call_parking: bool,
    sales_cadence: bool,
    outbound_autoanswer: bool,
    inbound_autoanswer: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    waits: Option<Waits>,
    location: &'static str,
    telephony_address: Telephony<'a>,
    capacity: Capacity,
    associated_users: Vec<Associated>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    transcribe_calls: bool,
    screen_recording: bool,
}

/// Seconds, and a percentage.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Waits {
    outbound_wrap_up: u64,
    back_to_ready_after_no_answer: u64,
    back_to_ready_after_line_busy: u64,
    back_to_ready_after_invalid_number: u64,
    back_to_ready_after_network_issue: u64,
    call_rating_frequency: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    native_call_logging: bool,
    sr_start_rec_on_alerting: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Telephony<'a> {
    telephone_address: String,
    telephony_extension: &'a str,
    outbound_telephony_region: String,
    national_display: bool,
    virtual_location: &'static str,
    prevent_auto_callback_number: bool,
    selected_callback_number_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Associated {
    username: String,
    application_type: &'static str,
}

/// Both spellings of these two fields are in use.
struct Capacity {
    capitals: bool,
    nonlive: u64,
    semilive: u64,
}

const COUNTRIES: [&str; 5] = ["GB", "US", "PL", "TR", "AU"];

fn country(id: u64) -> &'static str {
    COUNTRIES[(id % COUNTRIES.len() as u64) as usize]
}

/// The agent's part; a user without an extension is not an agent.
fn agent(user: &User) -> Option<Agent<'_>> {
    let agent_display_id = vonage_agent_display_id(user)?;
    let id = user.id;
    let is_bare = id % 4 == 3;
    let recording = Recording {
        transcribe_calls: id.is_multiple_of(2),
        screen_recording: id.is_multiple_of(3),
    };
    let waits = Waits {
        outbound_wrap_up: 1 + id % 7_200,
        back_to_ready_after_no_answer: 1 + id % 100,
        back_to_ready_after_line_busy: 1 + id % 90,
        back_to_ready_after_invalid_number: 1 + id % 80,
        back_to_ready_after_network_issue: 1 + id % 5,
        call_rating_frequency: id % 101,
    };
    let seen = Seen { native_call_logging: true, sr_start_rec_on_alerting: false };
    let plus = if id.is_multiple_of(3) { "+" } else { "" };
    let associated = Associated { username: format!("user{id}_vbc"), application_type: "VBC" };
    Some(Agent {
        agent_display_id,
        webrtc: id.is_multiple_of(2),
        enforced_disposition_codes: false,
        recording: (!is_bare).then_some(recording),
        seen: is_bare.then_some(seen),
        call_parking: true,
        sales_cadence: false,
        outbound_autoanswer: id.is_multiple_of(5),
        inbound_autoanswer: true,
        waits: (!is_bare).then_some(waits),
        location: country(id),
        telephony_address: Telephony {
            telephone_address: format!("{plus}44{:09}", id % 1_000_000_000),
            telephony_extension: user.extension.as_deref().unwrap_or_default(),
            outbound_telephony_region: uuid(&format!("region:{}", id % 3)),
            national_display: true,
            virtual_location: country(id / 2),
            prevent_auto_callback_number: id.is_multiple_of(2),
            selected_callback_number_id: caller_id(user)
                .map(vonage_callback_number_id)
                .unwrap_or_default(),
        },
        capacity: Capacity {
            capitals: id / 2 % 2 == 1,
            nonlive: 1 + id % 100,
            semilive: 1 + id % 99,
        },
        associated_users: id.is_multiple_of(6).then_some(associated).into_iter().collect(),
    })
}

/// The caller id of a user; an empty one counts as none.
pub(crate) fn caller_id(user: &User) -> Option<&str> {
    user.caller_id.as_deref().filter(|text| !text.is_empty())
}

/// With milliseconds for every other user; one user in eleven never signed in.
fn last_login(user: &User) -> Option<String> {
    let moment = user.updated_at.as_ref();
    match (user.id % 11, user.id % 2) {
        (0, _) => None,
        (_, 0) => Some(moment.to_owned()),
        _ => Some(
            moment.split('.').next().unwrap_or_default().trim_end_matches('Z').to_owned() + "Z",
        ),
    }
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = self.user;
        let id = vonage_user_id(user.id);
        let agent = agent(user);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("userId", &id)?;
        map.serialize_entry("username", &user.email)?;
        map.serialize_entry("name", &user.name)?;
        map.serialize_entry("email", &user.email)?;
        if self.twice {
            map.serialize_entry("userId", &id)?;
        }
        if let Some(moment) = last_login(user) {
            map.serialize_entry("lastLoginTime", &moment)?;
        }
        map.serialize_entry("active", &!is_deleted(user))?;
        map.serialize_entry("locked", &false)?;
        if let Some(employee) = &user.employee_id {
            map.serialize_entry("ssoExternalId", employee)?;
        }
        let account = Account {
            role: vonage_role(user),
            chargeable: true,
            act_as_agent: agent.is_some(),
            agent_configuration: agent,
        };
        map.serialize_entry("userAccountConfiguration", &account)?;
        map.end()
    }
}

impl Serialize for Capacity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (nonlive, semilive) =
            if self.capitals { ("nonLive", "semiLive") } else { ("nonlive", "semilive") };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("isAgentLevel", &false)?;
        map.serialize_entry("live", &60)?;
        map.serialize_entry(nonlive, &self.nonlive)?;
        map.serialize_entry(semilive, &self.semilive)?;
        map.end()
    }
}

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("userId", &vonage_user_id(user.id))?;
        map.serialize_entry("username", &user.email)?;
        map.serialize_entry("name", &user.name)?;
        map.serialize_entry("email", &user.email)?;
        map.serialize_entry("userLastLogin", &last_login(user))?;
        map.serialize_entry("active", &!is_deleted(user))?;
        map.serialize_entry("role", vonage_role(user))?;
        map.end()
    }
}
