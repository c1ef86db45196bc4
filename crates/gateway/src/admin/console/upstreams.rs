//! What is asked upstream, and how that goes. Must never show a key or a token, nor text of an upstream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use limits::BreakerState;
use serde_json::{Value, json};

use super::panel::{Cell, Kind, Panel, Tone, grouped, span};
use crate::caller::Caller;
use crate::line::upstream::Upstream;
use crate::observe::metrics::read::Counted;
use crate::state::State;

/// The most rows of the page.
const ROWS_MAX: usize = 100;

/// `/api/v1/upstreams`: each that has callers.
pub(super) fn json(state: &State, counted: &Counted) -> Value {
    let rows: Vec<Value> = by_name(state)
        .into_values()
        .map(|(upstream, callers)| row(upstream, &callers, counted))
        .collect();
    json!({"upstreams": rows})
}

/// Every upstream, with its callers.
pub(super) fn by_name(state: &State) -> BTreeMap<&str, (&Arc<Upstream>, Vec<&Arc<Caller>>)> {
    let mut found: BTreeMap<&str, (&Arc<Upstream>, Vec<&Arc<Caller>>)> = BTreeMap::new();
    for caller in state.callers.all() {
        let upstream = &caller.line.upstream;
        let entry = found.entry(&upstream.name).or_insert_with(|| (upstream, Vec::new()));
        entry.1.push(caller);
    }
    found
}

/// The word for what a breaker does.
pub(super) fn word(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "asked",
        BreakerState::HalfOpen => "trying",
        BreakerState::Open => "left alone",
    }
}

fn row(upstream: &Upstream, callers: &[&Arc<Caller>], counted: &Counted) -> Value {
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for series in counted.series("tieline_upstream_requests_total") {
        if series.label("upstream") == upstream.name {
            *outcomes.entry(series.label("outcome")).or_default() += series.count();
        }
    }
    let lines = || callers.iter().map(|caller| &caller.line);
    let places_max = upstream.settings.requests_in_flight_max;
    let waits = lines().filter_map(|line| line.pace.as_ref()?.wait_now());
    let joined: Vec<(Duration, u64)> = lines().flat_map(|line| line.joined.known()).collect();
    let reading: Vec<(usize, usize)> =
        lines().filter_map(|line| line.joined.first_reading()).collect();
    let tokens = lines().filter_map(|line| line.credential.token_lasts());
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs_f64());
    json!({
        "name": upstream.name,
        "dialect": upstream.dialect.name(),
        "base_url": upstream.settings.base_url,
        "callers": callers.len(),
        "breaker": word(upstream.breaker.state()),
        "in_flight": places_max.saturating_sub(upstream.permits.available_permits()),
        "in_flight_max": places_max,
        "attempts": outcomes,
        "requests_per_minute_max": upstream.settings.requests_per_minute_max,
        "pace_wait_seconds": seconds(waits.max()),
        "paused_callers": lines().filter(|line| line.pause.is_on()).count(),
        "has_tokens": upstream.settings.token.is_some(),
        "next_token_end_seconds": seconds(tokens.min()),
        "joined_listings": joined.len(),
        "oldest_joined_seconds": seconds(joined.iter().map(|(age, _)| *age).max()),
        "joined_pages": joined.iter().map(|(_, pages)| pages).sum::<u64>(),
        "first_joined_lists_read": reading.iter().map(|(read, _)| read).sum::<usize>(),
        "first_joined_lists_known": reading.iter().map(|(_, known)| known).sum::<usize>(),
    })
}

pub(super) fn panel(upstreams: &Value) -> Panel {
    let rows = upstreams["upstreams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let cells = |row: &Value| {
        let count = |of: &Value| of.as_u64().unwrap_or(0);
        let breaker = row["breaker"].as_str().unwrap_or_default();
        let tone = match breaker {
            "asked" => Tone::Good,
            "trying" => Tone::Doubt,
            _ => Tone::Bad,
        };
        let attempts = row["attempts"].as_object();
        let sum = attempts.map_or(0, |all| all.values().map(count).sum::<u64>());
        let limited = count(&row["attempts"]["429"]);
        // Whatever else an upstream answers may be what the client asked for.
        let is_failed = |outcome: &str| {
            let status = outcome.parse::<u16>();
            status.map_or(true, |status| status >= 500 || [401, 403, 429].contains(&status))
        };
        let failed = attempts.map_or(0, |all| {
            all.iter().filter(|(outcome, _)| is_failed(outcome)).map(|(_, of)| count(of)).sum()
        });
        let pace = match (row["requests_per_minute_max"].as_u64(), &row["pace_wait_seconds"]) {
            (None, _) => "no limit".to_owned(),
            (Some(rate), Value::Null) => format!("{rate} per min, shared"),
            (Some(rate), wait) => {
                format!("{rate} per min, waits {:.1} s", wait.as_f64().unwrap_or(0.0))
            }
        };
        let token = match (row["has_tokens"].as_bool(), row["next_token_end_seconds"].as_f64()) {
            (Some(true), Some(lasts)) => format!("ends in {}", span(lasts)),
            (Some(true), None) => "none yet".to_owned(),
            _ => "-".to_owned(),
        };
        let (read, known) = (&row["first_joined_lists_read"], &row["first_joined_lists_known"]);
        let joined = match (row["oldest_joined_seconds"].as_f64(), count(known)) {
            (_, 1..) => format!("being read: {read} of {known} lists"),
            (Some(age), _) => {
                format!("{} old, {} pages", span(age), grouped(count(&row["joined_pages"])))
            }
            (None, _) => "-".to_owned(),
        };
        let paused = count(&row["paused_callers"]);
        vec![
            Cell::text(row["name"].as_str().unwrap_or_default()),
            Cell::text(row["dialect"].as_str().unwrap_or_default()),
            Cell::text(breaker).toned(Some(tone)),
            Cell::text(format!("{} of {}", row["in_flight"], row["in_flight_max"])),
            Cell::number(sum),
            Cell::number(failed),
            Cell::number(limited).toned((limited > 0).then_some(Tone::Doubt)),
            Cell::text(pace),
            Cell::number(paused).toned((paused > 0).then_some(Tone::Doubt)),
            Cell::text(token),
            Cell::text(joined),
            Cell::spark(sum),
        ]
    };
    Panel {
        id: "upstreams",
        title: "Upstreams",
        note: "Attempts are counted since the start.".to_owned(),
        columns: &[
            ("Upstream", Kind::Text),
            ("Dialect", Kind::Text),
            ("State", Kind::Text),
            ("In flight", Kind::Text),
            ("Attempts", Kind::Number),
            ("Failed attempts", Kind::Number),
            ("429", Kind::Number),
            ("Pace", Kind::Text),
            ("Paused callers", Kind::Number),
            ("Token", Kind::Text),
            ("Joined listings", Kind::Text),
            ("Attempts per minute", Kind::Spark),
        ],
        rows: rows.iter().take(ROWS_MAX).map(cells).collect(),
        empty: "No caller has an upstream.",
    }
}
