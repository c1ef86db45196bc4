//! The next steps, derived from the findings. It must never advise to switch where the verdict does not.

use super::{numbers, settings, words};
use crate::{Cause, Report, Verdict};

pub(super) struct Step {
    /// The step in a few words.
    pub(super) what: String,
    /// The reason or the way, in a sentence.
    pub(super) how: String,
    /// The id and the name of the section with the evidence.
    pub(super) link: Option<(&'static str, &'static str)>,
}

/// The next steps, the most urgent first.
pub(super) fn steps(report: &Report) -> Vec<Step> {
    let mut steps = Vec::new();
    mend(report, &mut steps);
    repeat(report, &mut steps);
    adjust(report, &mut steps);
    weigh(report, &mut steps);
    if report.verdict == Verdict::Agree && report.is_of_candidate_alone() {
        let how = "Tieline does not contradict itself. Whether it answers like the legacy API is not known: name the legacy API, or a recording of it, with --control.";
        steps.insert(0, step("Compare it with the legacy API.".to_owned(), how, None));
    } else if report.verdict == Verdict::Agree && !report.asks_all() {
        let how =
            "Every difference in what was asked has a known cause. What was not asked may differ.";
        steps.push(step("Ask the rest before you switch.".to_owned(), how, None));
    } else if report.verdict == Verdict::Agree && report.is_partial() {
        let what = format!("Look at {} yourself before you switch.", words::noisy(report));
        let how =
            "The legacy API answers these fields differently each time, so they were not compared.";
        steps.push(step(what, how, None));
    } else if report.verdict == Verdict::Agree && words::has(report, Cause::Quirk) {
        let how = "Then change the base URL of the customizations. Until a setting is set, clients see the differences that it removes.";
        steps.push(step("Switch when the settings are set.".to_owned(), how, None));
    } else if report.verdict == Verdict::Agree && words::has(report, Cause::UpstreamData) {
        let how = "Then change the base URL of the customizations. Tieline translates correctly, but clients see the new API's data until you correct it.";
        steps.push(step("Switch when the data is corrected, or accepted.".to_owned(), how, None));
    } else if report.verdict == Verdict::Agree {
        let how = "Change the base URL of the customizations, and validate again when the configuration or the data changes.";
        steps.insert(0, step("Switch when you like.".to_owned(), how, None));
    } else if report.verdict == Verdict::Undecided && report.totals.undecided == 0 {
        let what = "Read why nothing is decided.".to_owned();
        steps.insert(0, step(what, &words::because(report), None));
    }
    steps
}

fn step(what: String, how: &str, link: Option<(&'static str, &'static str)>) -> Step {
    Step { what, how: how.to_owned(), link }
}

fn values(n: u64) -> String {
    numbers::of(n, "value", "values")
}

/// Steps for differences without an explanation.
fn mend(report: &Report, steps: &mut Vec<Step>) {
    let bugs = words::unexplained(&report.totals.causes);
    if bugs > 0 {
        let what = format!(
            "Find the reason for {}.",
            numbers::of(bugs, "unexplained difference", "unexplained differences")
        );
        let how = "Clients that use these values would notice the switch.";
        steps.push(step(what, how, Some(("findings", "Differences"))));
    }
    let failed = report.properties.iter().filter(|property| property.failed > 0).count() as u64;
    if failed > 0 {
        let what = format!("Look at {} that failed.", numbers::of(failed, "check", "checks"));
        let how = "Tieline contradicts itself, whatever the legacy API says.";
        steps.push(step(what, how, Some(("properties", "Properties"))));
    }
}

/// Steps for questions that could not be compared.
fn repeat(report: &Report, steps: &mut Vec<Step>) {
    let reasons = words::undecided_reasons(report);
    let undecided = reasons.iter().map(|(_, n)| n).sum::<u64>().max(report.totals.undecided);
    if undecided == 0 {
        return;
    }
    let what = format!(
        "Validate again: {} could not be compared.",
        numbers::of(undecided, "question", "questions")
    );
    let say = |(reason, n): &(String, u64)| {
        format!("{} ({}).", reason.trim_end_matches('.'), numbers::count(*n))
    };
    let mut sentences: Vec<String> = reasons.iter().take(3).map(say).collect();
    if reasons.len() > 3 {
        sentences.push("And for other reasons.".to_owned());
    }
    steps.push(Step { what, how: sentences.join(" "), link: Some(("scenarios", "Questions")) });
}

/// Steps for differences that a setting, or other data, would end.
fn adjust(report: &Report, steps: &mut Vec<Step>) {
    if let Some(advised) = settings::advised(&settings::tables(&report.settings)) {
        let what = format!("Set {advised}.");
        let how =
            "Copy them into the configuration and validate again. Tieline changed nothing itself.";
        steps.push(step(what, how, Some(("settings", "Settings"))));
    }
    let data = report.totals.causes.get(&Cause::UpstreamData).copied().unwrap_or_default();
    if data > 0 {
        let users = report.totals.users_with_other_data;
        let these = match users {
            0 => values(data),
            1 => "this user".to_owned(),
            _ => format!("these {}", numbers::of(users, "user", "users")),
        };
        let what = format!("Correct {these} in the new API:");
        let how = "its data differ from the legacy API's. Tieline translates them correctly.";
        steps.push(step(what, how, Some(("findings", "Differences"))));
    }
}

/// Decisions that are left to people.
fn weigh(report: &Report, steps: &mut Vec<Step>) {
    let lost = report.totals.causes.get(&Cause::DeclaredLoss).copied().unwrap_or_default();
    if lost > 0 {
        let what = format!("Decide about {} that the new API does not have.", values(lost));
        let how = "Does a customization use these fields? The ledger gives the reasons.";
        steps.push(step(what, how, Some(("ledger", "Ledger of losses"))));
    }
    let ignored = report.totals.ignored;
    if ignored > 0 {
        let what = format!("Remember {} that were left out.", values(ignored));
        let how = "They were left out on request, so nothing is known about them.";
        steps.push(step(what, how, Some(("fields", "Fields"))));
    }
}
