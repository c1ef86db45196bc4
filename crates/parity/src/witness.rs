//! A second translation of the new API's users and canned messages, written from the vendor's pages of
//! `GET /api/v4/users` and `GET /api/v4/messaging/canned_messages`. Where
//! candidate shows the same value, it has translated faithfully, and the data differs. Where it shows
//! another value, candidate is wrong.
//!
//! It knows only Voiso's v4. The gateway must never call it.

use std::collections::HashMap;
use std::sync::LazyLock;

use corpus::endpoint::Endpoint;
use corpus::node::Node;

use crate::knowledge::{Settings, TITLE};
use crate::list::KeyedBy;
use crate::zone;

/// Display names of channels by slug, from the same file as the gateway's.
static CHANNELS: LazyLock<Vec<(&str, &str)>> =
    LazyLock::new(|| zone::rows(include_str!("../../domain/data/channel_names.tsv")));

/// The statuses that the vendor's page of `GET /api/v1/{key}/agents_status` lists, in its order.
/// Deleted users are `offline`; every other status is one of a user who exists.
const STATUSES: [&str; 7] =
    ["offline", "available", "unavailable", "inbound", "outbound", "dialer", "postcall"];

/// The rows of users in the new API, by the key of their legacy records.
pub type Rows = HashMap<String, Node>;

/// Rows by key, the total that the page states, and the number of rows on the page.
pub type Page = (Vec<(String, Node)>, u64, usize);

/// Where the new API lists something.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub path: &'static str,
    /// The member of a page that holds its rows.
    pub member: &'static str,
}

pub const USERS: Place = Place { path: "/api/v4/users", member: "users" };
pub const MESSAGES: Place =
    Place { path: "/api/v4/messaging/canned_messages", member: "canned_messages" };

/// Whether a canned message is a template of text messages.
pub fn is_template(message: &Node) -> bool {
    let channels = message.get("channels").and_then(Node::list).unwrap_or_default();
    channels.iter().any(|channel| channel.text() == Some("sms"))
}

/// Reads a page of a place, and keeps the rows that are `wanted`.
pub fn page(
    body: &[u8],
    place: Place,
    wanted: impl Fn(&str, &Node) -> bool,
    by: KeyedBy,
) -> Option<Page> {
    let page = Node::parse(body).ok()?;
    let users = page.get(place.member)?.list()?;
    let Node::Number(total) = page.get("metadata")?.get("total")? else { return None };
    let member = if by == KeyedBy::Id { "id" } else { "email" };
    let rows = users.iter().filter_map(|row| Some((key(row.get(member)?)?, row)));
    let rows = rows.filter(|(id, row)| wanted(id, row)).map(|(id, row)| (id, row.clone()));
    Some((rows.collect(), total.as_u64()?, users.len()))
}

/// Reads a page of teams: their ids, the total that the page states, and the number of rows on the page.
pub fn teams(body: &[u8]) -> Option<(Vec<String>, u64, usize)> {
    let page = Node::parse(body).ok()?;
    let teams = page.get("teams")?.list()?;
    let Node::Number(total) = page.get("metadata")?.get("total")? else { return None };
    let ids = teams.iter().filter_map(|team| key(team.get("id")?));
    Some((ids.collect(), total.as_u64()?, teams.len()))
}

/// An id is a number or a text; the new API may mix them.
fn key(id: &Node) -> Option<String> {
    match id {
        Node::Number(number) => Some(number.to_string()),
        Node::Text(text) => Some(text.clone()),
        _ => None,
    }
}

pub fn has_deletion_date(row: &Node) -> bool {
    !matches!(row.get("deleted_at"), None | Some(Node::Null))
}

/// Whether a user is deleted under a value of the setting `deleted_at`.
pub fn is_deleted(row: &Node, deleted_at: &str) -> bool {
    let has_date = has_deletion_date(row);
    let status = row.get("status").and_then(Node::text);
    match deleted_at {
        "always" => has_date,
        "never" => false,
        _ => has_date && !status.is_some_and(|one| one != "offline" && STATUSES.contains(&one)),
    }
}

pub fn is_listed(endpoint: &Endpoint, row: &Node, deleted_at: &str) -> bool {
    is_deleted(row, deleted_at) == (endpoint.name == "v2_cdr_deleted_agents")
}

