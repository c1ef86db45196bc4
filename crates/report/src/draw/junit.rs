//! The report as JUnit, for CI systems: a suite for each endpoint, a test case for each scenario. It must
//! never be green where nothing was compared.

use std::collections::HashMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::{numbers, text, words};
use crate::{Finding, Outcome, PropertyReport, Report, ScenarioReport, Verdict};

/// The most findings of one scenario. The HTML report has all of them.
const FINDINGS_MAX: usize = 20;

/// The report as JUnit. The first suite is the verdict, so that a run without a comparison fails. The last
/// suite has the properties.
pub fn junit(report: &Report) -> String {
    let mut junit = Junit::new("tieline validate");
    junit.set_time(duration(report.seconds));
    junit.add_test_suite(verdict(report));
    let found = by_scenario(&report.findings);
    // In the order of the report, which begins with what differs.
    let mut endpoints: Vec<(&str, Vec<&ScenarioReport>)> = Vec::new();
    for scenario in &report.scenarios {
        match endpoints.iter_mut().find(|(known, _)| *known == scenario.endpoint) {
            Some((_, all)) => all.push(scenario),
            None => endpoints.push((&scenario.endpoint, vec![scenario])),
        }
    }
    for (endpoint, scenarios) in endpoints {
        let mut suite = TestSuite::new(words::name(endpoint));
        let mut seconds = 0.0;
        for scenario in scenarios {
            seconds +=
                duration((scenario.control_ms + scenario.candidate_ms) / 1000.0).as_secs_f64();
            let findings = found.get(scenario.id.as_str()).map(Vec::as_slice).unwrap_or_default();
            suite.add_test_case(case(scenario, findings));
        }
        suite.set_time(duration(seconds));
        junit.add_test_suite(suite);
    }
    if !report.properties.is_empty() {
        let mut suite = TestSuite::new("properties");
        suite.add_test_cases(report.properties.iter().map(property));
        junit.add_test_suite(suite);
    }
    text::visible_lines(&junit.to_string().unwrap_or_default())
}

/// A duration; zero where the number is negative or not finite.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn verdict(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("verdict");
    let facts = [
        ("version", Some(words::name(&report.version))),
        ("started_at", Some(words::name(&report.started_at))),
        ("candidate", Some(words::candidate(&report.candidate))),
        ("control", report.control.as_ref().map(words::control)),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            suite.add_property((name, value.as_str()));
        }
    }
    let mut status = match report.verdict {
        Verdict::Agree => TestCaseStatus::success(),
        Verdict::Differ => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Undecided => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if report.verdict != Verdict::Agree {
        status.set_message(format!("{}: {}", words::verdict(report), words::because(report)));
    }
    let name = match report.is_of_candidate_alone() {
        true => "nothing contradicts itself",
        false => "you may switch",
    };
    let mut case = TestCase::new(name, status);
    case.set_classname("verdict");
    let mut told = vec![words::verdict(report), words::because(report), words::compared(report)];
    told.extend(words::remarks(report));
    told.extend(words::left_out(report));
    told.extend(words::unseen(report));
    case.set_system_out(told.join("\n"));
    suite.add_test_case(case);
    suite
}

/// Findings by the scenarios of their examples, each finding once per scenario.
fn by_scenario(findings: &[Finding]) -> HashMap<&str, Vec<&Finding>> {
    let mut found: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for finding in findings {
        for example in &finding.examples {
            let here = found.entry(example.scenario.as_str()).or_default();
            if !here.last().is_some_and(|last| std::ptr::eq(*last, finding)) {
                here.push(finding);
            }
        }
    }
    found
}

fn case(scenario: &ScenarioReport, findings: &[&Finding]) -> TestCase {
    let mut status = match scenario.outcome {
        Outcome::Equal | Outcome::Explained => TestCaseStatus::success(),
        Outcome::Different => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Undecided => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let causes = words::causes(&scenario.causes);
    let told = told(scenario, &causes, findings);
    match scenario.outcome {
        Outcome::Equal | Outcome::Explained => {}
        Outcome::Different => {
            status.set_message(causes).set_type("different").set_description(told.clone());
        }
        Outcome::Undecided => {
            let because = scenario.undecided_because.as_deref().unwrap_or("no reason was given");
            let because = words::sentence(because);
            status.set_message(because).set_type("undecided").set_description(told.clone());
        }
    }
    let mut case = TestCase::new(words::name(&scenario.id), status);
    case.set_classname(words::name(&scenario.endpoint));
    case.set_time(duration((scenario.control_ms + scenario.candidate_ms) / 1000.0));
    if scenario.outcome == Outcome::Explained {
        case.set_system_out(told);
    }
    case
}

/// The shape of the request, the counts, and the findings with their examples side by side.
fn told(scenario: &ScenarioReport, causes: &str, findings: &[&Finding]) -> String {
    let mut told = vec![
        words::name(&scenario.shape),
        format!(
            "records: {} of the legacy API, {} of Tieline",
            numbers::count(scenario.control_records),
            numbers::count(scenario.candidate_records)
        ),
    ];
    if !causes.is_empty() {
        told.push(format!("differences: {causes}"));
    }
    for finding in findings.iter().take(FINDINGS_MAX) {
        let (field, kind) = (words::name(&finding.field), words::name(&finding.kind));
        let why = words::sentence(&finding.why);
        told.push(format!("{}: {field} ({kind}): {why}", finding.cause.title()));
        for example in finding.examples.iter().filter(|one| one.scenario == scenario.id) {
            if let Some(record) = &example.record {
                told.push(format!("  record     {}", words::name(record)));
            }
            if let Some(part) = &example.part {
                told.push(format!("  part       {}", words::name(part)));
            }
            let [control, candidate] = text::side_by_side(&example.control, &example.candidate);
            told.push(format!("  legacy API {}", control.whole()));
            told.push(format!("  Tieline    {}", candidate.whole()));
        }
    }
    told.join("\n")
}

fn property(property: &PropertyReport) -> TestCase {
    let says = words::sentence(&property.says);
    let mut status = match (property.tried, property.failed) {
        (0, 0) => TestCaseStatus::skipped(),
        (_, 0) => TestCaseStatus::success(),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if property.failed > 0 {
        let times = numbers::of(property.tried, "time", "times");
        let failed = numbers::count(property.failed);
        let seen: Vec<String> = property.seen.iter().map(|seen| words::sentence(seen)).collect();
        status.set_message(format!("did not hold {failed} of {times}: {says}"));
        status.set_type("property").set_description(seen.join("\n"));
    } else if property.tried == 0 {
        status.set_message(format!("never tried: {says}"));
    }
    let mut case = TestCase::new(words::name(&property.name), status);
    case.set_classname(words::name(&property.endpoint));
    case
}
