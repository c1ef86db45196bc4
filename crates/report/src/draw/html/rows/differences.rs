//! Findings with their examples side by side, and the scenarios in which they occurred.

use super::{Tag, grouped, tag, tags};
use crate::draw::{numbers, text, words};
use crate::{Cause, Example, Finding, Outcome, Report, ScenarioReport};

/// The most findings of one cause that are visible at once. The others are folded.
const AT_ONCE: usize = 20;
/// How many unexplained findings are unfolded at first.
const OPEN: usize = 3;

pub(in crate::draw::html) struct FindingGroup {
    pub(in crate::draw::html) tag: Tag,
    pub(in crate::draw::html) heading: String,
    pub(in crate::draw::html) meaning: &'static str,
    pub(in crate::draw::html) first: Vec<FindingRow>,
    pub(in crate::draw::html) more: Vec<FindingRow>,
}

pub(in crate::draw::html) struct FindingRow {
    pub(in crate::draw::html) open: bool,
    pub(in crate::draw::html) tag: Tag,
    pub(in crate::draw::html) endpoint: String,
    pub(in crate::draw::html) field: String,
    pub(in crate::draw::html) kind: String,
    pub(in crate::draw::html) count: String,
    pub(in crate::draw::html) why: String,
    pub(in crate::draw::html) examples: Vec<ExampleRow>,
}

pub(in crate::draw::html) struct ExampleRow {
    pub(in crate::draw::html) scenario: String,
    pub(in crate::draw::html) record: String,
    pub(in crate::draw::html) sides: [(&'static str, text::Side); 2],
}

pub(in crate::draw::html) struct ScenarioGroup {
    pub(in crate::draw::html) endpoint: String,
    pub(in crate::draw::html) summary: String,
    pub(in crate::draw::html) rows: Vec<ScenarioRow>,
}

pub(in crate::draw::html) struct ScenarioRow {
    pub(in crate::draw::html) outcome: &'static str,
    pub(in crate::draw::html) id: String,
    pub(in crate::draw::html) because: String,
    pub(in crate::draw::html) tags: Vec<Tag>,
    pub(in crate::draw::html) group: String,
    pub(in crate::draw::html) shape: String,
    pub(in crate::draw::html) records: String,
    pub(in crate::draw::html) times: String,
}

/// Findings by cause, the worst first, and the most frequent first within a cause.
pub(in crate::draw::html) fn findings(report: &Report) -> Vec<FindingGroup> {
    let group = |cause: Cause| {
        let mut found: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.cause == cause).collect();
        found.sort_by_key(|finding| std::cmp::Reverse(finding.count));
        let sum = found.iter().fold(0_u64, |sum, finding| sum.saturating_add(finding.count));
        let open = if cause.is_unexplained() { OPEN } else { 0 };
        let mut rows = found.iter().enumerate().map(|(index, one)| finding(one, index < open));
        let first = rows.by_ref().take(AT_ONCE).collect();
        let more = rows.collect();
        (!found.is_empty()).then(|| FindingGroup {
            tag: tag(cause, sum),
            heading: format!(
                "{} of {}",
                numbers::of(sum, "difference", "differences"),
                numbers::of(found.len() as u64, "kind", "kinds")
            ),
            meaning: cause.meaning(),
            first,
            more,
        })
    };
    Cause::ALL.into_iter().filter_map(group).collect()
}

fn finding(finding: &Finding, open: bool) -> FindingRow {
    FindingRow {
        open,
        tag: tag(finding.cause, finding.count),
        endpoint: words::name(&finding.endpoint),
        field: words::name(&finding.field),
        kind: words::name(&finding.kind),
        count: numbers::of(finding.count, "time", "times"),
        why: words::sentence(&finding.why),
        examples: finding.examples.iter().map(example).collect(),
    }
}

fn example(example: &Example) -> ExampleRow {
    let [control, candidate] = text::side_by_side(&example.control, &example.candidate);
    ExampleRow {
        scenario: words::name(&example.scenario),
        record: example.record.as_deref().map(words::name).unwrap_or_default(),
        sides: [("Control", control), ("Candidate", candidate)],
    }
}

/// A table for each endpoint. Scenarios that were not compared, or differ, come first.
pub(in crate::draw::html) fn scenarios(report: &Report) -> Vec<ScenarioGroup> {
    let group = |(endpoint, mut scenarios): (&str, Vec<&ScenarioReport>)| {
        scenarios.sort_by_key(|scenario| words::urgency(scenario.outcome));
        let all = [Outcome::Undecided, Outcome::Different, Outcome::Explained, Outcome::Equal];
        let counted = all.map(|outcome| {
            let n = scenarios.iter().filter(|scenario| scenario.outcome == outcome).count();
            (outcome, n as u64)
        });
        let some = counted.iter().filter(|(_, n)| *n > 0);
        let counts =
            some.map(|(outcome, n)| format!("{} {}", numbers::count(*n), words::outcome(*outcome)));
        ScenarioGroup {
            endpoint: words::name(endpoint),
            summary: counts.collect::<Vec<_>>().join(", "),
            rows: scenarios.into_iter().map(scenario).collect(),
        }
    };
    grouped(&report.scenarios, |scenario| &scenario.endpoint).into_iter().map(group).collect()
}

fn scenario(scenario: &ScenarioReport) -> ScenarioRow {
    let records = [scenario.control_records, scenario.candidate_records].map(numbers::count);
    let times = [scenario.control_ms, scenario.candidate_ms].map(numbers::whole);
    ScenarioRow {
        outcome: words::outcome(scenario.outcome),
        id: words::name(&scenario.id),
        because: scenario.undecided_because.as_deref().map(words::sentence).unwrap_or_default(),
        tags: tags(&scenario.causes),
        group: words::name(&scenario.group),
        shape: words::name(&scenario.shape),
        records: records.join(" / "),
        times: times.join(" / "),
    }
}
