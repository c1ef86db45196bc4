//! The words that all forms share: the verdict, the causes, and counts in sentences.

use std::collections::BTreeMap;

use super::{numbers, text};
use crate::{Cause, FieldReport, Finding, Outcome, Report, Side, Verdict};

/// The most characters of a name that are shown.
pub(super) const NAME_MAX: usize = 160;
/// The most characters of a sentence that are shown.
pub(super) const SENTENCE_MAX: usize = 600;

pub(super) fn name(name: &str) -> String {
    text::brief(name, NAME_MAX)
}

pub(super) fn sentence(sentence: &str) -> String {
    text::brief(sentence, SENTENCE_MAX)
}

/// Whether the cause occurred. Settings for a quirk come before a switch, and clients see other data of the
/// new API until it is corrected.
pub(super) fn has(report: &Report, cause: Cause) -> bool {
    report.totals.causes.get(&cause).is_some_and(|count| *count > 0)
}

/// The answer to "may one switch?". It covers only what was asked.
pub(super) fn verdict(report: &Report) -> String {
    let title = match report.verdict {
        Verdict::Agree if report.is_of_candidate_alone() => {
            "Nothing contradicts itself, nothing was compared with the legacy API"
        }
        Verdict::Agree => "You may switch",
        Verdict::Differ => "Do not switch yet",
        Verdict::Undecided => "Undecided",
    };
    let mut title = title.to_owned();
    if report.verdict != Verdict::Agree {
        return title;
    }
    title.push_str(match (has(report, Cause::Quirk), has(report, Cause::UpstreamData)) {
        (true, true) => ", with other settings and other data",
        (true, false) => ", with other settings",
        (false, true) => ", with other data",
        (false, false) => "",
    });
    title.push_str(match (report.left_out.noisy.is_empty(), report.is_partial()) {
        (false, _) => ", as far as it could be compared",
        (true, true) => ", as far as asked",
        (true, false) => "",
    });
    title
}

/// A sentence for each kind of thing that was not asked or not compared.
pub(super) fn left_out(report: &Report) -> Vec<String> {
    let left_out = &report.left_out;
    let mut says = Vec::new();
    if !left_out.endpoints.is_empty() {
        says.push(format!("Not asked at all: {}.", names(&left_out.endpoints)));
    }
    if !left_out.fields.is_empty() {
        says.push(format!("Not compared: {}.", names(&left_out.fields)));
    }
    if !left_out.noisy.is_empty() {
        let noisy = names(&left_out.noisy);
        says.push(format!("Not compared, since control never says the same twice: {noisy}."));
    }
    for (n, which) in [
        (left_out.filtered, "by a field that is not compared"),
        (left_out.values, "by other values"),
        (left_out.pairs, "by two fields"),
    ] {
        if n > 0 {
            let filters = numbers::of(n, "filter", "filters");
            says.push(format!("Not asked: {filters} {which}."));
        }
    }
    says
}

fn names(names: &[String]) -> String {
    names.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ")
}

/// A warning about fields that were to be left out and did not occur, in case another one was meant.
pub(super) fn unseen(report: &Report) -> Option<String> {
    let unseen = &report.left_out.fields_unseen;
    (!unseen.is_empty())
        .then(|| format!("Warning: no answer has what was to be left out: {}.", names(unseen)))
}

/// The reason of the verdict, or a general sentence where the report gives none.
pub(super) fn because(report: &Report) -> String {
    match (report.because.is_empty(), report.totals.scenarios) {
        (false, _) => sentence(&report.because),
        (true, 0) => "Nothing was compared.".to_owned(),
        (true, _) => "The report gives no reason.".to_owned(),
    }
}

/// What would differ under the suggested settings, where they were tried.
pub(super) fn replayed(report: &Report) -> Option<String> {
    let run = report.replayed.as_ref()?;
    if run.settings_tried == 0 {
        return Some("None of them could be tried before it was suggested.".to_owned());
    }
    Some(format!(
        "{} of {} tried together on {}: {} would differ, and {} differ without them.",
        numbers::count(run.settings_tried),
        numbers::of(run.settings, "setting", "settings"),
        numbers::of(run.questions, "recorded answer", "recorded answers"),
        numbers::of(run.after, "value", "values"),
        numbers::count(run.before),
    ))
}

/// `3 records, 70 times in all answers`, or how often a difference occurred.
pub(super) fn times(finding: &Finding) -> String {
    match finding.records {
        0 => numbers::of(finding.count, "time", "times"),
        records if records == finding.count => numbers::of(records, "record", "records"),
        records => format!(
            "{}, {} in all answers",
            numbers::of(records, "record", "records"),
            numbers::of(finding.count, "time", "times")
        ),
    }
}

/// One letter for a cause, for readers who cannot see its colour.
pub(super) fn letter(cause: Cause) -> char {
    match cause {
        Cause::Bug => 'B',
        Cause::UpstreamData => 'U',
        Cause::Quirk => 'Q',
        Cause::DeclaredLoss => 'L',
        Cause::Order => 'O',
        Cause::Race => 'R',
        Cause::Noise => 'N',
    }
}

/// The outcome of a scenario, in one word.
pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Equal => "equal",
        Outcome::Explained => "explained",
        Outcome::Different => "different",
        Outcome::Undecided => "undecided",
    }
}

/// The rank of an outcome: those that need attention come first.
pub(super) fn urgency(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Undecided => 0,
        Outcome::Different => 1,
        Outcome::Explained => 2,
        Outcome::Equal => 3,
    }
}

