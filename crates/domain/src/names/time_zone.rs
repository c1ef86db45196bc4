//! Time zones: IANA ids (v4) and Rails names (legacy, "Istanbul"), by the Rails table.
//!
//! 151 names stand for 134 zones, so 14 zones have several names. Each has one documented
//! preference, the name of the city in its IANA id (`Europe/London` is "London", not "Edinburgh"),
//! which configuration can override. A zone without a Rails name is never renamed to a neighbour.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../data/rails_time_zones.tsv");

/// Other spellings of zones, each with the id that stands for all of them: the links of the IANA database, from
/// the data file that names its version.
static ALIASES: LazyLock<Table> =
    LazyLock::new(|| rows(include_str!("../../data/zone_aliases.tsv")).collect());

struct Zones {
    iana_of_name: Table,
    name_of_iana: Table,
}

/// A table that is asked for every user. No stranger's text is ever put into it.
type Table = HashMap<&'static str, &'static str, BuildHasherDefault<Quick>>;

/// A hash for tables that never change, which nobody can fill with names that collide.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

static ZONES: LazyLock<Zones> = LazyLock::new(|| {
    let mut zones = Zones { iana_of_name: Table::default(), name_of_iana: Table::default() };
    for (name, iana) in rows(TABLE) {
        zones.iana_of_name.insert(name, iana);
        if name == city(iana) || !zones.name_of_iana.contains_key(iana) {
            zones.name_of_iana.insert(iana, name);
        }
    }
    for (alias, iana) in ALIASES.iter() {
        if let Some(name) = zones.name_of_iana.get(iana).copied() {
            zones.name_of_iana.insert(alias, name);
        }
    }
    zones
});

/// The rows of a data file with two columns.
pub(crate) fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

/// The city of an IANA id as Rails spells it: `America/Mexico_City` is "Mexico City". Rails calls
/// `Pacific/Midway` "Midway Island", the only id whose city it spells differently.
fn city(iana: &str) -> String {
    let city = iana.rsplit('/').next().unwrap_or(iana).replace('_', " ");
    if city == "Midway" { "Midway Island".to_owned() } else { city }
}

/// The legacy name of a zone: from `own` (IANA id to name), else the Rails name; `None` for a zone
/// that has none. A Rails name stands for itself.
pub fn legacy_name<'a>(zone: &'a str, own: &'a BTreeMap<String, String>) -> Option<&'a str> {
    if let Some(name) = own.get(zone) {
        return Some(name);
    }
    if let Some(name) = ZONES.name_of_iana.get(zone) {
        return Some(name);
    }
    ZONES.iana_of_name.contains_key(zone).then_some(zone)
}

