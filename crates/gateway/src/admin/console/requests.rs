//! The last requests, with no more than their access lines say. Must never show a key, a query or a value.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::endpoints::rows;
use super::panel::{Cell, Kind, Panel, Tone, clock};
use super::query::Query;
use crate::observe::epochs::seconds;
use crate::state::State;

/// The most rows of the page.
const ROWS_MAX: usize = 200;

/// `/api/v1/requests`: the newest first; those behind a number, of a caller, or with an error.
pub(super) fn json(state: &State, query: &Query) -> Value {
    let mut found = state.past.requests.since(query.after, seconds(SystemTime::now()));
    let is = |wanted: &Option<String>, value: &Value| {
        wanted.as_deref().is_none_or(|wanted| value.as_str() == Some(wanted))
    };
    found.retain(|row| is(&query.caller, &row["caller"]) && is(&query.slug, &row["err"]));
    json!({"requests": found})
}

pub(super) fn panel(requests: &Value) -> Panel {
    let cells = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let status = row["status"].as_u64().unwrap_or(0);
        let tone = match status {
            200..=399 => Tone::Good,
            400..=499 => Tone::Doubt,
            _ => Tone::Bad,
        };
        let what = match (text("err"), text("legacy_path")) {
            (error, "") => error.to_owned(),
            (error, path) => format!("{error} {path}"),
        };
        vec![
            Cell::text(clock(row["at"].as_f64().unwrap_or(0.0))),
            Cell::text(text("caller")),
            Cell::text(format!("{} {}", text("method"), text("endpoint"))),
            Cell::text(status.to_string()).toned(Some(tone)),
            Cell::text(what),
            Cell::number(row["rows"].as_u64().unwrap_or(0)),
            Cell::text(row["source"].as_str().unwrap_or("-")),
            Cell::text(format!("{:.1}", row["ms"].as_f64().unwrap_or(0.0))),
            Cell::text(text("request_id")),
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
        rows: rows(requests, "requests").iter().take(ROWS_MAX).map(cells).collect(),
        empty: "Nothing was asked yet.",
    }
}
