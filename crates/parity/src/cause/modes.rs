//! In which ways control may compare its filters: those under which an answer of control is just what
//! its filters find in control's own data. Candidate has no say in it.

use std::collections::HashSet;

use super::filtered::{Index, fits};
use crate::endpoint::Endpoint;

/// The ways, as the setting calls them.
pub(super) const MODES: [&str; 3] = ["exact", "case_insensitive", "contains"];

/// One way for each filter of a question.
pub(super) type Ways = Vec<&'static str>;

/// The filters of a question that set a limit at all.
pub(super) fn limiting(filters: &[(String, String)]) -> Vec<&(String, String)> {
    filters.iter().filter(|(_, wanted)| !wanted.is_empty()).collect()
}

/// All that fit what control `listed`; none where control filters in a way that no setting has. The
/// records are read once, however many ways there are.
pub(super) fn ways(
    endpoint: &Endpoint,
    control: &Index,
    filters: &[&(String, String)],
    listed: &HashSet<String>,
) -> Vec<Ways> {
    if !listed.iter().all(|key| control.rows.contains_key(key)) {
        return Vec::new();
    }
    // What the filters say of a record under each way, and whether control lists it.
    let mut seen: HashSet<(Vec<[bool; MODES.len()]>, bool)> = HashSet::new();
    for key in control.rows.keys() {
        let said = filters.iter().map(|(filter, wanted)| {
            let value = control.value(endpoint, key, filter);
            MODES.map(|mode| fits(filter, mode, value, wanted))
        });
        seen.insert((said.collect(), listed.contains(key)));
    }
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for (filter, _) in filters {
        // An id has no other spelling.
        let count = if filter == "id" { 1 } else { MODES.len() };
        let longer = |ways: &Vec<usize>| -> Vec<Vec<usize>> {
            (0..count).map(|way| [&ways[..], &[way]].concat()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all.retain(|ways| {
        seen.iter().all(|(said, is_listed)| {
            said.iter().zip(ways).all(|(said, way)| said[*way]) == *is_listed
        })
    });
    all.into_iter().map(|ways| ways.into_iter().map(|way| MODES[way]).collect()).collect()
}
