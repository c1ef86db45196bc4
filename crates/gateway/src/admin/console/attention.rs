//! What needs a person, worst first. Must never say what nobody can do anything about.

use limits::{BreakerState, Level};
use serde::Serialize;

use super::brownouts;
use super::panel::{Cell, Kind, Panel, Tone, grouped, moment, visible};
use super::upstreams;
use crate::line::key::KeyState;
use crate::observe::metrics::read::Counted;
use crate::state::State;

/// Rows of one kind; the others are one row.
const ALIKE_MAX: usize = 10;
/// A certificate is renewed before this.
const CERTIFICATE_DAYS: f64 = 21.0;

/// One thing to do something about.
#[derive(Debug, Serialize)]
pub(super) struct Attention {
    #[serde(rename = "level")]
    pub(super) tone: Tone,
    /// A few words.
    pub(super) what: &'static str,
    /// One sentence.
    pub(super) text: String,
    /// The heading in OPERATING.md under which it stands what to do.
    pub(super) see: &'static str,
}

/// Everything that needs a person now; `now` is in seconds since 1970.
pub(super) fn all(state: &State, counted: &Counted, now: f64) -> Vec<Attention> {
    let mut found = Vec::new();
    let mut say = |tone, what, text: String, see| {
        found.push(Attention { tone, what, text: visible(&text), see });
    };
    if state.lifecycle.is_draining() {
        let text = "The process was told to stop and finishes the requests in flight.".to_owned();
        say(Tone::Doubt, "draining", text, "Start and stop");
    }
    bad_keys(state, &mut say);
    for (name, (upstream, _)) in upstreams::by_name(state) {
        let breaker = upstream.breaker.state();
        if breaker != BreakerState::Closed {
            let text = format!(
                "Upstream {name} failed nearly every time and is {}.",
                upstreams::word(breaker)
            );
            say(Tone::Bad, "upstream fails", text, "What to do when");
        }
    }
    if let Some((_, why)) = state.past.epochs.refused() {
        let text = format!("{why}. Epoch {} stays in force.", state.epoch);
        say(Tone::Bad, "configuration refused", text, "Start and stop");
    }
    let tls = state.config.server.tls.as_ref();
    if let Some(end) = tls.and_then(|tls| tls.not_after()) {
        let days = (end as f64 - now) / 86_400.0;
        match days {
            d if d < 0.0 => say(
                Tone::Bad,
                "certificate expired",
                "The certificate of the main port has expired.".to_owned(),
                "TLS",
            ),
            d if d < CERTIFICATE_DAYS => say(
                Tone::Doubt,
                "certificate ends",
                format!("The certificate of the main port expires in {d:.0} days."),
                "TLS",
            ),
            _ => {}
        }
    }
    match state.lifecycle.level() {
        Level::Calm => {}
        Level::Tight => say(
            Tone::Doubt,
            "memory is tight",
            "Kept answers are dropped, and long lists wait.".to_owned(),
            "Memory and files",
        ),
        Level::Full => say(
            Tone::Bad,
            "memory is full",
            "New requests are refused.".to_owned(),
            "Memory and files",
        ),
    }
    if let Some(standing) = state.commons.as_ref().map(commons::Commons::standing) {
        if standing.is_alone {
            let text = "This replica does not reach the engine and keeps to its own share.";
            say(Tone::Bad, "replica alone", text.to_owned(), "Several replicas");
        }
        let words = standing.members.iter().map(|member| &member.word);
        if words.collect::<std::collections::BTreeSet<_>>().len() > 1 {
            let text = "Replicas run different versions or configurations.".to_owned();
            say(Tone::Doubt, "replicas differ", text, "Several replicas");
        }
    }
    let different = counted.series("tieline_shadow_total");
    let different = different.filter(|series| series.label("outcome") == "different");
    let different: u64 = different.map(|series| series.count()).sum();
    let has_grown = |what, sum| state.past.lately.has_grown(what, sum);
    if has_grown("sides differ", different) {
        let text = format!(
            "{} answers differ from the legacy API without an explanation.",
            grouped(different)
        );
        say(Tone::Bad, "sides differ", text, "Shadow mode");
    }
    let panics = crate::observe::process::panics();
    if has_grown("panics", panics) {
        let text = format!("{} panics, each a bug: the log has the places.", grouped(panics));
        say(Tone::Bad, "panics", text, "What to do when");
    }
    let lost = crate::observe::process::lost_log_lines();
    if has_grown("log lines lost", lost) {
        let text = format!("{} log lines were lost because nobody took them.", grouped(lost));
        say(Tone::Doubt, "log lines lost", text, "What to do when");
    }
    brownouts(state, now, &mut say);
    untranslated(state, counted, &mut say);
    found.sort_by_key(|one| one.tone != Tone::Bad);
    found
}