/// The meaning of a part of the answer that is not a field.
pub(super) fn part(field: &str) -> &'static str {
    match field {
        "$status" => "the status code",
        "$envelope" => "what stands around the list",
        "$error" => "the body of an error",
        "$records" => "who is listed",
        "$users" => "how many users the new API holds differently",
        "$order" => "in which order",
        "$members" => "the order of a record's fields",
        "$copies" => "a record that is listed more than once",
        "$body" => "whether the answer is a list",
        _ if field.starts_with("$header.") => "a header",
        _ => "",
    }
}

pub(super) fn differing(causes: &BTreeMap<Cause, u64>) -> u64 {
    causes.values().fold(0, |sum, n| sum.saturating_add(*n))
}

pub(super) fn unexplained(causes: &BTreeMap<Cause, u64>) -> u64 {
    let unexplained = causes.iter().filter(|(cause, _)| cause.is_unexplained());
    unexplained.fold(0, |sum, (_, n)| sum.saturating_add(*n))
}

/// The rank of the worst cause, for sorting. Fields without a difference come last.
pub(super) fn worst(causes: &BTreeMap<Cause, u64>) -> usize {
    let found = |cause: &Cause| causes.get(cause).is_some_and(|n| *n > 0);
    Cause::ALL.iter().position(found).unwrap_or(Cause::ALL.len())
}

/// `bug 3, order 1`, the worst first.
pub(super) fn causes(causes: &BTreeMap<Cause, u64>) -> String {
    let some = causes.iter().filter(|(_, n)| **n > 0);
    let words = some.map(|(cause, n)| format!("{} {}", cause.title(), numbers::count(*n)));
    words.collect::<Vec<_>>().join(", ")
}

/// The result for a field: `0 of 400 differ: at most 0.75 % at 95 %`.
pub(super) fn field_says(field: &FieldReport) -> String {
    let differing = differing(&field.causes);
    let compared = numbers::count(field.compared);
    match (field.share_differing_at_most(), field.compared) {
        (Some(share), _) => {
            let of = numbers::count(field.independent());
            format!("0 of {of} differ: at most {} at 95 %", numbers::share_up(share))
        }
        (None, 0) => "nothing was compared".to_owned(),
        (None, _) => format!(
            "{} of {compared} differ ({})",
            numbers::count(differing),
            numbers::share_of(differing, field.compared)
        ),
    }
}

/// `the live legacy API at https://..`, for a sentence.
pub(super) fn control(side: &Side) -> String {
    let name = name(&side.name);
    match side.kind.as_str() {
        "live" => format!("the live legacy API at {name}"),
        "recording" => format!("the recording {name}"),
        kind => format!("{name} ({})", self::name(kind)),
    }
}

/// `this configuration, tieline.toml`, for a sentence.
pub(super) fn candidate(side: &Side) -> String {
    let name = name(&side.name);
    match (side.kind.as_str(), name.as_str()) {
        ("", "") => "nobody".to_owned(),
        ("in process", _) => format!("the configuration {name}"),
        ("gateway", _) => format!("the gateway at {name}"),
        (kind, _) => format!("{name} ({})", self::name(kind)),
    }
}

/// Both sides, and how much was compared, in one line.
pub(super) fn compared(report: &Report) -> String {
    let totals = &report.totals;
    let dialect = match report.dialect.as_str() {
        "" => String::new(),
        dialect => format!(" over {}", name(dialect)),
    };
    let candidate = candidate(&report.candidate);
    let Some(side) = &report.control else {
        if report.properties.is_empty() {
            return "No legacy side was asked, and no property was checked.".to_owned();
        }
        let tried = report.properties.iter().fold(0_u64, |sum, p| sum.saturating_add(p.tried));
        return format!(
            "Without a legacy side: {} of {candidate}{dialect} tried {}.",
            numbers::of(report.properties.len() as u64, "property", "properties"),
            numbers::of(tried, "time", "times"),
        );
    };
    let mut control = control(side);
    if let Some(first) = control.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!(
        "{control} was compared with {candidate}{dialect}: {}, {}, {}.",
        numbers::of(totals.scenarios, "question", "questions"),
        numbers::of(totals.records, "record", "records"),
        numbers::of(totals.compared, "value", "values"),
    )
}

/// The reasons why scenarios could not be compared, with their counts, the commonest first.
pub(super) fn undecided_reasons(report: &Report) -> Vec<(String, u64)> {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for scenario in report.scenarios.iter().filter(|one| one.outcome == Outcome::Undecided) {
        *reasons.entry(scenario.undecided_because.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let reasons = reasons.into_iter().map(|(reason, n)| match reason {
        "" => ("no reason was given".to_owned(), n),
        reason => (sentence(reason), n),
    });
    let mut reasons: Vec<(String, u64)> = reasons.collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_says_how_sure_its_result_is() {
        let field = |compared, causes: &[(Cause, u64)]| FieldReport {
            compared,
            causes: causes.iter().copied().collect(),
            ..FieldReport::default()
        };
        let cases = [
            (field(400, &[]), "0 of 400 differ: at most 0.75 % at 95 %"),
            (field(41_208, &[]), "0 of 41,208 differ: at most 0.0073 % at 95 %"),
            (field(1, &[]), "0 of 1 differ: at most 95 % at 95 %"),
            (field(400, &[(Cause::Bug, 11), (Cause::Race, 1)]), "12 of 400 differ (3 %)"),
            (field(0, &[]), "nothing was compared"),
        ];
        for (field, says) in cases {
            assert_eq!(field_says(&field), says);
        }
    }

    #[test]
    fn every_cause_has_its_own_letter() {
        let letters: std::collections::BTreeSet<char> = Cause::ALL.map(letter).into();
        assert_eq!(letters.len(), Cause::ALL.len());
    }
}