/// The value of a legacy field; `None` for an unknown field.
pub fn expected(field: &str, row: &Node, settings: &Settings) -> Option<Node> {
    let get = |name: &str| or_null(row.get(name));
    let name_in = |name: &str| or_null(row.get(name).and_then(|object| object.get("name")));
    Some(match field {
        "id" => decimal(&get("id")),
        "name" | "email" | "sip_account" | "extension" | "body" => get(field),
        "ext" => get("extension"),
        "status" => status(&get(field), settings),
        "assigned_teams" if row.get("body").is_some() => list(row.get("teams"), |team| {
            object([("id", decimal(&or_null(team.get("id")))), ("name", or_null(team.get("name")))])
        }),
        "sag" => name_in("security_access_group"),
        "caller_id" => caller_id(&get(field), settings),
        "timezone" => time_zone(&get(field), settings),
        "webrtc_ringtone" => name_in(field),
        "assigned_teams" | "agent_in_teams" => {
            team_list(row.get("teams"), &settings.assigned_teams, settings)
        }
        "supervisor_in_teams" => {
            team_list(row.get("supervised_teams"), &settings.supervisor_in_teams, settings)
        }
        "assigned_queues" => team_list(row.get("queues"), "names", settings),
        "assigned_skills" => list(row.get("skills"), |level| {
            let skill = level.get("skill").and_then(|skill| skill.get("name"));
            object([("name", or_null(skill)), ("value", or_null(level.get("value")))])
        }),
        "employee_id" => match (settings.employee_id.as_str(), get(field)) {
            ("number", Node::Text(text)) => decimal(&Node::Text(text)),
            (_, value) => value,
        },
        "assigned_channels" => list(row.get("channel_profiles"), |profile| {
            let slug = profile.get("channel").and_then(Node::text);
            let kind = slug.map_or(Node::Null, |slug| Node::from(channel(slug, settings)));
            object([
                ("type", kind),
                ("name", or_null(profile.get("name"))),
                ("value", phone(profile.get("identifier"))),
            ])
        }),
        _ => return None,
    })
}

fn or_null(node: Option<&Node>) -> Node {
    node.cloned().unwrap_or(Node::Null)
}

fn object<const N: usize>(members: [(&str, Node); N]) -> Node {
    Node::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn list(nodes: Option<&Node>, make: impl Fn(&Node) -> Node) -> Node {
    let nodes = nodes.and_then(Node::list).unwrap_or_default();
    Node::List(nodes.iter().map(make).collect())
}

/// A decimal text without leading zeros becomes a number; other values stay.
fn decimal(node: &Node) -> Node {
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    match node.text().and_then(number) {
        Some(number) => Node::Number(number.into()),
        None => node.clone(),
    }
}

fn caller_id(node: &Node, settings: &Settings) -> Node {
    let group = node.text().and_then(|number| settings.caller_id_groups.get(number));
    group.map_or_else(|| node.clone(), |group| Node::from(group.as_str()))
}

/// The shown word for whether an agent can take a call.
pub fn status(node: &Node, settings: &Settings) -> Node {
    let Some(word) = node.text() else { return node.clone() };
    if let Some(own) = settings.statuses.get(word) {
        return Node::from(own.as_str());
    }
    let lower = word.to_lowercase();
    if !STATUSES.contains(&lower.as_str()) && settings.unknown_status == "null" {
        return Node::Null;
    }
    Node::from(if settings.style == TITLE { title(&lower) } else { lower }.as_str())
}

/// A word with a capital in front.
pub fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// The shown name of a time zone. A name that is shown already stays.
pub fn time_zone(node: &Node, settings: &Settings) -> Node {
    let Some(zone) = node.text() else { return node.clone() };
    match settings.timezone_names.get(zone) {
        Some(name) => Node::from(name.as_str()),
        None if settings.timezone == "upstream" => node.clone(),
        None => Node::from(zone::rails_name(zone).unwrap_or(zone)),
    }
}

fn team_list(nodes: Option<&Node>, shows: &str, settings: &Settings) -> Node {
    let nodes = nodes.and_then(Node::list).unwrap_or_default();
    let parts = nodes.iter().map(|node| match (shows, node.get("id"), node.get("name")) {
        ("names", _, Some(Node::Text(name))) if settings.separator_in_name == "replace" => {
            name.replace(", ", " ")
        }
        ("names", _, Some(Node::Text(name))) => name.clone(),
        ("ids", Some(Node::Number(id)), _) => id.to_string(),
        ("ids", Some(Node::Text(id)), _) => id.clone(),
        _ => String::new(),
    });
    Node::Text(parts.collect::<Vec<_>>().join(", "))
}

pub fn channel<'a>(slug: &'a str, settings: &'a Settings) -> &'a str {
    let known = || CHANNELS.iter().find(|(known, _)| *known == slug).map_or(slug, |(_, name)| name);
    settings.channel_types.get(slug).map_or_else(known, String::as_str)
}

/// The slugs with a display name.
pub fn slugs(name: &str) -> impl Iterator<Item = &'static str> {
    CHANNELS.iter().filter(move |(_, known)| *known == name).map(|(slug, _)| *slug)
}

/// The digits of a number in E.164 as a number; other identifiers have no number.
fn phone(identifier: Option<&Node>) -> Node {
    let text = identifier.and_then(Node::text).unwrap_or_default();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = (1..=18).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<u64>().ok()).flatten();
    number.map_or(Node::Null, |number| Node::Number(number.into()))
}
