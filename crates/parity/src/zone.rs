//! Time zones: which names stand for one zone. The table is the one of Rails' ActiveSupport (MIT).

use std::sync::LazyLock;

const TABLE: &str = include_str!("../data/rails_time_zones.tsv");

/// `(Rails name, IANA id)`, in the order of the table.
static ROWS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|l| l.split_once('\t')).collect()
});

/// Other spellings of ids in the table: links of the IANA database.
const LINKS: &[(&str, &str)] = &[
    ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
    ("America/Fort_Wayne", "America/Indiana/Indianapolis"),
    ("America/Indianapolis", "America/Indiana/Indianapolis"),
    ("America/Nuuk", "America/Godthab"),
    ("Asia/Calcutta", "Asia/Kolkata"),
    ("Asia/Dacca", "Asia/Dhaka"),
    ("Asia/Istanbul", "Europe/Istanbul"),
    ("Asia/Katmandu", "Asia/Kathmandu"),
    ("Asia/Yangon", "Asia/Rangoon"),
    ("Etc/GMT", "Etc/UTC"),
    ("Etc/Universal", "Etc/UTC"),
    ("Etc/Zulu", "Etc/UTC"),
    ("Europe/Kyiv", "Europe/Kiev"),
    ("GMT", "Etc/UTC"),
    ("Pacific/Samoa", "Pacific/Pago_Pago"),
    ("US/Alaska", "America/Juneau"),
    ("US/Arizona", "America/Phoenix"),
    ("US/Central", "America/Chicago"),
    ("US/Eastern", "America/New_York"),
    ("US/Hawaii", "Pacific/Honolulu"),
    ("US/Mountain", "America/Denver"),
    ("US/Pacific", "America/Los_Angeles"),
    ("Zulu", "Etc/UTC"),
];

/// The id of a zone, by any of its names; an unknown name stands for itself.
pub fn id(zone: &str) -> &str {
    if let Some((_, id)) = ROWS.iter().find(|(name, _)| *name == zone) {
        return id;
    }
    LINKS.iter().find(|(link, _)| *link == zone).map_or(zone, |(_, id)| id)
}

/// Whether the table has a zone under this name or id.
pub fn is_known(zone: &str) -> bool {
    let id = id(zone);
    ROWS.iter().any(|(_, known)| *known == id)
}

/// How many Rails names a zone has.
pub fn names(zone: &str) -> usize {
    let id = id(zone);
    ROWS.iter().filter(|(_, known)| *known == id).count()
}

/// The Rails name of a zone: of several, the one that is the city of the id. `None` where Rails has
/// no name for it; a Rails name stands for itself.
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
    fn names_of_one_zone_meet_in_its_id() {
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
