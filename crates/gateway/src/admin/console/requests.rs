//! The last requests, with no more than their access lines say. Must never show a key, a query or a value.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::panel::{Cell, Kind, Panel, Tone, clock};
use super::query::Query;
use crate::observe::epochs::seconds;
use crate::observe::recent::Told;
use crate::state::State;

/// The most rows of the page.
const ROWS_MAX: usize = 200;

/// `/api/v1/requests`: the newest first; those behind a number, of a caller, or with an error.
pub(super) fn json(state: &State, query: &Query) -> Value {
    let is = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == found)
    };
    let mut found = state.past.requests.since(query.after);
    found.retain(|told| is(&query.caller, told.caller()) && is(&query.slug, told.error()));
    let now = seconds(SystemTime::now());
    json!({"requests": found.iter().map(|told| told.json(now)).collect::<Vec<_>>()})
}

pub(super) fn panel(requests: &[Told]) -> Panel {
    let now = seconds(SystemTime::now());
    let cells = |told: &Told| {
        let tone = match told.status {
            200..=399 => Tone::Good,
            400..=499 => Tone::Doubt,
            _ => Tone::Bad,
        };
        let what = match (told.error(), told.legacy_path()) {
            (error, None) => error.to_owned(),
            (error, Some(path)) => format!("{error} {path}"),
        };
        vec![
            Cell::text(clock(told.at(now))),
            Cell::text(told.caller()),
            Cell::text(format!("{} {}", told.method, told.endpoint)),
            Cell::text(told.status.to_string()).toned(Some(tone)),
            Cell::text(what),
            Cell::number(told.rows),
            Cell::text(told.source().unwrap_or("-")),
            Cell::text(format!("{:.1}", told.millis())),
            Cell::text(told.request_id()),
        ]
    };
    Panel {
        id: "requests",
        title: "Last requests",
        note: format!("The last {ROWS_MAX} at most, time of day in UTC. The log has the same ids."),
        columns: &[
            ("At", Kind::Text),
            ("Caller", Kind::Text),
            ("Request", Kind::Text),
            ("Status", Kind::Text),
            ("Error", Kind::Text),
            ("Records", Kind::Number),
            ("Source", Kind::Text),
            ("ms", Kind::Number),
            ("Id", Kind::Text),
        ],
        rows: requests.iter().take(ROWS_MAX).map(cells).collect(),
        empty: "Nothing was asked yet.",
    }
}
