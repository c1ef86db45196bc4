//! Which callers still use what, and what they ask for in vain. Must never show the value of a filter, or a path as it
//! came: paths are names of a closed list.

use serde_json::{Value, json};

use super::endpoints::rows;
use super::panel::{Cell, Kind, Panel, Tone, grouped};
use crate::observe::metrics::read::Counted;

/// The most rows of a table of the page.
const ROWS_MAX: usize = 100;

/// `/api/v1/usage`: filters and misspelt filters by caller, and legacy paths that are not translated.
pub(super) fn json(counted: &Counted) -> Value {
    let listed = |metric: &str, labels: &[&str]| {
        let row = |series: crate::observe::metrics::read::Series<'_>| {
            let mut row = json!({"times": series.count()});
            for label in labels {
                row[*label] = json!(series.label(label));
            }
            row
        };
        let mut rows: Vec<Value> = counted.series(metric).map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row["times"].as_u64()));
        rows
    };
    json!({
        "filters": listed("tieline_filters_used_total", &["caller", "endpoint", "filter"]),
        "near_misses": listed("tieline_near_misses_total", &["caller", "kind"]),
        "untranslated": listed("tieline_untranslated_total", &["caller", "path", "endpoint"]),
    })
}

fn cells(row: &Value, labels: &[&str]) -> Vec<Cell> {
    let text = |label: &&str| Cell::text(row[*label].as_str().unwrap_or_default());
    let mut cells: Vec<Cell> = labels.iter().map(text).collect();
    cells.push(Cell::number(row["times"].as_u64().unwrap_or(0)));
    cells
}

fn note(what: &str, all: &[Value]) -> String {
    match all.len() > ROWS_MAX {
        true => format!("{what} The first {ROWS_MAX} of {}.", grouped(all.len() as u64)),
        false => what.to_owned(),
    }
}

pub(super) fn unanswered_panel(usage: &Value) -> Panel {
    let all = rows(usage, "untranslated");
    let row = |row: &Value| {
        let mut cells = cells(row, &["path", "caller", "endpoint"]);
        let passes = row["endpoint"] == "passthrough";
        let (text, tone) = match passes {
            true => ("passes through, until the legacy API ends", Tone::Doubt),
            false => ("nothing answers it", Tone::Bad),
        };
        if let Some(cell) = cells.get_mut(2) {
            *cell = Cell::text(text).toned(Some(tone));
        }
        cells
    };
    Panel {
        id: "unanswered",
        title: "What still comes and is not translated",
        note: note("Documented legacy paths, since the start.", all),
        columns: &[
            ("Legacy path", Kind::Text),
            ("Caller", Kind::Text),
            ("What happens", Kind::Text),
            ("Times", Kind::Number),
        ],
        rows: all.iter().take(ROWS_MAX).map(row).collect(),
        empty: "Nobody asked for a documented legacy path that is not translated.",
    }
}

pub(super) fn filters_panel(usage: &Value) -> Panel {
    let all = rows(usage, "filters");
    let row = |row: &Value| cells(row, &["caller", "endpoint", "filter"]);
    Panel {
        id: "filters",
        title: "Who still uses which filter",
        note: note("Since the start.", all),
        columns: &[
            ("Caller", Kind::Text),
            ("Endpoint", Kind::Text),
            ("Filter", Kind::Text),
            ("Times", Kind::Number),
        ],
        rows: all.iter().take(ROWS_MAX).map(row).collect(),
        empty: "Nobody filtered yet.",
    }
}
