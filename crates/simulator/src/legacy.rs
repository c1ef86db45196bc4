//! The legacy face: v1 users, v3 users, v2 teams and v2 deleted agents over the same data.
//!
//! Written from the vendor's pages of those endpoints. Tests compare it byte by byte with the gateway's
//! translation of the new API. It must never share code with the gateway, and no fault may affect it.

use std::fmt::Write;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::people::record::{ChannelProfile, Named, User};
use crate::people::words::{STATUSES, STATUSES_LIVE};
use crate::people::zones;
use crate::voiso;

/// The endpoints this face has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `v1 users`; the vendor's page prints two paths.
    Users,
    /// `v3 users`: no filter by id, `filter[x]=` beside `x=`, another name for the teams.
    V3Users,
    /// `v2 teams`: name and id of every team, with or without members.
    Teams,
    /// `v2 deleted agents`: id and name of the deleted users.
    DeletedAgents,
}

/// The endpoint at a path.
pub(crate) fn endpoint(path: &str) -> Option<Endpoint> {
    match path {
        "/api/user_management/v1/users" | "/user_management/v1/users" => Some(Endpoint::Users),
        "/api/v3/cdr/users" => Some(Endpoint::V3Users),
        "/api/v2/cdr/teams" => Some(Endpoint::Teams),
        "/api/v2/cdr/deleted_agents" => Some(Endpoint::DeletedAgents),
        _ => None,
    }
}

/// One element of the answer, serialised in the order of the page.
struct Agent<'a> {
    user: &'a User,
    /// The name of the field with a user's teams.
    teams: &'static str,
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

/// A team, in the order of the page.
#[derive(Serialize)]
struct Team<'a> {
    name: &'a str,
    id: u64,
}

/// A former user.
#[derive(Serialize)]
struct Former<'a> {
    id: u64,
    name: &'a str,
}

/// The complete answer: the endpoint's users or teams that pass the filters.
pub(crate) fn body<'a>(
    endpoint: Endpoint,
    users: impl Iterator<Item = &'a User>,
    teams: &[Named],
    query: &[(String, String)],
) -> Result<String, serde_json::Error> {
    let teams = match endpoint {
        Endpoint::Teams => {
            let mut all: Vec<_> =
                teams.iter().map(|team| Team { name: &team.name, id: team.id }).collect();
            all.sort_by_key(|team| team.id);
            return serde_json::to_string(&all);
        }
        Endpoint::Users => "assigned_teams",
        Endpoint::V3Users => "agent_in_teams",
        Endpoint::DeletedAgents => {
            let former = users.filter(|user| is_deleted(user));
            let former: Vec<_> =
                former.map(|user| Former { id: user.id, name: &user.name }).collect();
            return serde_json::to_string(&former);
        }
    };
    let query = match endpoint {
        Endpoint::V3Users => &v3_query(query)[..],
        _ => query,
    };
    let agents: Vec<Agent<'a>> = users
        .filter(|user| !is_deleted(user) && passes(user, query))
        .map(|user| Agent { user, teams })
        .collect();
    serde_json::to_string(&agents)
}

/// The query with `filter[x]=` as `x=`, and without `id`.
fn v3_query(query: &[(String, String)]) -> Vec<(String, String)> {
    let plain = |name: &str| {
        let inner = name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
        inner.unwrap_or(name).to_owned()
    };
    let pairs = query.iter().map(|(name, value)| (plain(name), value.clone()));
    pairs.filter(|(name, _)| name != "id").collect()
}

/// Whether a user is deleted: one with a deletion date is not while the status is a live one.
pub(crate) fn is_deleted(user: &User) -> bool {
    let live =
        user.status.as_deref().is_some_and(|status| STATUSES[..STATUSES_LIVE].contains(&status));
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

/// The value of a filter; an empty one counts as none.
fn wanted<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    voiso::last(query, name).filter(|value| !value.is_empty())
}

fn is_number(text: &str, id: u64) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse() == Ok(id)
}

impl Serialize for Agent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = self.user;
        let group = user.security_access_group.as_ref().map(|group| group.name.as_ref());
        let ringtone = user.webrtc_ringtone.as_ref().map(|ringtone| ringtone.name.as_ref());
        let skills: Vec<_> = user
            .skills
            .iter()
            .map(|level| Skill { name: &level.skill.name, value: level.value })
            .collect();
        let channels: Vec<_> = user.channel_profiles.iter().map(channel).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &user.id)?;
        map.serialize_entry("name", &user.name)?;
        map.serialize_entry("email", &user.email)?;
        map.serialize_entry("sip_account", &user.sip_account)?;
        map.serialize_entry("sag", &group)?;
        map.serialize_entry("extension", &user.extension)?;
        map.serialize_entry("caller_id", &user.caller_id)?;
        map.serialize_entry("timezone", &user.timezone.as_deref().map(zones::shown))?;
        map.serialize_entry("webrtc_ringtone", &ringtone)?;
        map.serialize_entry(self.teams, &ids(&user.teams))?;
        map.serialize_entry("supervisor_in_teams", &ids(&user.supervised_teams))?;
        map.serialize_entry("assigned_skills", &skills)?;
        map.serialize_entry("assigned_queues", &names(&user.queues))?;
        map.serialize_entry("employee_id", &user.employee_id)?;
        map.serialize_entry("assigned_channels", &channels)?;
        map.end()
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

/// The number of an identifier in E.164, without the plus; `None` for any other text.
fn phone(identifier: &str) -> Option<u64> {
    let digits = identifier.strip_prefix('+').unwrap_or(identifier);
    let plain = (1..=18).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
