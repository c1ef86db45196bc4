//! The rows of the tables of the page, in the order in which they are shown. Texts in them are still those
//! of the report: the template must show them through its filters.

mod bar;

use std::collections::BTreeMap;

pub(super) use bar::Bar;

use super::{numbers, words};
use crate::{Cause, FieldReport, Finding, Loss, Outcome, PropertyReport, Report, ScenarioReport};

/// The most findings of one cause that are visible at once. The others are folded.
const AT_ONCE: usize = 20;
/// How many unexplained findings are unfolded at first.
const OPEN: usize = 3;

/// One of the numbers at the top.
pub(super) struct Tile {
    pub(super) class: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// A cause with its letter, its name and its count.
pub(super) struct Tag {
    pub(super) class: &'static str,
    pub(super) letter: char,
    pub(super) title: &'static str,
    pub(super) count: String,
}

pub(super) struct CauseRow {
    pub(super) tag: Tag,
    pub(super) share: String,
    pub(super) bar: Bar,
    pub(super) meaning: &'static str,
}

/// The rows of one endpoint.
pub(super) struct Group<'a, R> {
    pub(super) endpoint: &'a str,
    pub(super) says: String,
    pub(super) rows: Vec<R>,
}

pub(super) struct FieldRow<'a> {
    pub(super) of: &'a FieldReport,
    pub(super) bar: Bar,
    pub(super) tags: Vec<Tag>,
}

pub(super) struct FindingGroup<'a> {
    pub(super) tag: Tag,
    pub(super) heading: String,
    pub(super) meaning: &'static str,
    pub(super) first: Vec<FindingRow<'a>>,
    pub(super) more: Vec<FindingRow<'a>>,
}

pub(super) struct FindingRow<'a> {
    pub(super) of: &'a Finding,
    pub(super) open: bool,
    pub(super) tag: Tag,
}

pub(super) struct ScenarioRow<'a> {
    pub(super) of: &'a ScenarioReport,
    pub(super) outcome: &'static str,
    pub(super) tags: Vec<Tag>,
}

pub(super) struct PropertyRow<'a> {
    pub(super) of: &'a PropertyReport,
    pub(super) class: &'static str,
    pub(super) state: &'static str,
}

pub(super) struct LossRow<'a> {
    pub(super) of: &'a Loss,
    pub(super) seen: String,
}

fn tag(cause: Cause, count: u64) -> Tag {
    Tag {
        class: cause.as_str(),
        letter: words::letter(cause),
        title: cause.title(),
        count: numbers::count(count),
    }
}

fn tags(causes: &BTreeMap<Cause, u64>) -> Vec<Tag> {
    causes.iter().filter(|(_, n)| **n > 0).map(|(cause, n)| tag(*cause, *n)).collect()
}

/// A group for each endpoint, by name. `make` orders the rows and describes them.
fn grouped<'a, T, R>(
    all: &'a [T],
    endpoint: impl Fn(&'a T) -> &'a str,
    make: impl Fn(Vec<&'a T>) -> (String, Vec<R>),
) -> Vec<Group<'a, R>> {
    let mut groups: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
    for one in all {
        groups.entry(endpoint(one)).or_default().push(one);
    }
    let group = |(endpoint, all)| {
        let (says, rows) = make(all);
        Group { endpoint, says, rows }
    };
    groups.into_iter().map(group).collect()
}

/// The numbers behind the verdict.
pub(super) fn tiles(report: &Report) -> Vec<Tile> {
    let totals = &report.totals;
    let count = numbers::count;
    let unexplained = words::unexplained(&totals.causes);
    let differing = words::differing(&totals.causes);
    let explained = count(differing - unexplained.min(differing));
    let failed = report.properties.iter().filter(|property| property.failed > 0).count() as u64;
    let equal = numbers::share_down(totals.matched, totals.compared);
    let [bad, doubt] = ["bad", "doubt"].map(|class| move |n: u64| if n > 0 { class } else { "" });
    let of_compared = format!("{} of {}", count(totals.matched), count(totals.compared));
    let of_scenarios = format!("of {}", numbers::of(totals.scenarios, "question", "questions"));
    let of_properties = format!("of {}", count(report.properties.len() as u64));
    let tile =
        |class, label, value, note: &str| Tile { class, label, value, note: note.to_owned() };
    vec![
        tile("", "Values equal", equal, &of_compared),
        tile(
            bad(unexplained),
            "Unexplained",
            count(unexplained),
            "differences without a known cause",
        ),
        tile("", "Explained", explained, "differences with a known cause"),
        tile(doubt(totals.undecided), "Not compared", count(totals.undecided), &of_scenarios),
        tile(doubt(totals.ignored), "Left out", count(totals.ignored), "values, on request"),
        tile(bad(failed), "Checks failed", count(failed), &of_properties),
    ]
}

