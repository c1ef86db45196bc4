//! The parts of the report that need no control: the properties of candidate, the ledger, the v4 calls.

use std::collections::BTreeMap;

use super::grouped;
use crate::draw::{numbers, words};
use crate::{Cause, Loss, PropertyReport, Report};

pub(in crate::draw::html) struct PropertyRow {
    pub(in crate::draw::html) class: &'static str,
    pub(in crate::draw::html) state: &'static str,
    pub(in crate::draw::html) name: String,
    pub(in crate::draw::html) endpoint: String,
    pub(in crate::draw::html) says: String,
    pub(in crate::draw::html) tried: String,
    pub(in crate::draw::html) failed: String,
    pub(in crate::draw::html) seen: Vec<String>,
}

pub(in crate::draw::html) struct LedgerGroup {
    pub(in crate::draw::html) endpoint: String,
    pub(in crate::draw::html) summary: String,
    pub(in crate::draw::html) rows: Vec<LedgerRow>,
}

pub(in crate::draw::html) struct LedgerRow {
    pub(in crate::draw::html) field: String,
    pub(in crate::draw::html) status: String,
    pub(in crate::draw::html) seen: String,
    pub(in crate::draw::html) reason: String,
}

pub(in crate::draw::html) struct CallRow {
    pub(in crate::draw::html) legacy: String,
    pub(in crate::draw::html) v4: String,
    pub(in crate::draw::html) calls: String,
}

/// The properties: first those that failed, then those that were never tried.
pub(in crate::draw::html) fn properties(report: &Report) -> Vec<PropertyRow> {
    let mut all: Vec<&PropertyReport> = report.properties.iter().collect();
    all.sort_by_key(|property| (property.failed == 0, property.tried > 0));
    all.into_iter().map(property).collect()
}

fn property(property: &PropertyReport) -> PropertyRow {
    let (class, state) = match (property.tried, property.failed) {
        (0, 0) => ("undecided", "never tried"),
        (_, 0) => ("equal", "holds"),
        _ => ("different", "does not hold"),
    };
    PropertyRow {
        class,
        state,
        name: words::name(&property.name),
        endpoint: words::name(&property.endpoint),
        says: words::sentence(&property.says),
        tried: numbers::count(property.tried),
        failed: numbers::count(property.failed),
        seen: property.seen.iter().map(|seen| words::sentence(seen)).collect(),
    }
}

/// The ledger, a table for each endpoint, with how often each loss occurred.
pub(in crate::draw::html) fn ledger(report: &Report) -> Vec<LedgerGroup> {
    let mut seen: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for field in &report.fields {
        if let Some(n) = field.causes.get(&Cause::DeclaredLoss) {
            *seen.entry((&field.endpoint, &field.field)).or_default() += n;
        }
    }
    let row = |loss: &Loss| LedgerRow {
        field: words::name(&loss.field),
        status: words::name(&loss.status),
        seen: match seen.get(&(loss.endpoint.as_str(), loss.field.as_str())) {
            Some(n) if *n > 0 => numbers::count(*n),
            _ => "–".to_owned(),
        },
        reason: words::sentence(&loss.reason),
    };
    let group = |(endpoint, losses): (&str, Vec<&Loss>)| {
        let faithful = |loss: &&&Loss| matches!(loss.status.as_str(), "exact" | "renamed");
        let exact = losses.iter().filter(faithful).count() as u64;
        let dialect = losses.first().map(|loss| words::name(&loss.dialect)).unwrap_or_default();
        LedgerGroup {
            endpoint: words::name(endpoint),
            summary: format!(
                "over {dialect}: {} of {} as the new API has them",
                numbers::count(exact),
                numbers::of(losses.len() as u64, "field", "fields")
            ),
            rows: losses.into_iter().map(row).collect(),
        }
    };
    grouped(&report.ledger, |loss| &loss.endpoint).into_iter().map(group).collect()
}

/// The calls, in the order of the report.
pub(in crate::draw::html) fn calls(report: &Report) -> Vec<CallRow> {
    let call = |call: &crate::V4Call| CallRow {
        legacy: words::name(&call.legacy),
        v4: words::name(&call.v4),
        calls: numbers::count(call.calls),
    };
    report.calls.iter().map(call).collect()
}
