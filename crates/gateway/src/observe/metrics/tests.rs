//! The bound holds in the worst case, and nothing goes uncounted beyond it.

use std::collections::BTreeMap;

use domain::legacy::ENDPOINTS;
use domain::sweep::Story;
use domain::upstream::DIALECTS;

use super::scrape::BAD_KEYS;
use super::*;
use ::shadow::{Cause, Counts, Outcome};

const STATUSES: [u16; 16] =
    [200, 304, 400, 401, 403, 404, 405, 413, 418, 429, 499, 500, 501, 502, 503, 504];

/// Every series of a text and its value.
fn series(text: &[u8]) -> BTreeMap<String, f64> {
    let text = std::str::from_utf8(text).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

fn sum(series: &BTreeMap<String, f64>, name: &str) -> u64 {
    let of = series.iter().filter(|(series, _)| series.starts_with(&format!("{name}{{")));
    of.map(|(_, value)| *value as u64).sum()
}

/// Everything that can be said of so many callers and upstreams.
fn worst(callers: usize, upstreams: usize) -> (Vec<u8>, [u64; 7]) {
    let metrics = Metrics::new().unwrap();
    let mut notes = domain::legacy::Notes::default();
    for note in [
        &mut notes.separator_in_name,
        &mut notes.time_zone_unmapped,
        &mut notes.channel_unmapped,
        &mut notes.live_with_deletion_date,
        &mut notes.deleted_left_out,
        &mut notes.unnumbered_left_out,
    ] {
        *note = 1;
    }
    let story = Story {
        pages: 1,
        seams_repaired: 1,
        restarts: 1,
        total_mismatch: true,
        hidden_rows: 1,
        notes,
        ..Story::default()
    };
    let mut counted = [0; 7];
    let took = Duration::from_millis(5);
    for status in STATUSES {
        for name in ["none", "openapi"] {
            let endpoint = (name != "none").then_some(name);
            metrics.request(&Account { endpoint, ..Account::default() }, status, took);
            counted[0] += 1;
        }
    }
    let tally = |number| Some(Arc::new(Tally::new(&format!("caller-{number}"))));
    for caller in (0..callers).map(tally).chain([None]) {
        for endpoint in ENDPOINTS {
            for status in STATUSES {
                let account = Account {
                    endpoint: Some(endpoint.name()),
                    caller: caller.clone(),
                    rows: 1,
                    story,
                    ignored: vec!["x".to_owned()],
                    near_misses: NearMiss::ALL.to_vec(),
                    filters: endpoint.filters().collect(),
                    ..Account::default()
                };
                metrics.request(&account, status, took);
                counted[0] += 1;
                counted[1] += endpoint.filters().count() as u64;
                counted[4] += NearMiss::ALL.len() as u64;
            }
            let brownout = Account {
                endpoint: Some(endpoint.name()),
                caller: caller.clone(),
                error: Some("brownout"),
                ..Account::default()
            };
            metrics.request(&brownout, 503, took);
            counted[0] += 1;
            counted[6] += 1;
            for place in 0..UNTRANSLATED.len() {
                for endpoint in [None, Some("passthrough")] {
                    let (untranslated, caller) = (Some(place), caller.clone());
                    let account = Account { untranslated, caller, endpoint, ..Account::default() };
                    metrics.request(&account, 404, took);
                    counted[0] += 1;
                    counted[5] += 1;
                }
            }
            for dialect in DIALECTS {
                let Some(caller) = &caller else { continue };
                metrics.answered(endpoint, *dialect, caller);
                let of = ledger::of(endpoint, *dialect);
                let is_loss = |status| !matches!(status, Status::Exact | Status::Renamed);
                counted[2] += of.filter(|loss| is_loss(loss.status)).count() as u64;
            }
        }
    }
    for slug in SLUGS.iter().filter(|slug| **slug != "brownout") {
        let account = Account { error: Some(slug), ..Account::default() };
        metrics.request(&account, 500, took);
        counted[0] += 1;
    }
    for upstream in 0..upstreams {
        let attempts = Attempts::at(&format!("upstream-{upstream}"));
        let statuses: Vec<String> =
            (100..1000).step_by(9).map(|status: u16| status.to_string()).collect();
        for outcome in
            statuses.iter().map(String::as_str).chain(SLUGS.iter().copied()).chain(["token"])
        {
            metrics.attempt(&attempts, outcome);
            counted[3] += 1;
        }
    }
    metrics.list(&story);
    for whose in BUDGETS {
        metrics.no_more_repeats(whose);
    }
    metrics.dns_failed(LookupFailure::Silent);
    for source in [Source::Read, Source::Shared, Source::Replica, Source::Kept, Source::Stale] {
        metrics.answer(source);
    }
    for outcome in ["hit", "unknown", "miss", "doubted", "related"] {
        metrics.lookup(outcome);
    }
    worst_of_the_other_side(&metrics);
    let key = |number: usize| BAD_KEYS[number % 2];
    let snapshot = Snapshot {
        callers: (0..callers).map(|number| (format!("caller-{number}"), key(number))).collect(),
        breakers: (0..upstreams)
            .map(|number| (format!("upstream-{number}"), limits::BreakerState::Open))
            .collect(),
        brownouts: ENDPOINTS
            .iter()
            .map(|endpoint| endpoint.name())
            .chain(["passthrough", "all"])
            .map(|label| (label, 1, 2))
            .collect(),
        roster: ["remembered", "deleted", "vanished", "imported"].map(|state| (state, 1)).to_vec(),
        commons: Some(commons::Standing {
            replicas: 4,
            is_alone: true,
            errors: ["unreachable", "timeout", "denied", "right", "away", "full", "mode"]
                .into_iter()
                .chain(["version", "answer", "auth", "clock", "dropped", "other"])
                .map(|kind| (kind, 1))
                .collect(),
            members: Vec::new(),
        }),
        ..Snapshot::default()
    };
    (metrics.text(&snapshot), counted)
}

fn worst_of_the_other_side(metrics: &Metrics) {
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.is_compared()) {
        for outcome in Outcome::ALL.map(Outcome::as_str) {
            metrics.compared(endpoint.name(), outcome, &[]);
        }
        let found = Cause::ALL.map(|cause| (cause.as_str(), 1));
        metrics.compared(endpoint.name(), "different", &found);
    }
    for number in 0..10 {
        metrics.control_request(["answered", "timeout", "5xx", "limited"][number % 4]);
    }
}

