//! The rows of the tables of the page, as texts that are safe to show.

mod bar;
mod differences;
mod facts;

use std::collections::BTreeMap;

pub(super) use bar::Bar;
pub(super) use differences::{FindingGroup, ScenarioGroup, findings, scenarios};
pub(super) use facts::{CallRow, LedgerGroup, PropertyRow, calls, ledger, properties};

use super::{numbers, words};
use crate::{Cause, FieldReport, Report};

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

pub(super) struct FieldGroup {
    pub(super) endpoint: String,
    pub(super) caption: String,
    pub(super) rows: Vec<FieldRow>,
}

pub(super) struct FieldRow {
    pub(super) field: String,
    pub(super) part: &'static str,
    pub(super) bar: Bar,
    pub(super) says: String,
    pub(super) tags: Vec<Tag>,
    pub(super) compared: String,
    pub(super) equal: String,
    pub(super) ignored: String,
}

/// The class of a cause in the style sheet.
fn class(cause: Cause) -> &'static str {
    cause.as_str()
}

fn tag(cause: Cause, count: u64) -> Tag {
    Tag {
        class: class(cause),
        letter: words::letter(cause),
        title: cause.title(),
        count: numbers::count(count),
    }
}

fn tags(causes: &BTreeMap<Cause, u64>) -> Vec<Tag> {
    causes.iter().filter(|(_, n)| **n > 0).map(|(cause, n)| tag(*cause, *n)).collect()
}

/// The groups in the order of their names.
fn grouped<'a, T>(all: &'a [T], key: impl Fn(&'a T) -> &'a str) -> BTreeMap<&'a str, Vec<&'a T>> {
    let mut groups: BTreeMap<&str, Vec<&T>> = BTreeMap::new();
    for one in all {
        groups.entry(key(one)).or_default().push(one);
    }
    groups
}

/// The numbers behind the verdict.
pub(super) fn tiles(report: &Report) -> Vec<Tile> {
    let totals = &report.totals;
    let differing = words::differing(&totals.causes);
    let unexplained = words::unexplained(&totals.causes);
    let bad = |n: u64| if n > 0 { "bad" } else { "" };
    let failed = report.properties.iter().filter(|property| property.failed > 0).count() as u64;
    let tile = |class, label, value, note| Tile { class, label, value, note };
    vec![
        tile(
            "",
            "Values equal",
            numbers::share_down(totals.matched, totals.compared),
            format!("{} of {}", numbers::count(totals.matched), numbers::count(totals.compared)),
        ),
        tile(
            bad(unexplained),
            "Unexplained",
            numbers::count(unexplained),
            "differences that nothing explains".to_owned(),
        ),
        tile(
            "",
            "Explained",
            numbers::count(differing - unexplained.min(differing)),
            "differences with a known cause".to_owned(),
        ),
        tile(
            if totals.undecided > 0 { "doubt" } else { "" },
            "Not compared",
            numbers::count(totals.undecided),
            format!("of {}", numbers::of(totals.scenarios, "scenario", "scenarios")),
        ),
        tile(
            if totals.ignored > 0 { "doubt" } else { "" },
            "Left out",
            numbers::count(totals.ignored),
            "values, on request".to_owned(),
        ),
        tile(
            bad(failed),
            "Properties failed",
            numbers::count(failed),
            format!("of {}", numbers::count(report.properties.len() as u64)),
        ),
    ]
}

/// Every cause that was found, the worst first.
pub(super) fn causes(report: &Report) -> Vec<CauseRow> {
    let causes = &report.totals.causes;
    let all = words::differing(causes);
    let row = |(cause, n): (&Cause, &u64)| CauseRow {
        tag: tag(*cause, *n),
        share: numbers::share_of(*n, all),
        bar: Bar::of_one(class(*cause), *n, all),
        meaning: cause.meaning(),
    };
    causes.iter().filter(|(_, n)| **n > 0).map(row).collect()
}

/// A table for each endpoint. Fields that differ come first, those with the worst cause at the top.
pub(super) fn fields(report: &Report) -> Vec<FieldGroup> {
    let group = |(endpoint, mut fields): (&str, Vec<&FieldReport>)| {
        fields.sort_by_key(|field| words::worst(&field.causes));
        let differing = fields.iter().filter(|field| words::differing(&field.causes) > 0).count();
        FieldGroup {
            endpoint: words::name(endpoint),
            caption: format!(
                "{} of {} differ.",
                numbers::count(differing as u64),
                numbers::of(fields.len() as u64, "field", "fields")
            ),
            rows: fields.into_iter().map(field).collect(),
        }
    };
    grouped(&report.fields, |field| &field.endpoint).into_iter().map(group).collect()
}

fn field(field: &FieldReport) -> FieldRow {
    FieldRow {
        field: words::name(&field.field),
        part: words::part(&field.field),
        bar: Bar::of_field(field),
        says: words::field_says(field),
        tags: tags(&field.causes),
        compared: numbers::count(field.compared),
        equal: numbers::count(field.matched),
        ignored: numbers::count(field.ignored),
    }
}
