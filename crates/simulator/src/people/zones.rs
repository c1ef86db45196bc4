//! Rails names of time zones.
//!
//! The table is the one of ActiveSupport (MIT), see the head of the data file, which the gateway reads
//! too. This crate reads it with rules of its own, so that it can disagree with the code under test.

use std::sync::LazyLock;

const TABLE: &str = include_str!("../../../domain/data/rails_time_zones.tsv");

/// `(Rails name, IANA id)` in the order of the table.
static ZONES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|l| l.split_once('\t')).collect()
});

/// Ids that the IANA database has since renamed; the table has the old spelling.
const RENAMED: &[(&str, &str)] = &[("Europe/Kyiv", "Europe/Kiev")];

fn before_renaming(zone: &str) -> &str {
    RENAMED.iter().find(|(now, _)| *now == zone).map_or(zone, |(_, before)| before)
}

/// The name that a legacy caller sees. If an id has several names, it is the one of the id's city; an id
/// without a Rails name stays unchanged.
pub(crate) fn shown(zone: &str) -> &str {
    let names: Vec<&str> = ZONES
        .iter()
        .filter(|(_, id)| *id == before_renaming(zone))
        .map(|(name, _)| *name)
        .collect();
    match names.as_slice() {
        [] => zone,
        [only] => only,
        several => {
            // The id joins words by underscores. `Midway` is the only city that has one more word in the
            // table.
            let city = zone.rsplit('/').next().unwrap_or(zone).replace('_', " ");
            let own = several.iter().find(|name| **name == city);
            own.or_else(|| several.iter().find(|name| name.starts_with(&city)))
                .unwrap_or(&several[0])
        }
    }
}

/// Whether two spellings mean the same zone: an id and each of its names do.
pub(crate) fn same(a: &str, b: &str) -> bool {
    id(a) == id(b)
}

fn id(zone: &str) -> &str {
    let zone = before_renaming(zone);
    ZONES.iter().find(|(name, _)| *name == zone).map_or(zone, |(_, id)| id)
}
