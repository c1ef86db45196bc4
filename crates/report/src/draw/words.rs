//! The words that all forms share: the verdict, the causes, and counts in sentences.

use std::collections::BTreeMap;

use super::{numbers, text};
use crate::{Cause, FieldReport, Finding, Outcome, Report, Side, Verdict, records_of};

/// The most characters of a name that are shown.
pub(super) const NAME_MAX: usize = 160;
/// The most characters of a sentence that are shown.
pub(super) const SENTENCE_MAX: usize = 600;

pub(super) fn name(name: &str) -> String {
    text::brief(name, NAME_MAX)
}

/// A sentence of the crates that compare. They call the two sides control and candidate; people know them
/// by their names. A value of a side is no sentence, so none is changed.
pub(super) fn sentence(sentence: &str) -> String {
    text::brief(&with_names(sentence), SENTENCE_MAX)
}

/// The words for the two sides, and the names that people know.
const NAMES: [(&str, &str); 4] = [
    ("control", "the legacy API"),
    ("Control", "The legacy API"),
    ("candidate", "Tieline"),
    ("Candidate", "Tieline"),
];

/// The text with the names of both sides in the place of the words. Options such as `--control` and
/// settings such as `control_percent` keep theirs.
fn with_names(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut named = String::with_capacity(text.len());
    for word in text.split_inclusive(|c| !is_part(c)) {
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let name = NAMES.iter().find(|(known, _)| *known == &word[..end]);
        named.push_str(name.map_or(&word[..end], |(_, name)| name));
        named.push_str(&word[end..]);
    }
    named
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
    if !report.asks_all() {
        title.push_str(", as far as asked");
    }
    if !report.left_out.noisy.is_empty() {
        title.push_str(", as far as it could be compared");
    }
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
        says.push(format!(
            "Not compared, because the legacy API answers differently each time: {noisy}."
        ));
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

/// The fields that the legacy API answers differently each time.
pub(super) fn noisy(report: &Report) -> String {
    names(&report.left_out.noisy)
}

fn names(names: &[String]) -> String {
    names.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ")
}

/// A warning about fields that were to be left out and did not occur, in case another one was meant.
pub(super) fn unseen(report: &Report) -> Option<String> {
    let unseen = &report.left_out.fields_unseen;
    (!unseen.is_empty())
        .then(|| format!("Warning: no answer has the fields to leave out: {}.", names(unseen)))
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
        return Some("None of these settings could be tried.".to_owned());
    }
    Some(format!(
        "Tried together: {} of {}, on {}. With them {} would differ, without them {} differ.",
        numbers::count(run.settings_tried),
        numbers::of(run.settings, "setting", "settings"),
        numbers::of(run.questions, "recorded answer", "recorded answers"),
        numbers::of(run.after, "value", "values"),
        numbers::count(run.before),
    ))
}

/// `3 users, in 70 answers`, or how often a difference occurred where that is not known.
pub(super) fn times(finding: &Finding) -> String {
    let (one, many) = records_of(&finding.endpoint);
    let records = (finding.records > 0).then(|| numbers::of(finding.records, one, many));
    let answers = (finding.answers > 0).then(|| numbers::of(finding.answers, "answer", "answers"));
    match (records, answers) {
        (Some(records), Some(answers)) => format!("{records}, in {answers}"),
        (Some(records), None) => records,
        (None, Some(answers)) => format!("in {answers}"),
        (None, None) => numbers::of(finding.count, "time", "times"),
    }
}

/// What a reader must know beside the verdict: the remarks of the run, how often Tieline was busy, and
/// whether it is much slower than the legacy API.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let mut says: Vec<String> = report.remarks.iter().map(|remark| sentence(remark)).collect();
    if report.totals.candidate_busy > 0 {
        let times = numbers::of(report.totals.candidate_busy, "time", "times");
        says.push(format!("Tieline was busy {times} (429 or 503); those requests were repeated."));
    }
    says.extend(slower(report));
    says
}

/// How many times slower Tieline must be to be mentioned, and by how many milliseconds.
const SLOWER: (f64, f64) = (3.0, 100.0);

