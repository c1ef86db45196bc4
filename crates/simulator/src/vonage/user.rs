//! One user in this vendor's formats: the documented record and the flat one.
//!
//! Values that the store does not have are derived from the user's id, so that they are stable.

use crate::answer::Answer;
use crate::legacy::is_deleted;
use crate::object::Object;
use crate::people::record::User;
use crate::vonage::identity::{
    uuid, vonage_agent_display_id, vonage_callback_number_id, vonage_role, vonage_user_id,
};
use crate::vonage::json;

/// The answer with one user. It has `userId` twice, as the samples of single users do.
pub(crate) fn whole(user: &User) -> Answer {
    let id = Object::default().with("userId", vonage_user_id(user.id));
    json(200, names(user).and(id).and(below_names(user)).to_json())
}

/// A user in the documented shape.
pub(crate) fn documented(user: &User) -> Object {
    names(user).and(below_names(user))
}

/// A user as clients get it that name no version. Only the bare array and `userLastLogin` of this shape
/// are known; the rest is a guess.
pub(crate) fn flat(user: &User) -> Object {
    names(user)
        .with("userLastLogin", last_login(user))
        .with("active", !is_deleted(user))
        .with("role", vonage_role(user))
}

fn names(user: &User) -> Object {
    Object::default()
        .with("userId", vonage_user_id(user.id))
        .with("username", user.email.as_ref())
        .with("name", user.name.as_ref())
        .with("email", user.email.as_ref())
}

fn below_names(user: &User) -> Object {
    let agent = agent(user);
    let account = Object::default()
        .with("role", vonage_role(user))
        .with("chargeable", true)
        .with("actAsAgent", agent.is_some());
    let account = match agent {
        Some(agent) => account.object("agentConfiguration", agent),
        None => account,
    };
    Object::default()
        .maybe("lastLoginTime", last_login(user))
        .with("active", !is_deleted(user))
        .with("locked", false)
        .maybe("ssoExternalId", user.employee_id.as_deref())
        .object("userAccountConfiguration", account)
}

const COUNTRIES: [&str; 5] = ["GB", "US", "PL", "TR", "AU"];

fn country(id: u64) -> &'static str {
    COUNTRIES[(id % COUNTRIES.len() as u64) as usize]
}

/// The agent's part; a user without an extension is not an agent. The vendor's sample has every field. A
/// real record lacked `transcribeCalls`, `screenRecording` and the waits, and had two fields that no page
/// names.
fn agent(user: &User) -> Option<Object> {
    let id = user.id;
    let agent = Object::default()
        .with("agentDisplayId", vonage_agent_display_id(user)?)
        .with("webrtc", id.is_multiple_of(2))
        .with("enforcedDispositionCodes", false);
    let recording = match id % 4 {
        3 => Object::default().with("nativeCallLogging", true).with("srStartRecOnAlerting", false),
        _ => Object::default()
            .with("transcribeCalls", id.is_multiple_of(2))
            .with("screenRecording", id.is_multiple_of(3)),
    };
    let agent = agent
        .and(recording)
        .with("callParking", true)
        .with("salesCadence", false)
        .with("outboundAutoanswer", id.is_multiple_of(5))
        .with("inboundAutoanswer", true);
    // Seconds, and a percentage.
    let waits = match id % 4 {
        3 => Object::default(),
        _ => Object::default()
            .with("outboundWrapUp", 1 + id % 7_200)
            .with("backToReadyAfterNoAnswer", 1 + id % 100)
            .with("backToReadyAfterLineBusy", 1 + id % 90)
            .with("backToReadyAfterInvalidNumber", 1 + id % 80)
            .with("backToReadyAfterNetworkIssue", 1 + id % 5)
            .with("callRatingFrequency", id % 101),
    };
    let plus = if id.is_multiple_of(3) { "+" } else { "" };
    let telephony = Object::default()
        .with("telephoneAddress", format!("{plus}44{:09}", id % 1_000_000_000))
        .with("telephonyExtension", user.extension.as_deref().unwrap_or_default())
        .with("outboundTelephonyRegion", uuid(&format!("region:{}", id % 3)))
        .with("nationalDisplay", true)
        .with("virtualLocation", country(id / 2))
        .with("preventAutoCallbackNumber", id.is_multiple_of(2))
        .with(
            "selectedCallbackNumberId",
            caller_id(user).map(vonage_callback_number_id).unwrap_or_default(),
        );
    // Both spellings of these two fields are in use.
    let (nonlive, semilive) =
        if id / 2 % 2 == 1 { ("nonLive", "semiLive") } else { ("nonlive", "semilive") };
    let capacity = Object::default()
        .with("isAgentLevel", false)
        .with("live", 60)
        .with(nonlive, 1 + id % 100)
        .with(semilive, 1 + id % 99);
    let associated = id.is_multiple_of(6).then(|| {
        let username = format!("user{id}_vbc");
        Object::default().with("username", username).with("applicationType", "VBC")
    });
    Some(
        agent
            .and(waits)
            .with("location", country(id))
            .object("telephonyAddress", telephony)
            .object("capacity", capacity)
            .list("associatedUsers", associated.into_iter().collect()),
    )
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
