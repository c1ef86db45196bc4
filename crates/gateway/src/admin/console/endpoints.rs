//! How each endpoint answers, and where answers come from. Must never show a value of an answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::panel::{Cell, Kind, Panel, Tone};
use crate::observe::metrics::read::Counted;

/// `/api/v1/endpoints`: each that was asked for, with the seconds below which half and 95 % of its answers lie.
pub(super) fn json(counted: &Counted) -> Value {
    let mut classes: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    for series in counted.series("tieline_requests_total") {
        let status = series.label("status");
        let class = format!("{}xx", status.get(..1).unwrap_or("0"));
        let of = classes.entry(series.label("endpoint")).or_default();
        *of.entry(class).or_default() += series.count();
    }
    let seconds: BTreeMap<&str, _> = counted
        .series("tieline_request_seconds")
        .map(|series| (series.label("endpoint"), (series.within(0.5), series.within(0.95))))
        .collect();
    let rows: BTreeMap<&str, u64> = counted
        .series("tieline_rows_total")
        .map(|series| (series.label("endpoint"), series.count()))
        .collect();
    let row = |(endpoint, answers): (&str, BTreeMap<String, u64>)| {
        let (half, most) = seconds.get(endpoint).copied().unwrap_or_default();
        let rows = rows.get(endpoint).copied().unwrap_or(0);
        json!({
            "endpoint": endpoint,
            "answers": answers,
            "half_within_seconds": half,
            "most_within_seconds": most,
            "rows": rows,
        })
    };
    json!({"endpoints": classes.into_iter().map(row).collect::<Vec<_>>()})
}

pub(super) fn panel(endpoints: &Value) -> Panel {
    let cells = |row: &Value| {
        let count = |class: &str| row["answers"][class].as_u64().unwrap_or(0);
        let within = |value: &Value| match value.as_f64() {
            Some(seconds) if seconds < 1.0 => format!("{} ms", seconds * 1e3),
            Some(seconds) => format!("{seconds} s"),
            None => "over 25 s".to_owned(),
        };
        let answers = row["answers"].as_object();
        let sum = answers.map_or(0, |all| all.values().filter_map(Value::as_u64).sum::<u64>());
        let failed = count("5xx");
        vec![
            Cell::text(row["endpoint"].as_str().unwrap_or_default()),
            Cell::number(sum),
            Cell::number(count("4xx")),
            Cell::number(failed).toned((failed > 0).then_some(Tone::Doubt)),
            Cell::text(within(&row["half_within_seconds"])),
            Cell::text(within(&row["most_within_seconds"])),
            Cell::number(row["rows"].as_u64().unwrap_or(0)),
            Cell::spark(sum),
        ]
    };
    Panel {
        id: "endpoints",
        title: "Endpoints",
        note: "Counted since the start. `none` has paths that nothing answers.".to_owned(),
        columns: &[
            ("Endpoint", Kind::Text),
            ("Answers", Kind::Number),
            ("4xx", Kind::Number),
            ("5xx", Kind::Number),
            ("Half within", Kind::Number),
            ("95 % within", Kind::Number),
            ("Records", Kind::Number),
            ("Answers per minute", Kind::Spark),
        ],
        rows: rows(endpoints, "endpoints").iter().map(cells).collect(),
        empty: "Nothing was asked yet.",
    }
}

/// The rows of a page.
pub(super) fn rows<'a>(page: &'a Value, name: &str) -> &'a [Value] {
    page[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Where lists came from, and what that means.
const SOURCES: [(&str, &str); 5] = [
    ("read", "read from the upstream"),
    ("shared", "shared with an equal request under way"),
    ("replica", "read by another replica"),
    ("hit", "kept and fresh"),
    ("stale", "kept, and given because the upstream failed"),
];

/// `/api/v1/cache`: where lists came from, and what was looked up.
pub(super) fn cache_json(counted: &Counted) -> Value {
    let by = |metric: &str, label: &str| -> BTreeMap<String, u64> {
        let series = counted.series(metric);
        series.map(|one| (one.label(label).to_owned(), one.count())).collect()
    };
    json!({
        "answers": by("tieline_answers_total", "source"),
        "lookups": by("tieline_lookups_total", "outcome"),
        "list_events": by("tieline_list_events_total", "event"),
    })
}

pub(super) fn cache_panel(cache: &Value) -> Panel {
    let answers = SOURCES.iter().map(|(source, what)| {
        let count = cache["answers"][source].as_u64().unwrap_or(0);
        vec![Cell::text(*source), Cell::text(*what), Cell::number(count), Cell::spark(count)]
    });
    Panel {
        id: "cache",
        title: "Cache and sharing",
        note: "Where lists came from, since the start.".to_owned(),
        columns: &[
            ("Source", Kind::Text),
            ("Meaning", Kind::Text),
            ("Lists", Kind::Number),
            ("Lists per minute", Kind::Spark),
        ],
        rows: answers.collect(),
        empty: "",
    }
}
