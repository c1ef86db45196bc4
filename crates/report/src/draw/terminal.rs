//! The report as text for a terminal, the verdict first. It must never send a control character of a text
//! from outside.

mod paper;

use paper::{Ink, Paper};

use super::{numbers, settings, text, words};
use crate::{Example, FieldReport, Finding, Outcome, Report, Verdict};

/// The most examples of one finding. The files have all of them.
const EXAMPLES_MAX: usize = 3;
/// The most findings, fields, scenarios or properties in one list.
const ROWS_MAX: usize = 20;

/// The report as text. No line is longer than `width`, except lines of TOML, which must not be broken.
/// `colours` adds ANSI colours, but no information is in the colour alone.
pub fn terminal(report: &Report, width: usize, colours: bool) -> String {
    let mut paper = Paper::new(width, colours);
    verdict(report, &mut paper);
    findings(report, &mut paper);
    causes(report, &mut paper);
    fields(report, &mut paper);
    undecided(report, &mut paper);
    properties(report, &mut paper);
    advice(report, &mut paper);
    if let Some(warning) = words::unseen(report) {
        paper.blank();
        paper.painted(Ink::Doubt, 0, 2, &warning);
    }
    paper.text
}

fn verdict(report: &Report, paper: &mut Paper) {
    let ink = match report.verdict {
        Verdict::Agree if report.is_of_candidate_alone() => Ink::Doubt,
        Verdict::Agree => Ink::Good,
        Verdict::Differ => Ink::Bad,
        Verdict::Undecided => Ink::Doubt,
    };
    paper.painted(ink, 0, 0, &words::verdict(report).to_uppercase());
    paper.wrapped(0, 0, &words::because(report));
    paper.blank();
    paper.wrapped(0, 0, &words::compared(report));
    let totals = &report.totals;
    if totals.compared > 0 || totals.ignored > 0 {
        paper.wrapped(
            0,
            0,
            &format!(
                "{} values are equal ({}), {} differ, {} were left out on request.",
                numbers::count(totals.matched),
                numbers::share_down(totals.matched, totals.compared),
                numbers::count(words::differing(&totals.causes)),
                numbers::count(totals.ignored),
            ),
        );
    }
    for says in words::remarks(report).into_iter().chain(words::left_out(report)) {
        paper.wrapped(0, 2, &says);
    }
}

fn causes(report: &Report, paper: &mut Paper) {
    let causes = &report.totals.causes;
    if words::differing(causes) == 0 {
        return;
    }
    paper.heading("Causes");
    for (cause, n) in causes.iter().filter(|(_, n)| **n > 0) {
        let ink = if cause.is_unexplained() { Ink::Bad } else { Ink::Plain };
        let first =
            format!("{} {:<14}{:>10}  ", words::letter(*cause), cause.title(), numbers::count(*n));
        paper.labelled(ink, &first, cause.meaning());
    }
}

fn fields(report: &Report, paper: &mut Paper) {
    if report.fields.is_empty() {
        return;
    }
    let differing: Vec<&FieldReport> =
        report.fields.iter().filter(|field| words::differing(&field.causes) > 0).collect();
    paper.heading("Fields");
    for field in differing.iter().take(ROWS_MAX) {
        let ink = if words::unexplained(&field.causes) > 0 { Ink::Bad } else { Ink::Plain };
        paper.labelled(ink, &format!("{}  ", place(&field.endpoint, &field.field)), "");
        let says = format!("{}: {}", words::field_says(field), words::causes(&field.causes));
        paper.wrapped(4, 4, &says);
    }
    rest(differing.len(), paper);
    let equal = report.fields.iter().filter(|field| field.share_differing_at_most().is_some());
    let Some(least) = equal.clone().min_by_key(|field| field.independent()) else {
        return;
    };
    let all = numbers::of(equal.count() as u64, "field has", "fields have");
    paper.wrapped(
        2,
        2,
        &format!(
            "{all} no difference. Least tested: {} ({}).",
            place(&least.endpoint, &least.field),
            numbers::of(least.independent(), "comparison", "comparisons")
        ),
    );
}

/// `v1_users assigned_teams`.
fn place(endpoint: &str, field: &str) -> String {
    format!("{} {}", words::name(endpoint), words::name(field))
}

