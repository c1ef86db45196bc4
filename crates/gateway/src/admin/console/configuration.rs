//! The configuration in force, where each value comes from, and what the file says otherwise by now. Must never show
//! a key or the digest of one: of a secret only its place is shown. It waits for the disk.

use serde_json::{Value, json};
use settings::{Config, Setting};

use super::endpoints::rows;
use super::panel::{Cell, Kind, Panel, Tone, clock, grouped};
use super::query::Query;
use crate::observe::past::Past;

/// The most rows of the page.
const ROWS_MAX: usize = 200;

/// `/api/v1/config`: settings, those that differ in the file, and the last configurations that came.
pub(super) fn json(config: &Config, past: &Past, query: &Query) -> Value {
    let mut in_force = config.settings();
    // There may be thousands of callers.
    in_force.sort_by_cached_key(|setting| setting.name().starts_with("caller["));
    let row = |setting: &Setting| {
        json!({
            "setting": setting.name(), "value": setting.value(), "origin": setting.origin(),
        })
    };
    let shown = in_force.iter().skip(query.offset).take(query.limit);
    let (differs, refused) = match config.differences() {
        Ok(found) => (found, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let differ = differs.len();
    let differs = differs.iter().take(ROWS_MAX).map(
        |one| json!({"setting": one.setting, "in_force": one.in_force, "in_file": one.in_file}),
    );
    json!({
        "file": config.file(),
        "fingerprint": config.fingerprint(),
        "total": in_force.len(),
        "offset": query.offset,
        "settings": shown.map(row).collect::<Vec<_>>(),
        "differ": differ,
        "differs": differs.collect::<Vec<_>>(),
        "file_refused": refused,
        "history": past.epochs.json(),
    })
}

pub(super) fn panel(config: &Value) -> Panel {
    let all = rows(config, "settings");
    // What somebody wrote comes first.
    let mut shown: Vec<&Value> = all.iter().collect();
    shown.sort_by_key(|row| row["origin"] == "default");
    let cells = |row: &&Value| {
        let text = |name: &str| Cell::text(row[name].as_str().unwrap_or_default());
        vec![text("setting"), text("value"), text("origin")]
    };
    let total = config["total"].as_u64().unwrap_or(0);
    let mut note = format!("{}.", config["file"].as_str().unwrap_or_default());
    if total > ROWS_MAX as u64 {
        note += &format!(" {ROWS_MAX} of {} settings.", grouped(total));
    }
    Panel {
        id: "configuration",
        title: "Configuration in force",
        note: note + " Reload the page to update it.",
        columns: &[("Setting", Kind::Text), ("Value", Kind::Text), ("Origin", Kind::Text)],
        rows: shown.iter().take(ROWS_MAX).map(cells).collect(),
        empty: "",
    }
}

pub(super) fn difference_panel(config: &Value) -> Panel {
    let cells = |row: &Value| {
        let text = |name: &str| Cell::text(row[name].as_str().unwrap_or("(not set)"));
        vec![text("setting"), text("in_force"), text("in_file")]
    };
    let note = match config["file_refused"].as_str() {
        Some(why) => {
            format!("The file as it is now cannot be used: {}", super::panel::visible(why))
        }
        None => format!(
            "Settings whose value in the file differs: {}. Values that may be secrets are not shown.",
            grouped(config["differ"].as_u64().unwrap_or(0))
        ),
    };
    Panel {
        id: "differences",
        title: "Not in force yet",
        note,
        columns: &[("Setting", Kind::Text), ("In force", Kind::Text), ("In the file", Kind::Text)],
        rows: rows(config, "differs").iter().take(ROWS_MAX).map(cells).collect(),
        empty: "The file matches the configuration in force.",
    }
}

pub(super) fn history_panel(past: &Past) -> Panel {
    let cells = |row: &Value| {
        let at = Cell::text(clock(row["at"].as_f64().unwrap_or(0.0)));
        match row["refused"].as_str() {
            Some(why) => {
                vec![at, Cell::text("refused").toned(Some(Tone::Bad)), Cell::text(why)]
            }
            None => {
                let epoch = format!("epoch {}", row["epoch"]);
                vec![at, Cell::text("taken up").toned(Some(Tone::Good)), Cell::text(epoch)]
            }
        }
    };
    Panel {
        id: "history",
        title: "Configuration history",
        note:
            "The last 20 since the start, the one in force always among them; time of day in UTC."
                .to_owned(),
        columns: &[("At", Kind::Text), ("Result", Kind::Text), ("Which, or why", Kind::Text)],
        rows: past.epochs.json().iter().map(cells).collect(),
        empty: "",
    }
}
