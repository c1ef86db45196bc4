//! The legacy side and the other replicas, where there are some. Must never show a value of an answer: what comparisons
//! keep is masked.

use serde_json::{Value, json};

use super::endpoints::rows;
use super::panel::{Cell, Kind, Panel, Tone, clock};
use crate::state::State;

/// The most rows of a table of the page.
const ROWS_MAX: usize = 50;

/// What comparisons with the other side found; no value of an answer is in it.
pub(crate) fn shadow_json(state: &State) -> Value {
    let mut found = state.shadow_results.json();
    found["enabled"] = state.shadow.is_some().into();
    found
}

pub(super) fn shadow_panel(shadow: &Value) -> Panel {
    let cells = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let tone = match text("cause") {
            "bug" | "undecided" => Tone::Bad,
            _ => Tone::Doubt,
        };
        vec![
            Cell::text(format!("{} {}", text("endpoint"), text("field"))),
            Cell::text(text("kind")),
            Cell::text(text("cause")).toned(Some(tone)),
            Cell::text(text("caller")),
            Cell::number(row["times"].as_u64().unwrap_or(0)),
            Cell::text(clock(row["at"].as_f64().unwrap_or(0.0))),
        ]
    };
    let sums: Vec<String> = shadow["comparisons"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(endpoint, outcomes)| {
            let outcomes = outcomes.as_object().into_iter().flatten();
            let outcomes = outcomes.map(|(outcome, count)| format!("{outcome} {count}"));
            format!("{endpoint}: {}", outcomes.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let is_on = shadow["enabled"].as_bool() == Some(true);
    Panel {
        id: "shadow",
        title: "Compared with the legacy API",
        note: match (is_on, sums.is_empty()) {
            (false, true) => "Switched off: there is no [shadow].".to_owned(),
            (_, true) => "Nothing was compared yet.".to_owned(),
            (_, false) => format!("Since the start. {}.", sums.join("; ")),
        },
        columns: &[
            ("Field", Kind::Text),
            ("Difference", Kind::Text),
            ("Cause", Kind::Text),
            ("Caller", Kind::Text),
            ("Times", Kind::Number),
            ("At", Kind::Text),
        ],
        rows: rows(shadow, "differences").iter().take(ROWS_MAX).map(cells).collect(),
        empty: "No differences.",
    }
}

pub(super) fn replicas_panel(replicas: &Value) -> Panel {
    let commons = &replicas["commons"];
    let own = replicas["configuration"].as_str().unwrap_or_default();
    let cells = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let same = text("configuration") == own;
        let (word, tone) = match same {
            true => ("as here", Tone::Good),
            false => ("another one", Tone::Doubt),
        };
        let this = if row["this"] == json!(true) { " (this one)" } else { "" };
        vec![
            Cell::text(format!("{}{this}", text("who"))),
            Cell::text(text("version")),
            Cell::text(text("configuration")),
            Cell::text(word).toned(Some(tone)),
        ]
    };
    Panel {
        id: "replicas",
        title: "Replicas",
        note: match commons["replicas"].as_u64() {
            Some(count) => format!(
                "{count} share: the highest count of the last five seconds of answers; at first replicas_max."
            ),
            None => "This process is by itself: there is no [commons].".to_owned(),
        },
        columns: &[
            ("Replica", Kind::Text),
            ("Version", Kind::Text),
            ("Configuration", Kind::Text),
            ("Compared", Kind::Text),
        ],
        rows: rows(commons, "members").iter().map(cells).collect(),
        empty: "",
    }
}