#[test]
fn two_hundred_callers_and_as_many_upstreams_stay_below_the_bound() {
    for (callers, upstreams) in [(200, 200), (2000, 1), (1, 300)] {
        let (text, counted) = worst(callers, upstreams);
        let series = series(&text);
        assert!(series.len() <= SERIES_MAX, "{} series of {callers} callers", series.len());
        // What is beyond the bound is counted all the same.
        let names = [
            "tieline_requests_total",
            "tieline_filters_used_total",
            "tieline_field_losses_total",
            "tieline_upstream_requests_total",
            "tieline_near_misses_total",
            "tieline_untranslated_total",
            "tieline_brownout_answers_total",
        ];
        for (name, counted) in names.into_iter().zip(counted) {
            assert_eq!(sum(&series, name), counted, "{name} of {callers} callers");
        }
        assert_eq!(sum(&series, "tieline_callers"), callers as u64);
        assert_eq!(sum(&series, "tieline_caller_key_refused"), callers as u64);
    }
}

#[test]
fn every_metric_of_the_table_is_made_and_no_other() {
    let (text, _) = worst(1, 1);
    let text = String::from_utf8(text).unwrap();
    let made: std::collections::BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let known: std::collections::BTreeSet<&str> =
        METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(made, known);
}

#[test]
fn an_outcome_is_a_known_status_a_class_of_them_or_a_slug() {
    for (given, label) in [
        ("200", "200"),
        ("299", "2xx"),
        ("418", "4xx"),
        ("999", "other"),
        ("upstream_dns", "upstream_dns"),
    ] {
        assert_eq!(outcome_of(given), label);
    }
}

#[test]
fn every_slug_is_counted_from_the_start() {
    let text = Metrics::new().unwrap().text(&Snapshot::default());
    let series = series(&text);
    for slug in SLUGS {
        assert_eq!(series.get(&format!("tieline_errors_total{{slug=\"{slug}\"}}")), Some(&0.0));
    }
}

#[test]
fn errors_of_replicas_stay_counted_through_reloads_and_gauges_go_with_the_table() {
    let metrics = Metrics::new().unwrap();
    let look = |count: Option<u64>| {
        let commons = count.map(|count| commons::Standing {
            replicas: 4,
            is_alone: false,
            errors: vec![("timeout", count)],
            members: Vec::new(),
        });
        let series = series(&metrics.text(&Snapshot { commons, ..Snapshot::default() }));
        let errors = series.get("tieline_commons_errors_total{kind=\"timeout\"}").copied();
        (errors, series.get("tieline_commons_replicas").copied())
    };
    assert_eq!(look(None), (None, None));
    // It grows; begins anew with other servers; is taken out; and is put in once more.
    for (count, errors) in [(3, 3.0), (7, 7.0), (2, 9.0), (5, 12.0)] {
        assert_eq!(look(Some(count)), (Some(errors), Some(4.0)), "{count}");
    }
    assert_eq!(look(None), (Some(12.0), None));
    assert_eq!(look(Some(6)), (Some(18.0), Some(4.0)));
}
