//! The filters of the template: texts and numbers as the other formats show them. Every text of a report
//! must go through one of them, because they cut it and show its hidden characters.

use askama::{Result, Values, filter_fn};

use crate::draw::settings::Table;
use crate::draw::text::Side;
use crate::draw::{numbers, text, words};
use crate::{Example, FieldReport, Finding};

#[filter_fn]
pub(super) fn name(text: &str, _: &dyn Values) -> Result<String> {
    Ok(words::name(text))
}

#[filter_fn]
pub(super) fn sentence(text: &str, _: &dyn Values) -> Result<String> {
    Ok(words::sentence(text))
}

#[filter_fn]
pub(super) fn count(n: &u64, _: &dyn Values) -> Result<String> {
    Ok(numbers::count(*n))
}

#[filter_fn]
pub(super) fn times(finding: &Finding, _: &dyn Values) -> Result<String> {
    Ok(words::times(finding))
}

/// The lines of a table of settings.
#[filter_fn]
pub(super) fn toml(table: &Table, _: &dyn Values) -> Result<String> {
    Ok(table.lines.join("\n"))
}

#[filter_fn]
pub(super) fn dictionary(table: &Table, _: &dyn Values) -> Result<String> {
    Ok(table.title())
}

/// A number without decimals.
#[filter_fn]
pub(super) fn whole(number: &f64, _: &dyn Values) -> Result<String> {
    Ok(numbers::whole(*number))
}

/// The meaning of a field that is a part of the answer.
#[filter_fn]
pub(super) fn part(field: &str, _: &dyn Values) -> Result<&'static str> {
    Ok(words::part(field))
}

#[filter_fn]
pub(super) fn says(field: &FieldReport, _: &dyn Values) -> Result<String> {
    Ok(words::field_says(field))
}

#[filter_fn]
pub(super) fn record(example: &Example, _: &dyn Values) -> Result<String> {
    Ok(example.record.as_deref().map(words::name).unwrap_or_default())
}

/// The part of a field that an example is about.
#[filter_fn]
pub(super) fn part_of(example: &Example, _: &dyn Values) -> Result<String> {
    Ok(example.part.as_deref().map(words::name).unwrap_or_default())
}

#[filter_fn]
pub(super) fn sides(example: &Example, _: &dyn Values) -> Result<[(&'static str, Side); 2]> {
    let [control, candidate] = text::side_by_side(&example.control, &example.candidate);
    Ok([("Legacy API", control), ("Tieline", candidate)])
}
