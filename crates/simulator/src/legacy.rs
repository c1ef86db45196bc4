//! The legacy face: v1 users, v3 users, v2 teams, v2 deleted agents, agents' status and templates of text
//! messages over the same data.
//!
//! Written from the vendor's pages of those endpoints. Tests compare it byte by byte with the gateway's
//! translation of the new API. It must never share code with the gateway, and no fault may affect it.

mod written;

pub(crate) use written::parameters;

use http::Method;

use crate::answer::Answer;
use crate::object::Object;
use crate::people::messages::CannedMessage;
use crate::people::record::{ChannelProfile, Named, User};
use crate::people::words::{STATUSES, STATUSES_LIVE};
use crate::people::zones;
use crate::voiso;

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
    /// `agents_status`: e-mail, extension and status of every live user. Its path has the key.
    AgentsStatus,
    /// Templates of text messages, page by page.
    SmsTemplates,
    /// Places a call; no list. Its path has the key.
    Click2Call,
}

impl Endpoint {
    /// Whether it answers a method.
    pub(crate) fn takes(self, method: &Method) -> bool {
        match self {
            Endpoint::Click2Call => method == Method::GET || method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }

    /// The answer to a wrong key, by the page of the endpoint.
    pub(crate) fn wrong_key(self) -> Answer {
        match self {
            Endpoint::AgentsStatus | Endpoint::SmsTemplates | Endpoint::Click2Call => {
                Answer::error(403, "Invalid api_key")
            }
            _ => Answer::error(401, "Invalid User API Key"),
        }
    }
}

/// An endpoint, and the key in its path where it has one there.
pub(crate) struct Found {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: Option<String>,
}

/// The endpoint at a path, in any of its spellings.
pub(crate) fn endpoint(path: &str) -> Option<Found> {
    let path = written::path(path);
    if let Some((key, what)) = path.strip_prefix("/api/v1/").and_then(|rest| rest.split_once('/')) {
        let endpoint = match what {
            "agents_status" => Endpoint::AgentsStatus,
            "click2call" => Endpoint::Click2Call,
            _ => return None,
        };
        // A form's escapes, but for the plus.
        let named = format!("key={}", key.replace('+', "%2B"));
        let key = form_urlencoded::parse(named.as_bytes()).next()?.1.into_owned();
        return Some(Found { endpoint, key: Some(key) });
    }
    let endpoint = match &*path {
        "/api/user_management/v1/users" | "/user_management/v1/users" => Some(Endpoint::Users),
        "/api/v3/cdr/users" => Some(Endpoint::V3Users),
        "/api/v2/cdr/teams" => Some(Endpoint::Teams),
        "/api/v2/cdr/deleted_agents" => Some(Endpoint::DeletedAgents),
        "/api/v3/messages/sms/templates" => Some(Endpoint::SmsTemplates),
        _ => None,
    };
    endpoint.map(|endpoint| Found { endpoint, key: None })
}

/// The complete answer: the endpoint's users or teams that pass the filters.
pub(crate) fn body<'a>(
    endpoint: Endpoint,
    users: impl Iterator<Item = &'a User>,
    teams: &[Named],
    query: &[(String, String)],
) -> String {
    let teams = match endpoint {
        Endpoint::Teams => {
            let mut all: Vec<&Named> = teams.iter().collect();
            all.sort_by_key(|team| team.id);
            let object = Object::default;
            let all = all.into_iter();
            return list(
                all.map(|one| object().with("name", one.name.as_ref()).with("id", one.id)),
            );
        }
        Endpoint::DeletedAgents => {
            let object = Object::default;
            let all = users.filter(|user| is_deleted(user));
            return list(
                all.map(|one| object().with("id", one.id).with("name", one.name.as_ref())),
            );
        }
        Endpoint::SmsTemplates => return templates(teams, query),
        // It is answered where calls are counted.
        Endpoint::Click2Call => return String::new(),
        Endpoint::AgentsStatus => {
            let object = Object::default;
            return list(users.filter(|user| !is_deleted(user)).map(|user| {
                let one = object().with("email", user.email.as_ref());
                let one = one.with("ext", user.extension.as_deref());
                one.with("status", user.status.as_deref().map(str::to_lowercase))
            }));
        }
        Endpoint::Users => "assigned_teams",
        Endpoint::V3Users => "agent_in_teams",
    };
    let query = match endpoint {
        Endpoint::V3Users => &v3_query(query)[..],
        _ => query,
    };
    let listed = users.filter(|user| !is_deleted(user) && passes(user, query));
    list(listed.map(|user| agent(user, teams)))
}

