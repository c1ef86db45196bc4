//! The legacy face: `GET /api/user_management/v1/users` over the same users.
//!
//! Written from the vendor's pages of that endpoint, to be compared byte by byte with what the
//! gateway makes of the v4 face. It must never share code with the gateway, and no fault may touch
//! it.

use std::fmt::Write;

use serde::Serialize;

use crate::record::{ChannelProfile, Named, User};
use crate::{voiso, zones};

/// The paths; the vendor's page prints both.
pub(crate) const PATHS: [&str; 2] = ["/api/user_management/v1/users", "/user_management/v1/users"];

/// A user with a deletion date who has one of these statuses is at work, so not deleted.
const LIVE: [&str; 6] = ["available", "unavailable", "inbound", "outbound", "dialer", "postcall"];

/// One element of the answer; the order of the fields is the order on the page.
#[derive(Serialize)]
struct Agent<'a> {
    id: u64,
    name: &'a str,
    email: &'a str,
    sip_account: Option<&'a str>,
    sag: Option<&'a str>,
    extension: Option<&'a str>,
    caller_id: Option<&'a str>,
    timezone: Option<&'a str>,
    webrtc_ringtone: Option<&'a str>,
    assigned_teams: String,
    supervisor_in_teams: String,
    assigned_skills: Vec<Skill<'a>>,
    assigned_queues: String,
    employee_id: Option<&'a str>,
    assigned_channels: Vec<Channel<'a>>,
}

#[derive(Serialize)]
struct Skill<'a> {
    name: &'a str,
    value: u32,
}

#[derive(Serialize)]
struct Channel<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    value: Option<u64>,
}

/// The whole answer for the users that are listed and pass the filters.
pub(crate) fn body<'a>(
    users: impl Iterator<Item = &'a User>,
    query: &[(String, String)],
) -> Result<String, serde_json::Error> {
    let agents: Vec<Agent<'a>> =
        users.filter(|user| !is_deleted(user) && passes(user, query)).map(agent).collect();
    serde_json::to_string(&agents)
}

fn is_deleted(user: &User) -> bool {
    let live = user.status.as_deref().is_some_and(|status| LIVE.contains(&status));
    user.deleted_at.is_some() && !live
}

fn passes(user: &User, query: &[(String, String)]) -> bool {
    let group = user.security_access_group.as_ref().map(|group| group.name.as_ref());
    let text = |name: &str, value: Option<&str>| {
        wanted(query, name).is_none_or(|wanted| value == Some(wanted))
    };
    wanted(query, "id").is_none_or(|wanted| is_number(wanted, user.id))
        && text("name", Some(&user.name))
        && text("email", Some(&user.email))
        && text("sip_account", user.sip_account.as_deref())
        && text("sag", group)
        && text("extension", user.extension.as_deref())
        && text("caller_id", user.caller_id.as_deref())
        && wanted(query, "timezone").is_none_or(|wanted| {
            user.timezone.as_deref().is_some_and(|zone| zones::same(zone, wanted))
        })
}

/// The value of a filter; an empty one is as good as none.
fn wanted<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    voiso::last(query, name).filter(|value| !value.is_empty())
}

fn is_number(text: &str, id: u64) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse() == Ok(id)
}

fn agent(user: &User) -> Agent<'_> {
    Agent {
        id: user.id,
        name: &user.name,
        email: &user.email,
        sip_account: user.sip_account.as_deref(),
        sag: user.security_access_group.as_ref().map(|group| group.name.as_ref()),
        extension: user.extension.as_deref(),
        caller_id: user.caller_id.as_deref(),
        timezone: user.timezone.as_deref().map(zones::shown),
        webrtc_ringtone: user.webrtc_ringtone.as_ref().map(|ringtone| ringtone.name.as_ref()),
        assigned_teams: ids(&user.teams),
        supervisor_in_teams: ids(&user.supervised_teams),
        assigned_skills: user
            .skills
            .iter()
            .map(|level| Skill { name: &level.skill.name, value: level.value })
            .collect(),
        assigned_queues: names(&user.queues),
        employee_id: user.employee_id.as_deref(),
        assigned_channels: user.channel_profiles.iter().map(channel).collect(),
    }
}

fn ids(list: &[Named]) -> String {
    let mut out = String::new();
    for (k, one) in list.iter().enumerate() {
        let separator = if k > 0 { ", " } else { "" };
        // Writing to a String can't fail.
        let _ = write!(out, "{separator}{}", one.id);
    }
    out
}

fn names(list: &[Named]) -> String {
    list.iter().map(|one| one.name.as_ref()).collect::<Vec<_>>().join(", ")
}

fn channel(profile: &ChannelProfile) -> Channel<'_> {
    let kind = match profile.channel.as_ref() {
        "whatsapp" => "WhatsApp",
        "chat" | "webchat" => "Webchat",
        "viber" => "Viber",
        "telegram" => "Telegram",
        "facebook" => "Facebook",
        "instagram" => "Instagram",
        "sms" => "SMS",
        "email" => "Email",
        "line" => "LINE",
        other => other,
    };
    let value = profile.identifier.as_deref().and_then(phone);
    Channel { kind, name: &profile.name, value }
}

/// A number in E.164 without the plus; anything else has no number.
fn phone(identifier: &str) -> Option<u64> {
    let digits = identifier.strip_prefix('+').unwrap_or(identifier);
    let plain = (1..=18).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
