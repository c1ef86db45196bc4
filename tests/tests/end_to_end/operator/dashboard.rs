//! The dashboard and the alerts speak of metrics and labels that there are, and every metric has its
//! row in the operator's table.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};

use gateway::metrics::{Kind, METRICS};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use tests::folder::File;
use tests::{TEAMS, V1_USERS, World, config, failing, nowhere, users};

const DASHBOARD: &str = include_str!("../../../../deploy/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../../../deploy/alerts.yaml");
const PAGE: &str = include_str!("../../../../docs/OPERATING.md");

/// Labels that Prometheus adds to what it scrapes, and the one of histograms.
const OTHERS: [&str; 3] = ["job", "instance", "le"];

/// Every expression of the dashboard, with the labels that its legend names.
fn panels() -> Vec<(String, Vec<String>)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels with one id");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24);
        for target in panel["targets"].as_array().into_iter().flatten() {
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            let named = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            let named = named.map(|label| label.trim().to_owned()).collect();
            found.push((target["expr"].as_str().unwrap().to_owned(), named));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            found.push((query.to_owned(), Vec::new()));
        }
    }
    assert!(found.len() >= 25, "{} expressions", found.len());
    found
}

struct Alert {
    name: String,
    expression: String,
    /// Labels that its texts name.
    named: Vec<String>,
}

fn alerts() -> Vec<Alert> {
    let documents = Yaml::load_from_str(ALERTS).unwrap();
    let [document] = documents.as_slice() else { panic!("{} documents", documents.len()) };
    let mut found = Vec::new();
    for group in document["groups"].as_sequence().unwrap() {
        assert!(group["name"].as_str().is_some());
        for rule in group["rules"].as_sequence().unwrap() {
            let text = |yaml: &Yaml<'_>| yaml.as_str().unwrap().to_owned();
            let keys: Vec<String> = rule.as_mapping().unwrap().keys().map(text).collect();
            let known = ["alert", "expr", "for", "labels", "annotations"];
            assert!(keys.iter().all(|key| known.contains(&key.as_str())), "{keys:?}");
            assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()));
            let texts = ["summary", "description"].map(|name| text(&rule["annotations"][name]));
            let texts = texts.concat();
            let named =
                texts.split("$labels.").skip(1).filter_map(|rest| rest.split([' ', '}']).next());
            found.push(Alert {
                name: text(&rule["alert"]),
                expression: text(&rule["expr"]),
                named: named.map(str::to_owned).collect(),
            });
        }
    }
    found
}

/// What an expression of PromQL speaks of.
#[derive(Debug, Default)]
struct Spoken {
    /// Each metric with the labels and values in its braces.
    metrics: Vec<(String, Vec<(String, String)>)>,
    /// Labels it groups by.
    grouped: Vec<String>,
}

fn spoken(expression: &str) -> Spoken {
    let mut spoken = Spoken::default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, _) in expression.match_indices("tieline_") {
        let rest = &expression[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let mut labels = Vec::new();
        if let Some(braces) = behind.strip_prefix('{').and_then(|rest| rest.split('}').next()) {
            for matcher in braces.split("\",") {
                let (label, value) = matcher.split_once('"').unwrap();
                let label = label.trim_end_matches(['=', '!', '~']).trim();
                labels.push((label.to_owned(), value.trim_matches('"').to_owned()));
            }
        }
        spoken.metrics.push((name.to_owned(), labels));
    }
    for rest in expression.split("by (").skip(1) {
        let list = rest.split(')').next().unwrap();
        spoken.grouped.extend(list.split(',').map(|label| label.trim().to_owned()));
    }
    spoken
}

/// The labels of each series' name, a histogram's three included.
fn known() -> BTreeMap<String, Vec<&'static str>> {
    let mut known = BTreeMap::new();
    for metric in METRICS {
        let ends: &[&str] =
            if metric.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        for end in ends {
            known.insert(format!("{}{end}", metric.name), metric.labels.to_vec());
        }
    }
    known
}

#[track_caller]
fn is_sound(what: &str, expression: &str, named: &[String]) -> Vec<(String, String, String)> {
    let (known, spoken) = (known(), spoken(expression));
    assert!(!spoken.metrics.is_empty(), "{what}: no metric in {expression}");
    for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
        assert_eq!(expression.matches(open).count(), expression.matches(close).count(), "{what}");
    }
    let mut all: Vec<&str> = OTHERS.to_vec();
    let mut values = Vec::new();
    for (metric, labels) in &spoken.metrics {
        let of = known.get(metric).unwrap_or_else(|| panic!("{what}: no metric {metric}"));
        for (label, value) in labels {
            let is_known = of.contains(&label.as_str()) || OTHERS.contains(&label.as_str());
            assert!(is_known, "{what}: {metric} has no label {label}");
            values.push((metric.clone(), label.clone(), value.clone()));
        }
        all.extend(of);
    }
    for label in spoken.grouped.iter().chain(named) {
        assert!(all.contains(&label.as_str()), "{what}: nothing here has a label {label}");
    }
    // The grouping must have kept every named label.
    let gone =
        named.iter().find(|label| !spoken.grouped.is_empty() && !spoken.grouped.contains(label));
    assert_eq!(gone, None, "{what}: grouped away");
    values
}