/// A page of templates, counted from 1.
fn templates(teams: &[Named], query: &[(String, String)]) -> String {
    let number = |name: &str, default: usize| {
        let number = wanted(query, name).and_then(|text| text.parse().ok());
        number.filter(|number| *number > 0).unwrap_or(default)
    };
    let (page, limit) = (number("page", 1), number("limit", 50).min(500));
    let all = CannedMessage::all(teams);
    let all: Vec<_> = all.iter().filter(|one| one.channels.contains(&"sms")).collect();
    let shown: Vec<_> = all.iter().skip((page - 1).saturating_mul(limit)).take(limit).collect();
    let team =
        |team: &Named| Object::default().with("id", team.id).with("name", team.name.as_ref());
    let records: Vec<Object> = shown
        .iter()
        .map(|one| {
            let object = Object::default().with("id", one.id).with("name", one.name.as_str());
            let object = object.with("body", one.body.as_str());
            object.list("assigned_teams", one.teams.iter().map(team).collect())
        })
        .collect();
    let metadata = Object::default().with("total", all.len()).with("page", page);
    let metadata = metadata.with("page_size", shown.len());
    Object::default().list("templates", records).object("metadata", metadata).to_json()
}

fn list(all: impl Iterator<Item = Object>) -> String {
    format!("[{}]", all.map(|one| one.to_json()).collect::<Vec<_>>().join(","))
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

/// A user in the order of the page; `teams` is the name of the field with the user's teams.
fn agent(user: &User, teams: &'static str) -> Object {
    let group = user.security_access_group.as_ref().map(|group| group.name.as_ref());
    let ringtone = user.webrtc_ringtone.as_ref().map(|ringtone| ringtone.name.as_ref());
    let skills = user.skills.iter().map(|level| {
        Object::default().with("name", level.skill.name.as_ref()).with("value", level.value)
    });
    Object::default()
        .with("id", user.id)
        .with("name", user.name.as_ref())
        .with("email", user.email.as_ref())
        .with("sip_account", user.sip_account.as_deref())
        .with("sag", group)
        .with("extension", user.extension.as_deref())
        .with("caller_id", user.caller_id.as_deref())
        .with("timezone", user.timezone.as_deref().map(zones::shown))
        .with("webrtc_ringtone", ringtone)
        .with(teams, joined(&user.teams, |team| team.id.to_string()))
        .with("supervisor_in_teams", joined(&user.supervised_teams, |team| team.id.to_string()))
        .list("assigned_skills", skills.collect())
        .with("assigned_queues", joined(&user.queues, |queue| queue.name.to_string()))
        .with("employee_id", user.employee_id.as_deref())
        .list("assigned_channels", user.channel_profiles.iter().map(channel).collect())
}

fn joined(all: &[Named], shown: fn(&Named) -> String) -> String {
    all.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn channel(profile: &ChannelProfile) -> Object {
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
    let channel = Object::default().with("type", kind);
    channel.with("name", profile.name.as_ref()).with("value", value)
}

/// The number of an identifier in E.164, without the plus; `None` for any other text.
fn phone(identifier: &str) -> Option<u64> {
    let digits = identifier.strip_prefix('+').unwrap_or(identifier);
    let plain = (1..=18).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