fn bad_keys(state: &State, say: &mut impl FnMut(Tone, &'static str, String, &'static str)) {
    let mut others = 0;
    for caller in state.callers.all() {
        let (what, says) = match caller.line.key_state() {
            KeyState::Refused => ("key refused", "does not accept the upstream key of"),
            KeyState::Forbidden => ("scope missing", "misses a scope in the upstream key of"),
            KeyState::Untested | KeyState::Accepted => continue,
        };
        others += 1;
        if others <= ALIKE_MAX {
            let upstream = &caller.line.upstream.name;
            let text = format!("Upstream {upstream} {says} {}: its lists are 502.", caller.name);
            say(Tone::Bad, what, text, "Changing keys");
        }
    }
    if others > ALIKE_MAX {
        let text = format!("So it is for {} more callers.", grouped((others - ALIKE_MAX) as u64));
        say(Tone::Bad, "key refused", text, "Changing keys");
    }
}

fn brownouts(
    state: &State,
    now: f64,
    say: &mut impl FnMut(Tone, &'static str, String, &'static str),
) {
    let on = brownouts::on(state, now);
    for window in on.iter().take(ALIKE_MAX) {
        let endpoint = brownouts::endpoint_of(window.endpoint);
        let caller = brownouts::caller_of(window.caller.as_deref());
        let text = format!("{endpoint} answers {caller} with 503 until {}.", moment(window.end));
        say(Tone::Doubt, "brownout", text, "Brownouts");
    }
    if let more @ 1.. = on.len().saturating_sub(ALIKE_MAX) {
        let text = format!("{} more brownouts are on.", grouped(more as u64));
        say(Tone::Doubt, "brownout", text, "Brownouts");
    }
}

fn untranslated(
    state: &State,
    counted: &Counted,
    say: &mut impl FnMut(Tone, &'static str, String, &'static str),
) {
    let unanswered = counted.series("tieline_untranslated_total");
    let unanswered = unanswered.filter(|series| series.label("endpoint") != "passthrough");
    let times: u64 = unanswered.map(|series| series.count()).sum();
    if state.past.lately.has_grown("paths not answered", times) {
        let text = format!(
            "Clients asked {} times for legacy paths that nothing answers.",
            grouped(times)
        );
        say(Tone::Doubt, "paths not answered", text, "Which callers still use what");
    }
}

pub(super) fn panel(all: &[Attention]) -> Panel {
    let cells = |one: &Attention| {
        vec![
            Cell::text(one.what).toned(Some(one.tone)),
            Cell::text(&one.text),
            Cell::text(format!("OPERATING.md, \"{}\"", one.see)),
        ]
    };
    Panel {
        id: "attention",
        title: "Needs attention",
        note: "Differences, panics, lost log lines and paths that nothing answers are counted since the start. Their \
               rows go when none was added for an hour."
            .to_owned(),
        columns: &[("What", Kind::Text), ("Why", Kind::Text), ("What to do", Kind::Text)],
        rows: all.iter().map(cells).collect(),
        empty: "Nothing needs attention.",
    }
}