/// A warning where half of Tieline's answers take much longer than half of the legacy API's. A recording tells
/// nothing of it.
fn slower(report: &Report) -> Option<String> {
    if report.control.as_ref().is_none_or(|control| control.kind != "live") {
        return None;
    }
    let answered = || report.scenarios.iter().filter(|one| one.outcome != Outcome::Undecided);
    let (control, _) = numbers::middle_and_tail(answered().map(|one| one.control_ms))?;
    let (candidate, _) = numbers::middle_and_tail(answered().map(|one| one.candidate_ms))?;
    let is_slower = candidate > control * SLOWER.0 && candidate > control + SLOWER.1;
    let [control, candidate] = [control, candidate].map(|time| numbers::seconds(time / 1e3));
    is_slower.then(|| {
        format!(
            "Tieline is much slower than the legacy API: half of its answers took longer than \
             {candidate}, half of the legacy API's longer than {control}."
        )
    })
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

/// The meaning of a part of the answer that is not a field.
pub(super) fn part(field: &str) -> &'static str {
    match field {
        "$status" => "the status code",
        "$envelope" => "what stands around the list",
        "$error" => "the body of an error",
        "$records" => "which records are listed",
        "$key" => "whether a wrong key is refused",
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

/// `bug 3, order 1`, the worst first.
pub(super) fn causes(causes: &BTreeMap<Cause, u64>) -> String {
    let some = causes.iter().filter(|(_, n)| **n > 0);
    let words = some.map(|(cause, n)| format!("{} {}", cause.title(), numbers::count(*n)));
    words.collect::<Vec<_>>().join(", ")
}

/// The result for a field: `0 of 400 differ (95 % confident: under 0.75 %)`.
pub(super) fn field_says(field: &FieldReport) -> String {
    let differing = differing(&field.causes);
    let compared = numbers::count(field.compared);
    match (field.share_differing_at_most(), field.compared) {
        (Some(share), _) => {
            let of = numbers::count(field.independent());
            format!("0 of {of} differ (95 % confident: under {})", numbers::share_up(share))
        }
        (None, 0) => "nothing was compared".to_owned(),
        (None, _) => format!(
            "{} of {compared} differ ({})",
            numbers::count(differing),
            numbers::share_of(differing, field.compared)
        ),
    }
}

/// `the legacy API at https://..`, for a sentence.
pub(super) fn control(side: &Side) -> String {
    let name = name(&side.name);
    match side.kind.as_str() {
        "live" => format!("the legacy API at {name}"),
        "recording" => format!("the recording {name}"),
        kind => format!("{name} ({})", self::name(kind)),
    }
}

/// `Tieline at https://..`, or with a caller of the configuration, for a sentence.
pub(super) fn candidate(side: &Side) -> String {
    let name = name(&side.name);
    match (side.kind.as_str(), name.as_str()) {
        ("", "") => "nothing".to_owned(),
        ("in process", _) => format!("Tieline (caller {name})"),
        ("gateway", _) => format!("Tieline at {name}"),
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
        "{control} was compared with {candidate}{dialect}. {}, {}, {}.",
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
    use crate::ScenarioReport;

    #[test]
    fn a_field_says_how_sure_its_result_is() {
        let field = |compared, causes: &[(Cause, u64)]| FieldReport {
            compared,
            causes: causes.iter().copied().collect(),
            ..FieldReport::default()
        };
        let cases = [
            (field(400, &[]), "0 of 400 differ (95 % confident: under 0.75 %)"),
            (field(41_208, &[]), "0 of 41,208 differ (95 % confident: under 0.0073 %)"),
            (field(1, &[]), "0 of 1 differ (95 % confident: under 95 %)"),
            (field(400, &[(Cause::Bug, 11), (Cause::Race, 1)]), "12 of 400 differ (3 %)"),
            (field(0, &[]), "nothing was compared"),
        ];
        for (field, says) in cases {
            assert_eq!(field_says(&field), says);
        }
    }

    #[test]
    fn sides_have_their_names_and_options_keep_theirs() {
        for (text, named) in [
            ("Control's ids; control", "The legacy API's ids; the legacy API"),
            ("candidate shows what control has", "Tieline shows what the legacy API has"),
            ("--control, control_percent, controls", "--control, control_percent, controls"),
            ("Candidate: é, \"candidate\"", "Tieline: é, \"Tieline\""),
        ] {
            assert_eq!(sentence(text), named);
        }
    }

    #[test]
    fn people_are_counted_and_then_answers() {
        let finding = |endpoint: &str, records, answers| Finding {
            endpoint: endpoint.to_owned(),
            field: String::new(),
            kind: String::new(),
            cause: Cause::Bug,
            why: String::new(),
            count: 9,
            records,
            answers,
            examples: Vec::new(),
        };
        for (endpoint, records, answers, says) in [
            ("v1_users", 3, 70, "3 users, in 70 answers"),
            ("v2_cdr_teams", 1, 1, "1 team, in 1 answer"),
            ("v1_users", 0, 2, "in 2 answers"),
            ("v1_users", 0, 0, "9 times"),
        ] {
            assert_eq!(times(&finding(endpoint, records, answers)), says);
        }
    }

    #[test]
    fn a_gateway_is_called_slow_only_where_people_notice() {
        let slow_beside = |kind: &str, control_ms: f64, candidate_ms: f64| {
            let one = ScenarioReport {
                outcome: Outcome::Equal,
                control_ms,
                candidate_ms,
                ..ScenarioReport::default()
            };
            let control = Some(Side { kind: kind.to_owned(), name: String::new() });
            remarks(&Report { control, scenarios: vec![one; 3], ..Report::default() })
        };
        let slow = |control_ms, candidate_ms| slow_beside("live", control_ms, candidate_ms);
        assert!(slow_beside("recording", 0.0, 850.0).is_empty());
        assert!(slow(2.0, 90.0).is_empty() && slow(500.0, 900.0).is_empty());
        assert!(slow(f64::NAN, 900.0).is_empty());
        let says = slow(120.0, 850.0).concat();
        assert!(says.contains("much slower") && says.contains("850 ms"), "{says}");
    }

    #[test]
    fn every_cause_has_its_own_letter() {
        let letters: std::collections::BTreeSet<char> = Cause::ALL.map(letter).into();
        assert_eq!(letters.len(), Cause::ALL.len());
    }
}
