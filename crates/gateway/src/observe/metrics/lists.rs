//! The counters of what happens to lists. Every list is counted, also one that failed.

use domain::sweep::Story;
use prometheus::{IntCounter, IntCounterVec};

use super::Metrics;

/// The values of the label `event`.
const EVENTS: [&str; 11] = [
    "page",
    "page_unchanged",
    "page_changed",
    "seam_repaired",
    "read_again",
    "total_mismatch",
    "row_hidden",
    "shrunk",
    "field_absent",
    "streamed",
    "cut",
];

/// One counter for each of [`EVENTS`].
#[derive(Debug)]
pub(super) struct Lists([IntCounter; EVENTS.len()]);

impl Lists {
    pub(super) fn of(counters: &IntCounterVec) -> Lists {
        Lists(EVENTS.map(|event| counters.with_label_values(&[event])))
    }
}

impl Metrics {
    /// A list was read, or was not to be had.
    pub(crate) fn list(&self, story: &Story) {
        let [pages, unchanged, _, seams, readings, totals, rows, ..] = &self.0.lists.0;
        pages.inc_by(story.pages);
        unchanged.inc_by(story.pages_unchanged);
        seams.inc_by(story.seams_repaired);
        readings.inc_by(story.restarts);
        totals.inc_by(u64::from(story.total_mismatch));
        rows.inc_by(story.hidden_rows);
    }

    /// A page was kept, and has changed.
    pub(crate) fn page_changed(&self) {
        let [_, _, changed, ..] = &self.0.lists.0;
        changed.inc();
    }

    /// A list had lost more than half of its users, twice.
    pub(crate) fn list_shrunk(&self) {
        let [.., shrunk, _, _, _] = &self.0.lists.0;
        shrunk.inc();
    }

    /// No user of a whole list had so many documented fields.
    pub(crate) fn absent_fields(&self, fields: usize) {
        let [.., absent, _, _] = &self.0.lists.0;
        absent.inc_by(fields as u64);
    }

    /// The first rows of a list were sent before it was read.
    pub(crate) fn list_streamed(&self) {
        let [.., streamed, _] = &self.0.lists.0;
        streamed.inc();
    }

    /// A list failed behind its first rows, and its connection was cut.
    pub(crate) fn list_cut(&self) {
        let [.., cut] = &self.0.lists.0;
        cut.inc();
    }
}