#[test]
fn the_dashboard_and_the_alerts_speak_of_metrics_and_labels_that_there_are() {
    for (expression, named) in panels() {
        is_sound("grafana-dashboard.json", &expression, &named);
    }
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert!(names.len() == alerts.len() && names.len() >= 8, "{names:?}");
    let errors = include_str!("../../../../docs/ERRORS.md");
    for alert in &alerts {
        for (_, label, value) in is_sound(&alert.name, &alert.expression, &alert.named) {
            for slug in value.split('|').filter(|_| label == "slug") {
                assert!(
                    errors.contains(&format!("| `{slug}` |")),
                    "{}: no slug {slug}",
                    alert.name
                );
            }
        }
        assert!(PAGE.contains(&format!("`{}`", alert.name)), "OPERATING.md: no {}", alert.name);
    }
}

#[test]
fn comparisons_that_are_not_made_have_an_alert_as_those_that_differ_have() {
    let alerts = alerts();
    let alert = alerts.iter().find(|alert| alert.name == "TielineSidesNotCompared").unwrap();
    let spoken = spoken(&alert.expression).metrics;
    let of = |name: &str, label: &str, value: &str| {
        let label = (label.to_owned(), value.to_owned());
        spoken.iter().any(|(metric, labels)| metric == name && labels.contains(&label))
    };
    assert!(of("tieline_shadow_total", "outcome", "failed"));
    assert!(of("tieline_shadow_total", "outcome", "equal|explained|different"));
    assert!(of("tieline_shadow_dropped_total", "why", "queue_full"));
    assert!(spoken.contains(&("tieline_shadow_dropped_total".to_owned(), Vec::new())));
}

#[test]
fn every_metric_has_its_row_with_its_labels_in_the_operators_table() {
    let table = PAGE.split("\n## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeMap<&str, &str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `tieline_").map(|rest| (line, rest)))
        .map(|(line, rest)| (rest.split('`').next().unwrap(), line))
        .collect();
    for metric in METRICS {
        let row = rows.get(metric.name.trim_start_matches("tieline_"));
        let row = row.unwrap_or_else(|| panic!("docs/OPERATING.md: no row for {}", metric.name));
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let cell = row.split('|').nth(2).unwrap().trim();
        let wanted = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        assert_eq!(cell, wanted, "docs/OPERATING.md: labels of {}", metric.name);
    }
    assert_eq!(rows.len(), METRICS.len(), "docs/OPERATING.md: rows without a metric");
    let used: BTreeSet<String> =
        panels().iter().flat_map(|(e, _)| spoken(e).metrics).map(|(name, _)| name).collect();
    for metric in METRICS {
        assert!(used.iter().any(|name| name.starts_with(metric.name)), "no panel: {}", metric.name);
    }
}

#[tokio::test]
async fn a_running_world_shows_the_metrics_of_the_table_with_their_labels() {
    let file = File::new("roster.sqlite");
    let seal_key = File::with("seal_key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let commons = config::commons(nowhere().await, &seal_key, 1);
    let window = "[[brownout]]\nendpoint = \"v2_cdr_teams\"\n\
                  start = 2020-01-01T00:00:00Z\nend = 2100-01-01T00:00:00Z\n";
    let rest = format!("[roster]\nfile = {:?}\n{commons}{window}", file.display().to_string());
    let world = World::with(users(250), "attempts_max = 1", &rest).await;
    for query in ["", "?sag=Agent&page=2", "?name=x&Name=x"] {
        assert_eq!(world.get(&format!("{V1_USERS}{query}")).await.status, 200);
    }
    assert_eq!(world.get("/api/v2/cdr").await.status, 404);
    assert_eq!(world.get(TEAMS).await.status, 503);
    world.vendor.set_faults(failing(401));
    assert_eq!(world.get(V1_USERS).await.status, 502);
    let text = world.front.admin("/metrics").await.text();
    let known = known();
    let mut shown = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let of = known.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let inner = labels.strip_suffix('}').unwrap();
        let inner = inner.split(',').filter_map(|pair| Some(pair.split_once('=')?.0));
        let mut got: Vec<&str> = inner.filter(|label| *label != "le").collect();
        let mut wanted = of.clone();
        got.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(got, wanted, "{name}");
        shown.insert(name.to_owned());
    }
    let missing: Vec<&String> = known.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "not shown: {missing:?}");
}
