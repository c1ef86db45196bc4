//! Names that no dictionary has, kept as they occur, so that an operator can be shown what to add. Must never keep a text
//! that may be a person's: only what is spelled as an id of a zone or as a word for a kind of channel, and a bounded
//! number of either.

use std::sync::OnceLock;

/// The most names of each sort. An operator adds these and sees whether others follow.
pub const NAMES_MAX: usize = 50;

/// The longest id of the IANA database has 32 bytes.
const ZONE_BYTES_MAX: usize = 40;
/// No known kind of channel has half as many.
const KIND_BYTES_MAX: usize = 32;

/// The parts of the world that the IANA database sorts its ids by, among them those of its old spellings.
const AREAS: [&str; 15] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
];

/// See the module.
#[derive(Debug, Default)]
pub struct Unmapped {
    zones: Names,
    kinds: Names,
}

impl Unmapped {
    /// Notes the id of a time zone without a legacy name.
    pub fn note_zone(&self, zone: &str) {
        self.zones.note(zone, is_zone);
    }

    /// Notes a kind of channels without a legacy type.
    pub fn note_kind(&self, kind: &str) {
        self.kinds.note(kind, is_kind);
    }

    /// The ids of time zones that occurred, in the order of the alphabet.
    pub fn zones(&self) -> Vec<&str> {
        self.zones.all()
    }

    /// The kinds of channels that occurred, in the order of the alphabet.
    pub fn kinds(&self) -> Vec<&str> {
        self.kinds.all()
    }
}

/// Names in the order in which they came. Reading it takes no lock, since every row of a list may ask.
#[derive(Debug)]
struct Names([OnceLock<Box<str>>; NAMES_MAX]);

impl Default for Names {
    fn default() -> Self {
        Names(std::array::from_fn(|_| OnceLock::new()))
    }
}

impl Names {
    fn note(&self, name: &str, is_one: fn(&str) -> bool) {
        for place in &self.0 {
            match place.get() {
                Some(known) if **known == *name => return,
                Some(_) => {}
                None if !is_one(name) => return,
                // Another thread may have been faster, perhaps with the same name.
                None if **place.get_or_init(|| name.into()) == *name => return,
                None => {}
            }
        }
    }

    fn all(&self) -> Vec<&str> {
        let mut all: Vec<&str> =
            self.0.iter().map_while(OnceLock::get).map(|name| &**name).collect();
        all.sort_unstable();
        all
    }
}

/// Whether a text is spelled as an id of the IANA database: an area, and one or two places in it.
fn is_zone(text: &str) -> bool {
    let mut parts = text.split('/');
    let is_place = |part: &str| {
        let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
        part.starts_with(|c: char| c.is_ascii_uppercase()) && part.bytes().all(is_of_id)
    };
    text.len() <= ZONE_BYTES_MAX
        && parts.next().is_some_and(|area| AREAS.contains(&area))
        && (1..=2).contains(&parts.clone().count())
        && parts.all(is_place)
}

/// Whether a text is spelled as a kind of channels: one word without a blank.
fn is_kind(text: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    text.len() <= KIND_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(is_of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_spelled_as_a_zone_or_a_kind_is_kept() {
        let unmapped = Unmapped::default();
        for zone in [
            "Africa/Lome",
            "Antarctica/Troll",
            "America/North_Dakota/New_Salem",
            "Etc/GMT+5",
            "Africa/Lome",
            "",
            "Anna Maria",
            "Anna/Maria",
            "Europe",
            "Europe/",
            "Europe/anna@mail.example",
            "Europe/Anna\"",
            "Europe/a/b/c",
            "Europe/Londonlondonlondonlondonlondonlondon",
        ] {
            unmapped.note_zone(zone);
        }
        assert_eq!(
            unmapped.zones(),
            ["Africa/Lome", "America/North_Dakota/New_Salem", "Antarctica/Troll", "Etc/GMT+5"]
        );
        for kind in [
            "rcs",
            "apple_business",
            "WhatsApp",
            "rcs",
            "",
            "anna maria",
            "49170",
            "a\"b",
            "é",
            "a@b",
        ] {
            unmapped.note_kind(kind);
        }
        assert_eq!(unmapped.kinds(), ["WhatsApp", "apple_business", "rcs"]);
    }

    #[test]
    fn no_more_than_the_bound_are_kept() {
        let unmapped = Unmapped::default();
        for number in 0..3 * NAMES_MAX {
            unmapped.note_kind(&format!("kind_{}", number / 2));
        }
        let kinds = unmapped.kinds();
        assert_eq!(kinds.len(), NAMES_MAX);
        assert!(kinds.contains(&"kind_0") && !kinds.contains(&"kind_50"), "{kinds:?}");
    }
}