/// One spelling per zone: any Rails name, IANA id or alias becomes the table's IANA id, so that two
/// spellings of one zone compare equal. Anything unknown stands for itself.
pub fn canonical(zone: &str) -> &str {
    if let Some(iana) = ZONES.iana_of_name.get(zone) {
        return iana;
    }
    ALIASES.get(zone).copied().unwrap_or(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(rows(TABLE).count(), 151);
        let zones: std::collections::BTreeSet<_> = rows(TABLE).map(|(_, iana)| iana).collect();
        assert_eq!(zones.len(), 134);
        for (alias, iana) in ALIASES.iter() {
            assert!(!ALIASES.contains_key(iana), "{alias} leads to {iana}, which leads on");
            assert!(!zones.contains(alias), "{alias} stands in the table itself");
        }
    }

    #[test]
    fn ambiguous_zones_have_one_documented_preference_each() {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, iana) in rows(TABLE) {
            names.entry(iana).or_default().push(name);
        }
        let none = BTreeMap::new();
        let chosen: Vec<_> = names
            .iter()
            .filter(|(_, names)| names.len() > 1)
            .map(|(iana, _)| (*iana, legacy_name(iana, &none).unwrap()))
            .collect();
        let expected = [
            ("America/Lima", "Lima"),
            ("America/Mexico_City", "Mexico City"),
            ("Asia/Bangkok", "Bangkok"),
            ("Asia/Dhaka", "Dhaka"),
            ("Asia/Karachi", "Karachi"),
            ("Asia/Kolkata", "Kolkata"),
            ("Asia/Muscat", "Muscat"),
            ("Asia/Tokyo", "Tokyo"),
            ("Australia/Melbourne", "Melbourne"),
            ("Europe/London", "London"),
            ("Europe/Moscow", "Moscow"),
            ("Europe/Zurich", "Zurich"),
            ("Pacific/Auckland", "Auckland"),
            ("Pacific/Midway", "Midway Island"),
        ];
        assert_eq!(chosen, expected);
    }

    #[test]
    fn names_ids_and_aliases_of_one_zone_are_one_zone() {
        assert_eq!(canonical("Istanbul"), "Europe/Istanbul");
        assert_eq!(canonical("Edinburgh"), canonical("London"));
        assert_eq!(canonical("Europe/Kyiv"), canonical("Europe/Kiev"));
        assert_eq!(canonical("Mars/Olympus"), "Mars/Olympus");
    }

    #[test]
    fn every_link_of_the_iana_database_finds_its_zone_and_never_a_neighbour() {
        let none = BTreeMap::new();
        for (link, zone, name) in [
            ("Turkey", "Europe/Istanbul", Some("Istanbul")),
            ("GB", "Europe/London", Some("London")),
            ("GB-Eire", "Europe/London", Some("London")),
            ("Europe/Belfast", "Europe/London", Some("London")),
            ("Japan", "Asia/Tokyo", Some("Tokyo")),
            ("Asia/Tel_Aviv", "Asia/Jerusalem", Some("Jerusalem")),
            ("Israel", "Asia/Jerusalem", Some("Jerusalem")),
            ("PRC", "Asia/Shanghai", Some("Beijing")),
            ("Asia/Chungking", "Asia/Chongqing", Some("Chongqing")),
            ("ROK", "Asia/Seoul", Some("Seoul")),
            ("Singapore", "Asia/Singapore", Some("Singapore")),
            ("Eire", "Europe/Dublin", Some("Dublin")),
            ("NZ", "Pacific/Auckland", Some("Auckland")),
            ("W-SU", "Europe/Moscow", Some("Moscow")),
            ("Canada/Atlantic", "America/Halifax", Some("Atlantic Time (Canada)")),
            ("EST5EDT", "America/New_York", Some("Eastern Time (US & Canada)")),
            ("US/Alaska", "America/Juneau", Some("Alaska")),
            ("America/Nuuk", "America/Godthab", Some("Greenland")),
            ("Europe/Kyiv", "Europe/Kiev", Some("Kyiv")),
            ("UCT", "Etc/UTC", Some("UTC")),
            ("Greenwich", "Etc/UTC", Some("UTC")),
            // Rails has no name for these, and the spellings are still one zone.
            ("Asia/Saigon", "Asia/Ho_Chi_Minh", None),
            ("Cuba", "America/Havana", None),
        ] {
            assert_eq!(canonical(link), zone, "{link}");
            assert_eq!(legacy_name(link, &none), name, "{link}");
        }
        // Places whose clocks merely agree are links in that database, too.
        for place in ["Europe/Stockholm", "Africa/Lome", "Asia/Kuwait", "Asia/Muscat", "Asia/Aden"]
        {
            assert_eq!(canonical(place), place);
        }
        assert!(ALIASES.len() > 140, "{}", ALIASES.len());
    }

    #[test]
    fn every_rails_name_leads_to_its_zone_and_back_to_a_name_of_it() {
        let none = BTreeMap::new();
        for (name, iana) in rows(TABLE) {
            assert_eq!(canonical(name), iana);
            assert_eq!(canonical(legacy_name(iana, &none).unwrap()), iana);
        }
        assert_eq!(legacy_name("Europe/Kyiv", &none), Some("Kyiv"));
        assert_eq!(legacy_name("Africa/Lome", &none), None);
        let own = BTreeMap::from([("Europe/London".to_owned(), "Edinburgh".to_owned())]);
        assert_eq!(legacy_name("Europe/London", &own), Some("Edinburgh"));
    }
}
