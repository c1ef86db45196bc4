//! Who calls, and how it goes. Must never show a key, or the digest of one.

use std::collections::{BTreeMap, HashMap};

use domain::visibility::Visibility;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::panel::{Cell, Kind, Panel, Tone, grouped, span};
use super::query::Query;
use crate::caller::Caller;
use crate::line::key::KeyState;
use crate::state::State;

/// The most rows of the page.
const ROWS_MAX: usize = 100;

/// `/api/v1/callers`: those that the query wants, in the order of the configuration.
pub(super) fn json(state: &State, query: &Query) -> Value {
    let all = state.callers.all();
    let wanted: Vec<_> = all.iter().filter(|caller| query.names(&caller.name)).collect();
    let shown = wanted.iter().skip(query.offset).take(query.limit);
    let configured = state.config.callers.iter();
    let percents: HashMap<&str, u32> =
        configured.map(|known| (known.name.as_str(), known.control_percent)).collect();
    json!({
        "total": wanted.len(),
        "offset": query.offset,
        "callers": shown.map(|caller| row(state, caller, &percents)).collect::<Vec<_>>(),
    })
}

fn row(state: &State, caller: &Caller, percents: &HashMap<&str, u32>) -> Value {
    let places_max = state.config.limits.requests_per_caller_max();
    let paused = caller.line.pause.until();
    let paused = paused.map(|until| until.saturating_duration_since(Instant::now()).as_secs_f64());
    json!({
        "name": &*caller.name,
        "upstream": caller.line.upstream.name,
        "dialect": caller.line.upstream.dialect.name(),
        "sees": sees(&caller.visibility),
        "upstream_key": caller.line.key_state().as_str(),
        "answers": caller.tally.answers().into_iter().collect::<BTreeMap<_, _>>(),
        "quiet_for_seconds": caller.tally.quiet_for().map(|quiet| quiet.as_secs_f64()),
        "in_flight": places_max.saturating_sub(caller.places.available_permits()),
        "in_flight_max": places_max,
        "paused_for_seconds": paused,
        "may_explain": caller.may_explain,
        "may_call": caller.may_call,
        "control_percent": percents.get(&*caller.name),
        "near_misses": caller.tally.near_misses().collect::<BTreeMap<_, _>>(),
        "untranslated": caller.tally.untranslated_paths().collect::<BTreeMap<_, _>>(),
    })
}

/// The users that a caller sees, as the configuration says it.
pub(crate) fn sees(visibility: &Visibility) -> Value {
    match visibility {
        Visibility::Everything => json!("everything"),
        Visibility::Only(only) => json!({
            "teams": only.teams, "groups": only.groups, "users": only.users,
        }),
    }
}

/// How bad the state of a key is.
pub(super) fn tone(key: KeyState) -> Option<Tone> {
    match key {
        KeyState::Untested => None,
        KeyState::Accepted => Some(Tone::Good),
        KeyState::Refused | KeyState::Forbidden => Some(Tone::Bad),
    }
}

/// The callers to look at first: with bad keys, then with failures, then the busy ones.
pub(super) fn panel(state: &State, query: &Query) -> Panel {
    let all = state.callers.all();
    let mut wanted: Vec<_> = all
        .iter()
        .filter(|caller| query.names(&caller.name))
        .map(|caller| {
            let answers = caller.tally.answers().map(|(_, count)| count);
            let is_bad = tone(caller.line.key_state()) == Some(Tone::Bad);
            ((is_bad, answers[3], answers.iter().sum::<u64>()), answers, caller)
        })
        .collect();
    let total = wanted.len();
    // Stable, so that equal callers stay in the order of the configuration.
    wanted.sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
    let rows = wanted.into_iter().take(ROWS_MAX).map(|((_, failed, sum), answers, caller)| {
        let key = caller.line.key_state();
        let quiet = caller.tally.quiet_for();
        vec![
            Cell::text(&caller.name),
            Cell::text(&caller.line.upstream.name),
            Cell::text(seen(&caller.visibility)),
            Cell::text(key.as_str()).toned(tone(key)),
            Cell::text(quiet.map_or("never".to_owned(), |quiet| span(quiet.as_secs_f64()))),
            Cell::number(sum),
            Cell::number(answers[2]),
            Cell::number(failed).toned((failed > 0).then_some(Tone::Doubt)),
            Cell::spark(sum),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let note = match rows.len() < total {
        true => format!(
            "{} of {}: refused keys first, then failures, then the busy ones. Counted since this \
             configuration is in force.",
            grouped(rows.len() as u64),
            grouped(total as u64)
        ),
        false => "Counted since this configuration is in force.".to_owned(),
    };
    Panel {
        id: "callers",
        title: "Callers",
        note,
        columns: &[
            ("Caller", Kind::Text),
            ("Upstream", Kind::Text),
            ("Sees", Kind::Text),
            ("Upstream key", Kind::Text),
            ("Last answer", Kind::Text),
            ("Answers", Kind::Number),
            ("4xx", Kind::Number),
            ("5xx", Kind::Number),
            ("Answers per minute", Kind::Spark),
        ],
        rows,
        empty: "No caller has such a name.",
    }
}

fn seen(visibility: &Visibility) -> String {
    match visibility {
        Visibility::Everything => "everything".to_owned(),
        Visibility::Only(only) => {
            let parts = [
                ("teams", only.teams.join(", ")),
                ("groups", only.groups.join(", ")),
                (
                    "users",
                    match only.users.len() {
                        0 => String::new(),
                        count => format!("{count} by id"),
                    },
                ),
            ];
            let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
            parts.map(|(what, names)| format!("{what}: {names}")).collect::<Vec<_>>().join("; ")
        }
    }
}