fn findings(report: &Report, paper: &mut Paper) {
    let unexplained: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.cause.is_unexplained()).collect();
    if unexplained.is_empty() {
        return;
    }
    paper.heading("Unexplained");
    for (index, finding) in unexplained.iter().take(ROWS_MAX).enumerate() {
        let head = format!(
            "{}. {}, {}, {}",
            index + 1,
            place(&finding.endpoint, &finding.field),
            words::name(&finding.kind),
            words::times(finding)
        );
        paper.painted(Ink::Bad, 2, 5, &head);
        paper.wrapped(5, 5, &words::sentence(&finding.why));
        for example in finding.examples.iter().take(EXAMPLES_MAX) {
            paper.painted(Ink::Faint, 5, 7, &place_of(example));
            let [control, candidate] = text::side_by_side(&example.control, &example.candidate);
            paper.wrapped(7, 18, &format!("legacy API {}", control.whole()));
            paper.wrapped(7, 18, &format!("Tieline    {}", candidate.whole()));
        }
    }
    rest(unexplained.len(), paper);
}

/// `v1_users/all, record 28982, name "Sales"`.
fn place_of(example: &Example) -> String {
    let record = example.record.as_deref().map(|id| format!("record {}", words::name(id)));
    let part = example.part.as_deref().map(words::name);
    let all = [Some(words::name(&example.scenario)), record, part];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn undecided(report: &Report, paper: &mut Paper) {
    let all: Vec<_> =
        report.scenarios.iter().filter(|one| one.outcome == Outcome::Undecided).collect();
    if all.is_empty() {
        return;
    }
    paper.heading("Not compared");
    for (reason, n) in words::undecided_reasons(report).iter().take(ROWS_MAX) {
        paper.wrapped(2, 4, &format!("{}: {reason}", numbers::of(*n, "question", "questions")));
    }
    for scenario in all.iter().take(ROWS_MAX) {
        paper.painted(Ink::Faint, 4, 6, &words::name(&scenario.id));
    }
    rest(all.len(), paper);
}

fn properties(report: &Report, paper: &mut Paper) {
    if report.properties.is_empty() {
        return;
    }
    paper.heading("Checks of Tieline alone");
    let failed: Vec<_> = report.properties.iter().filter(|one| one.failed > 0).collect();
    for property in failed.iter().take(ROWS_MAX) {
        let name = place(&property.endpoint, &property.name);
        let times = numbers::of(property.tried, "time", "times");
        let head = format!("{name} did not hold {} of {times}", numbers::count(property.failed));
        paper.painted(Ink::Bad, 2, 4, &head);
        paper.wrapped(4, 4, &words::sentence(&property.says));
        for seen in property.seen.iter().take(EXAMPLES_MAX) {
            paper.wrapped(4, 6, &format!("- {}", words::sentence(seen)));
        }
    }
    rest(failed.len(), paper);
    let never = report.properties.iter().filter(|one| one.tried == 0).count();
    let held = report.properties.len() - failed.len() - never;
    let never = match never {
        0 => String::new(),
        1 => ", 1 was never tried".to_owned(),
        n => format!(", {n} were never tried"),
    };
    paper.wrapped(2, 2, &format!("{held} of {} hold{never}.", report.properties.len()));
}

fn advice(report: &Report, paper: &mut Paper) {
    let tables = settings::tables(&report.settings);
    if tables.is_empty() {
        return;
    }
    paper.heading("Settings to try, then validate again");
    if let Some(told) = words::replayed(report) {
        paper.wrapped(2, 2, &told);
    }
    for (place, table) in tables.iter().enumerate() {
        if place > 0 {
            paper.blank();
        }
        for line in table.lines.iter().take(table.first.unwrap_or(usize::MAX)) {
            match line.strip_prefix("# ") {
                Some(comment) if !comment.contains('=') => paper.painted(Ink::Faint, 2, 4, line),
                _ => paper.verbatim(2, line),
            }
        }
        if table.more() > 0 {
            let more = numbers::of(table.more(), "more line", "more lines");
            paper.painted(Ink::Faint, 2, 4, &format!("# and {more}: see the HTML report"));
        }
    }
}

/// Writes how many rows a list left out.
fn rest(rows: usize, paper: &mut Paper) {
    if rows > ROWS_MAX {
        let more = numbers::count((rows - ROWS_MAX) as u64);
        paper.wrapped(2, 2, &format!("and {more} more: see the HTML report"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    #[test]
    fn every_cause_has_its_letter_and_its_meaning() {
        let mut report = Report::default();
        report.totals.causes = Cause::ALL.iter().map(|cause| (*cause, 1)).collect();
        let drawn = terminal(&report, 200, false);
        for cause in Cause::ALL {
            let row = drawn.lines().find(|line| line.contains(cause.meaning()));
            let begins = format!("  {} {}", words::letter(cause), cause.title());
            assert!(row.is_some_and(|row| row.starts_with(&begins)), "{drawn}");
        }
    }
}
