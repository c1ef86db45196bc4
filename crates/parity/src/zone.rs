//! Which names stand for one time zone.
//!
//! The rows are facts of Rails' ActiveSupport (MIT) and of the IANA database. They come from the same
//! files as the gateway's, so that no validation contradicts a wrong row: see "Shared tables" in
//! `docs/VALIDATION.md`.

use std::sync::LazyLock;

/// `(Rails name, IANA id)`, in the order of the table.
static ROWS: LazyLock<Vec<(&str, &str)>> =
    LazyLock::new(|| rows(include_str!("../../domain/data/rails_time_zones.tsv")));

/// Other spellings of ids in the table.
static ALIASES: LazyLock<Vec<(&str, &str)>> =
    LazyLock::new(|| rows(include_str!("../../domain/data/zone_aliases.tsv")));

/// The rows of a data file with two columns.
pub(crate) fn rows(table: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('\t')).collect()
}

/// The id of a zone by any of its names. An unknown name is its own id.
pub fn id(zone: &str) -> &str {
    if let Some((_, id)) = ROWS.iter().find(|(name, _)| *name == zone) {
        return id;
    }
    ALIASES.iter().find(|(alias, _)| *alias == zone).map_or(zone, |(_, id)| id)
}

/// Whether the table has a zone with this name or id.
pub fn is_known(zone: &str) -> bool {
    let id = id(zone);
    ROWS.iter().any(|(_, known)| *known == id)
}

/// All names of a zone: its Rails names, then its id.
pub(crate) fn all_names(zone: &str) -> Vec<&str> {
    let id = id(zone);
    let names = ROWS.iter().filter(|(_, known)| *known == id).map(|(name, _)| *name);
    names.chain([id]).collect()
}

/// How many Rails names a zone has.
pub fn names(zone: &str) -> usize {
    let id = id(zone);
    ROWS.iter().filter(|(_, known)| *known == id).count()
}

/// The Rails name of a zone. Of several names it is the city in the id. A Rails name is its own name.
/// `None` where Rails has no name for the zone.
pub fn rails_name(zone: &str) -> Option<&str> {
    if let Some((name, _)) = ROWS.iter().find(|(name, _)| *name == zone) {
        return Some(name);
    }
    let id = id(zone);
    let mut names = ROWS.iter().filter(|(_, known)| *known == id).map(|(name, _)| *name);
    let first = names.next()?;
    let city = match id.rsplit('/').next().unwrap_or(id) {
        "Midway" => "Midway Island".to_owned(),
        city => city.replace('_', " "),
    };
    if first == city { Some(first) } else { names.find(|name| **name == city).or(Some(first)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_zone_have_one_id() {
        for (zone, name) in [
            ("Europe/Istanbul", Some("Istanbul")),
            ("Asia/Istanbul", Some("Istanbul")),
            ("Europe/London", Some("London")),
            ("Pacific/Midway", Some("Midway Island")),
            ("America/New_York", Some("Eastern Time (US & Canada)")),
            ("Edinburgh", Some("Edinburgh")),
            ("Antarctica/Troll", None),
        ] {
            assert_eq!(rails_name(zone), name, "{zone}");
        }
        assert_eq!(id("Edinburgh"), id("London"));
        assert!(is_known("US/Eastern") && !is_known("Antarctica/Troll"));
    }
}
