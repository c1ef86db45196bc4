//! What the legacy API does by a rule that the gateway does not know: neither a setting nor a single
//! value in the data explains it.

use corpus::node::Node;
use tests::mutate::Change;
use tests::mutate::edit::{field, filter_by, id, inside, parts, rows, set, text};

use crate::bugs_answers::{around, error, insert_like_first};
use crate::case::{Case, Side, V1, V3, bug};

/// Nothing becomes a text.
fn replaced(name: &'static str, by: &'static str) -> Change {
    field(name, move |value, _| {
        if *value == Node::Null {
            *value = Node::from(by);
        }
    })
}

/// By a rule for every record, though the new API holds what candidate shows.
pub(crate) fn values() -> Vec<Case> {
    let all = vec![
        bug("control calls no zone UTC", V1, &["timezone"], |_| replaced("timezone", "UTC")),
        bug("control calls no group Agent", V1, &["sag"], |_| replaced("sag", "Agent")),
        bug("control trims names", V1, &["name"], |_| text("name", |name| name.trim().to_owned())),
        bug("control escapes names for HTML", V1, &["name"], |_| {
            text("name", |name| {
                let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                name.replace('"', "&quot;").replace('\'', "&#39;")
            })
        }),
        bug("control shows the first supervised team only", V1, &["supervisor_in_teams"], |_| {
            parts("supervisor_in_teams", |teams| teams.truncate(1))
        }),
        bug("control writes None where a user has no extension", V1, &["extension"], |_| {
            replaced("extension", "None")
        }),
        bug("control shows levels of skills as 5.0", V1, &["assigned_skills"], |_| {
            inside("assigned_skills", "value", |value| {
                if let Node::Number(level) = value
                    && let Some(level) = level.as_f64().and_then(serde_json::Number::from_f64)
                {
                    *value = Node::Number(level);
                }
            })
        }),
        bug("control shows the extensions of two users as null", V1, &["extension"], |vendor| {
            let records = vendor.records();
            let with =
                records.iter().filter(|user| user.extension.is_some() && user.deleted_at.is_none());
            let two: Vec<u64> = with.take(2).map(|user| user.id).collect();
            set("extension", move |row, _| two.contains(&id(row)).then_some(Node::Null))
        }),
        bug("control cuts one name within an emoji", V1, &["name"], |_| {
            text("name", |name| match name.split_once('🎧') {
                Some((before, _)) => format!("{before}\u{fffd}"),
                None => name.to_owned(),
            })
        }),
        bug("control never lists a group", V1, &["$records"], |_| {
            rows(|_, rows| rows.retain(|row| row.get("sag").and_then(Node::text) != Some("Agent")))
        }),
        bug("control's key may not see one of the users", V1, &["$records"], |vendor| {
            let hidden = vendor.records()[7].id;
            rows(move |_, rows| rows.retain(|row| id(row) != hidden))
        }),
        bug("control lists users that no other side has", V1, &["$records"], |_| {
            rows(|asked, rows| (0..8).for_each(|k| insert_like_first(asked, rows, 99_000 + k)))
        }),
    ];
    all.into_iter().map(on_control).collect()
}

/// By several values of a setting at once.
pub(crate) fn contradictions() -> Vec<Case> {
    let all = vec![
        bug("control finds groups by their beginning", V1, &["$records"], |_| {
            filter_by("sag", |value, wanted| value.starts_with(wanted))
        }),
        bug("control finds names by a part under one filter only", V3, &["$records"], |_| {
            filter_by("name", |value, wanted| match wanted.len() % 2 {
                0 => value == wanted,
                _ => value.to_lowercase().contains(&wanted.to_lowercase()),
            })
        }),
        bug("control has another text for no key than for a wrong one", V1, &["$error"], |_| {
            Change::answer(|asked, reply| {
                if asked.authorization.is_none() && asked.filter("key").is_none() {
                    error(reply, 401, "Missing api_key");
                }
            })
        }),
        bug("control has two other texts for wrong keys", V1, &["$error"], |_| {
            Change::answer(|asked, reply| match (reply.status, &asked.authorization) {
                (401, None) => error(reply, 401, "Missing api_key"),
                (401, Some(_)) => error(reply, 401, "Invalid api_key"),
                _ => {}
            })
        }),
        bug("control wraps lists as users and counts one", V1, &["$envelope"], |_| {
            around("{\"users\":", ",\"metadata\":{\"total\":1}}")
        }),
        bug("control wraps only lists under a filter", V1, &["$envelope"], |_| {
            Change::answer(|asked, reply| {
                if let Some(rows) = reply.rows().filter(|_| asked.filter("sag").is_some()) {
                    reply.set_body(crate::explained::as_users(&rows));
                }
            })
        }),
    ];
    let asked = |case| Case { asks_everything: true, ..on_control(case) };
    all.into_iter().map(asked).collect()
}

fn on_control(case: Case) -> Case {
    Case { side: Side::Control, ..case }
}
