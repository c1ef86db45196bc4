//! The state of the process on one line, and what needs attention.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::attention::{self, Attention};
use super::panel::{Cell, Tone, clock, grouped, span, visible};
use crate::observe::epochs::seconds;
use crate::observe::metrics::read::Counted;
use crate::observe::metrics::resident_bytes;
use crate::state::{State, VERSION};

/// `/api/v1/overview`.
pub(super) fn json(state: &State, counted: &Counted, attention: &[Attention]) -> Value {
    let epochs = state.past.epochs.all();
    let since = epochs.iter().find(|came| came.epoch.is_ok()).map(|came| came.at());
    let refused = state.past.epochs.refused();
    let tls = state.config.server.tls.as_ref();
    let upstreams = state.callers.all().iter().map(|caller| &caller.line.upstream.name);
    json!({
        "version": VERSION,
        "name": state.config.commons.as_ref().map(|setup| setup.name.as_str()),
        "state": if state.lifecycle.is_draining() { "draining" } else { "ready" },
        "overload_level": state.lifecycle.level().number(),
        "started": seconds(state.past.epochs.started),
        "now": now(),
        "configuration": {
            "file": state.config.file(),
            "epoch": state.epoch,
            "since": since,
            "fingerprint": &*state.fingerprint,
        },
        "refused": refused.map(|(at, why)| json!({"at": at, "why": why})),
        "certificate_ends": tls.and_then(|tls| tls.not_after()),
        "resident_bytes": resident_bytes(),
        "connections": state.metrics.connections_now(),
        "answers": counted.sum("tieline_requests_total"),
        "callers": state.callers.all().len(),
        "upstreams": upstreams.collect::<std::collections::BTreeSet<_>>().len(),
        "passthrough": state.config.passthrough.is_some(),
        "shadow": state.shadow.is_some(),
        "attention": attention,
    })
}

/// The line at the head of the page.
pub(super) fn head(overview: &Value) -> Vec<Cell> {
    let text = |name: &str| overview[name].as_str().unwrap_or_default();
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let (now, configuration) = (number(&overview["now"]), &overview["configuration"]);
    let tone = if text("state") == "ready" { Tone::Good } else { Tone::Doubt };
    let file = configuration["file"].as_str().unwrap_or_default();
    let count = |name: &str| grouped(overview[name].as_u64().unwrap_or(0));
    let mut head = vec![
        Cell::text(text("state")).toned(Some(tone)),
        Cell::text(format!("version {}", text("version"))),
        Cell::text(format!("up {}", span(now - number(&overview["started"])))),
        Cell::text(format!(
            "{} epoch {}, for {}",
            visible(file),
            configuration["epoch"],
            span(now - number(&configuration["since"]))
        )),
        Cell::text(format!("{} callers, {} upstreams", count("callers"), count("upstreams"))),
        Cell::text(format!("{} connections", count("connections"))),
    ];
    if let Some(bytes) = overview["resident_bytes"].as_u64() {
        head.push(Cell::text(format!("{} MiB", grouped(bytes >> 20))));
    }
    if let Some(end) = overview["certificate_ends"].as_f64() {
        head.push(Cell::text(format!("TLS ends in {}", span(end - now))));
    }
    head.push(Cell::text(format!("as of {} UTC", clock(now))));
    head
}

/// What needs attention now.
pub(super) fn attention(state: &State, counted: &Counted) -> Vec<Attention> {
    attention::all(state, counted, now())
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    seconds(SystemTime::now())
}