/// Every cause that was found, the worst first.
pub(super) fn causes(report: &Report) -> Vec<CauseRow> {
    let causes = &report.totals.causes;
    let all = words::differing(causes);
    let row = |(cause, n): (&Cause, &u64)| CauseRow {
        tag: tag(*cause, *n),
        share: numbers::share_of(*n, all),
        bar: Bar::of_one(cause.as_str(), *n, all),
        meaning: cause.meaning(),
    };
    causes.iter().filter(|(_, n)| **n > 0).map(row).collect()
}

/// Fields by endpoint.
pub(super) fn fields(report: &Report) -> Vec<Group<'_, FieldRow<'_>>> {
    grouped(
        &report.fields,
        |field| &field.endpoint,
        |fields| {
            let differing =
                fields.iter().filter(|field| words::differing(&field.causes) > 0).count();
            let says = format!(
                "{} of {} differ.",
                numbers::count(differing as u64),
                numbers::of(fields.len() as u64, "field", "fields")
            );
            let rows = fields.into_iter();
            let rows =
                rows.map(|of| FieldRow { of, bar: Bar::of_field(of), tags: tags(&of.causes) });
            (says, rows.collect())
        },
    )
}

/// Findings by cause, the worst cause first.
pub(super) fn findings(report: &Report) -> Vec<FindingGroup<'_>> {
    let group = |cause: Cause| {
        let found: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.cause == cause).collect();
        let sum = found.iter().fold(0_u64, |sum, finding| sum.saturating_add(finding.count));
        let open = if cause.is_unexplained() { OPEN } else { 0 };
        let kinds = numbers::of(found.len() as u64, "kind", "kinds");
        let mut rows = found.into_iter().enumerate().map(|(place, of)| FindingRow {
            of,
            open: place < open,
            tag: tag(cause, of.count),
        });
        let first: Vec<_> = rows.by_ref().take(AT_ONCE).collect();
        (!first.is_empty()).then(|| FindingGroup {
            tag: tag(cause, sum),
            heading: format!("{} of {kinds}", numbers::of(sum, "difference", "differences")),
            meaning: cause.meaning(),
            first,
            more: rows.collect(),
        })
    };
    Cause::ALL.into_iter().filter_map(group).collect()
}

/// Scenarios by endpoint.
pub(super) fn scenarios(report: &Report) -> Vec<Group<'_, ScenarioRow<'_>>> {
    grouped(
        &report.scenarios,
        |scenario| &scenario.endpoint,
        |scenarios| {
            let all = [Outcome::Different, Outcome::Undecided, Outcome::Explained, Outcome::Equal];
            let says = all.into_iter().filter_map(|outcome| {
                let n =
                    scenarios.iter().filter(|scenario| scenario.outcome == outcome).count() as u64;
                (n > 0).then(|| format!("{} {}", numbers::count(n), words::outcome(outcome)))
            });
            let says = says.collect::<Vec<_>>().join(", ");
            let rows = scenarios.into_iter().map(|of| ScenarioRow {
                of,
                outcome: words::outcome(of.outcome),
                tags: tags(&of.causes),
            });
            (says, rows.collect())
        },
    )
}

pub(super) fn properties(report: &Report) -> Vec<PropertyRow<'_>> {
    let rows = report.properties.iter().map(|of| match (of.tried, of.failed) {
        (0, 0) => PropertyRow { of, class: "undecided", state: "never tried" },
        (_, 0) => PropertyRow { of, class: "equal", state: "holds" },
        _ => PropertyRow { of, class: "different", state: "does not hold" },
    });
    rows.collect()
}

/// The ledger, with how often each loss occurred.
pub(super) fn ledger(report: &Report) -> Vec<Group<'_, LossRow<'_>>> {
    let mut seen: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for field in &report.fields {
        if let Some(n) = field.causes.get(&Cause::DeclaredLoss) {
            *seen.entry((&field.endpoint, &field.field)).or_default() += n;
        }
    }
    grouped(
        &report.ledger,
        |loss| &loss.endpoint,
        |losses| {
            let faithful = |loss: &&&Loss| matches!(loss.status.as_str(), "exact" | "renamed");
            let exact = losses.iter().filter(faithful).count() as u64;
            let dialect = losses.first().map(|loss| words::name(&loss.dialect)).unwrap_or_default();
            let says = format!(
                "over {dialect}: {} of {} as the new API has them",
                numbers::count(exact),
                numbers::of(losses.len() as u64, "field", "fields")
            );
            let rows = losses.into_iter().map(|of| {
                let n = seen.get(&(of.endpoint.as_str(), of.field.as_str())).filter(|n| **n > 0);
                LossRow { of, seen: n.map_or_else(|| "–".to_owned(), |n| numbers::count(*n)) }
            });
            (says, rows.collect())
        },
    )
}
