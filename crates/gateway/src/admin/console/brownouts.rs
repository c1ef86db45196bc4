//! The windows in which endpoints answer with an error on purpose: those that are on, those that come, and which
//! callers they have found.

use serde_json::{Value, json};
use settings::Brownout;

use super::panel::{Cell, Kind, Panel, Tone, grouped, moment};
use crate::brownout::Phase;
use crate::observe::metrics::read::Counted;
use crate::state::State;

/// The most rows of the page's table.
const ROWS_MAX: usize = 50;
/// The most callers under its title.
const FOUND_MAX: usize = 20;

/// `/api/v1/brownouts`: the windows that are on, then those that come, then those that are over; `now` is in
/// seconds since 1970.
pub(super) fn json(state: &State, counted: &Counted, now: f64) -> Value {
    let window = |(phase, window): (Phase, &Brownout)| {
        json!({
            "endpoint": window.endpoint,
            "caller": window.caller,
            "start": window.start,
            "end": window.end,
            "state": phase.as_str(),
        })
    };
    let found = counted.series("tieline_brownout_answers_total").map(|series| {
        json!({
            "caller": series.label("caller"),
            "endpoint": series.label("endpoint"),
            "times": series.count(),
        })
    });
    let mut found: Vec<Value> = found.collect();
    found.sort_by_key(|row| std::cmp::Reverse(row["times"].as_u64()));
    let windows: Vec<Value> = in_order(state, now).into_iter().map(window).collect();
    json!({"windows": windows, "found": found})
}

/// Those that are on.
pub(super) fn on(state: &State, now: f64) -> Vec<&Brownout> {
    let on = in_order(state, now).into_iter().filter(|(phase, _)| *phase == Phase::On);
    on.map(|(_, window)| window).collect()
}

fn in_order(state: &State, now: f64) -> Vec<(Phase, &Brownout)> {
    let all = state.config.brownouts.iter();
    let mut all: Vec<_> = all.map(|window| (Phase::of(window, now as u64), window)).collect();
    all.sort_by_key(|(phase, window)| (*phase, window.start, window.end));
    all
}

/// The words for the endpoints of a window.
pub(super) fn endpoint_of(name: Option<&str>) -> &str {
    name.unwrap_or("every translated endpoint")
}

/// The words for the callers of a window.
pub(super) fn caller_of(name: Option<&str>) -> &str {
    name.unwrap_or("every caller")
}

pub(super) fn panel(brownouts: &Value) -> Panel {
    let windows = brownouts["windows"].as_array().map_or(&[][..], Vec::as_slice);
    let at = |value: &Value| Cell::text(moment(value.as_u64().unwrap_or(0)));
    let cells = |row: &Value| {
        let (word, tone) = match row["state"].as_str().unwrap_or_default() {
            "on" => ("answers 503 now", Some(Tone::Doubt)),
            "coming" => ("coming", None),
            _ => ("over", None),
        };
        vec![
            Cell::text(endpoint_of(row["endpoint"].as_str())),
            Cell::text(caller_of(row["caller"].as_str())),
            at(&row["start"]),
            at(&row["end"]),
            Cell::text(word).toned(tone),
        ]
    };
    Panel {
        id: "brownouts",
        title: "Brownouts",
        note: note(brownouts["found"].as_array().map_or(&[][..], Vec::as_slice)),
        columns: &[
            ("Endpoint", Kind::Text),
            ("Caller", Kind::Text),
            ("Starts", Kind::Text),
            ("Ends", Kind::Text),
            ("State", Kind::Text),
        ],
        rows: windows.iter().take(ROWS_MAX).map(cells).collect(),
        empty: "No [[brownout]] is configured.",
    }
}

fn note(found: &[Value]) -> String {
    if found.is_empty() {
        return "No request was answered so since the start.".to_owned();
    }
    let told = found.iter().take(FOUND_MAX).map(|row| {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        format!("{} {} {}", text("caller"), text("endpoint"), row["times"])
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let more = match found.len().saturating_sub(FOUND_MAX) {
        0 => String::new(),
        more => format!(", and {} more", grouped(more as u64)),
    };
    format!("Requests that were answered so since the start: {told}{more}.")
}
