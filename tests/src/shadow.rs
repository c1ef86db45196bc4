//! A gateway with another side beside it, and a judge that knows no more than ids and fields.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::Surroundings;
use serde_json::Value;
use shadow::{Cause, Difference, Judge, Listener, Question, Reply};

use crate::{Front, V4_KEY, config_text};

/// Compares lists of records by id, and field by field.
#[derive(Debug)]
pub struct ById;

impl Judge for ById {
    fn judge(
        &self,
        _: &Question<'_>,
        control: &Reply,
        candidate: &Reply,
        listener: &mut dyn Listener,
    ) {
        ById::differences(control, candidate).into_iter().for_each(|one| listener.found(one));
    }
}

impl ById {
    fn differences(control: &Reply, candidate: &Reply) -> Vec<Difference> {
        let difference = |field: &str, record: Option<&u64>, cause, one: &Value, other: &Value| {
            let (control, candidate) = (one.to_string().into(), other.to_string().into());
            let (field, record) = (field.to_owned(), record.map(u64::to_string));
            Difference { field, kind: "value", cause, control, candidate, record }
        };
        if control.status != candidate.status {
            let (one, other) = (control.status.into(), candidate.status.into());
            return vec![difference("$status", None, Some(Cause::Bug), &one, &other)];
        }
        let (ours, theirs) = (records(candidate), records(control));
        let mut found = Vec::new();
        let null = Value::Null;
        for id in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            match (theirs.get(id), ours.get(id)) {
                (Some(theirs), Some(ours)) => {
                    for (field, value) in theirs.as_object().into_iter().flatten() {
                        let other = ours.get(field).unwrap_or(&null);
                        let cause = cause(field, value, other);
                        if cause.is_some() {
                            found.push(difference(field, Some(id), cause, value, other));
                        }
                    }
                }
                (one, other) => {
                    let (one, other) = (one.unwrap_or(&null), other.unwrap_or(&null));
                    found.push(difference("$record", Some(id), Some(Cause::Bug), one, other));
                }
            }
        }
        if found.is_empty() && control.body != candidate.body {
            found.push(difference("$order", None, Some(Cause::Order), &null, &null));
        }
        found
    }
}

fn records(reply: &Reply) -> BTreeMap<u64, Value> {
    let all: Vec<Value> = serde_json::from_slice(&reply.body).unwrap_or_default();
    all.into_iter().filter_map(|record| Some((record["id"].as_u64()?, record))).collect()
}

/// Why two values differ, if they do.
fn cause(field: &str, one: &Value, other: &Value) -> Option<Cause> {
    let parts = |value: &Value| {
        let text = value.as_str().unwrap_or_default().to_owned();
        text.split(", ").map(str::to_owned).collect::<BTreeSet<String>>()
    };
    match (one, other) {
        (one, other) if one == other => None,
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {
            Some(Cause::Noise)
        }
        (Value::String(_), Value::String(_)) if parts(one) == parts(other) => Some(Cause::Order),
        _ if field == "timezone" => Some(Cause::Quirk),
        _ => Some(Cause::Bug),
    }
}

/// A configuration of one caller with another side. `caller` is TOML in the caller's table, `shadow` in
/// `[shadow]` and behind it.
pub fn text(upstream: SocketAddr, control: SocketAddr, caller: &str, shadow: &str) -> String {
    let rest = format!(
        "{caller}\n[shadow]\ncontrol = \"http://{control}\"\nsample = 1\n\
         requests_per_second_max = 1000\n{shadow}\n"
    );
    config_text(upstream, "attempts_max = 1", &rest)
}

/// A gateway from TOML text with this judge.
pub async fn front(text: &str) -> Front {
    let surroundings = Surroundings { judge: Some(Arc::new(ById)), ..Surroundings::default() };
    Front::start_in(text, &[("V4", V4_KEY)], surroundings).await
}

/// The findings once this many answers of the sample were compared or dropped.
#[expect(clippy::panic, reason = "a test's world either stands or fails the test")]
pub async fn found(front: &Front, answers: u64) -> Value {
    for _ in 0..3000 {
        let found = front.admin("/shadow").await.json();
        if done(&found) >= answers {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", front.admin("/shadow").await.text());
}

fn done(found: &Value) -> u64 {
    let comparisons = found["comparisons"].as_object().into_iter().flatten();
    let dropped = found["dropped"].as_object().into_iter();
    let counts = comparisons.filter_map(|(_, counts)| counts.as_object()).chain(dropped);
    counts.flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

/// The number of comparisons with this outcome, over all endpoints.
pub fn outcome(found: &Value, outcome: &str) -> u64 {
    let endpoints = found["comparisons"].as_object().into_iter().flatten();
    endpoints.filter_map(|(_, counts)| counts[outcome].as_u64()).sum()
}
