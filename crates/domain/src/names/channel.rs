//! Digital channels: upstream slugs to legacy display names, identifiers to numbers.

use std::sync::LazyLock;

use crate::names::time_zone::rows;
use crate::text::dictionary::Dictionary;

/// Display names known from the v1 documentation's samples (`WhatsApp`, `Webchat`, `Viber`), and the
/// usual spelling of the other networks. Configuration extends and overrides this table.
pub static DISPLAY_NAMES: LazyLock<Vec<(&str, &str)>> =
    LazyLock::new(|| rows(include_str!("../../data/channel_names.tsv")).collect());

/// The legacy display name of a slug, or `None` where no dictionary has it.
pub fn display_name<'a>(slug: &str, own: &'a Dictionary) -> Option<&'a str> {
    own.get(slug).or_else(|| {
        let (_, name) = DISPLAY_NAMES.iter().find(|(known, _)| *known == slug)?;
        Some(*name)
    })
}

/// The legacy `value`: E.164 digits as a JSON number (v1 documentation: "without the initial '+'").
///
/// One leading `+` is dropped; digits that do not start with 0, at most 18 of them, are the number's
/// own spelling. Anything else (a handle, an address, nothing) has no number.
pub fn number(identifier: &str) -> Option<&str> {
    let digits = identifier.strip_prefix('+').unwrap_or(identifier);
    let is_number = (1..=18).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(digits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn identifiers_become_numbers_only_when_they_are_numbers() {
        let cases = [
            ("18885658889", Some("18885658889")),
            ("+18885658889", Some("18885658889")),
            ("++1888", None),
            ("0123", None),
            ("@bot", None),
            ("", None),
            ("1 888", None),
            ("1234567890123456789", None),
        ];
        for (identifier, expected) in cases {
            assert_eq!(number(identifier), expected, "{identifier:?}");
        }
    }

    #[test]
    fn configuration_overrides_the_dictionary() {
        let own = BTreeMap::from([("chat".to_owned(), "Live chat".to_owned())]);
        let own = Dictionary::from(own);
        assert_eq!(display_name("chat", &own), Some("Live chat"));
        assert_eq!(display_name("whatsapp", &own), Some("WhatsApp"));
        assert_eq!(display_name("pigeon", &own), None);
    }
}
