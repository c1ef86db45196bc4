//! Words for whether an agent can take a call just now.
//!
//! Source: the vendor's page of `GET /api/v1/{key}/agents_status` lists the seven words. Of v4's words only
//! `available` is documented, in a sample; that the others are the same is not confirmed.

use std::borrow::Cow;

use crate::quirks::{Quirks, StatusStyle, UnknownStatus};

/// The documented words, in the page's order.
const KNOWN: [&str; 7] =
    ["offline", "available", "unavailable", "inbound", "outbound", "dialer", "postcall"];

/// How a word is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    /// By the dictionary.
    Known(Cow<'a, str>),
    /// The dictionary lacks it.
    Unknown(Option<Cow<'a, str>>),
}

/// The legacy word for an upstream's: the operator's own as it is written, else a documented one in the
/// wanted style.
pub(crate) fn shown<'a>(word: &'a str, quirks: &'a Quirks) -> Shown<'a> {
    if let Some(own) = quirks.statuses.get(word) {
        return Shown::Known(Cow::Borrowed(own));
    }
    let lower = match word.chars().any(char::is_uppercase) {
        true => Cow::Owned(word.to_lowercase()),
        false => Cow::Borrowed(word),
    };
    let styled = match quirks.style {
        StatusStyle::Lower => lower.clone(),
        StatusStyle::Title => Cow::Owned(title(&lower)),
    };
    match (KNOWN.contains(&&*lower), quirks.unknown_status) {
        (true, _) => Shown::Known(styled),
        (false, UnknownStatus::Pass) => Shown::Unknown(Some(styled)),
        (false, UnknownStatus::Null) => Shown::Unknown(None),
    }
}

/// The first letter as a capital.
fn title(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_operators_or_documented_or_passes_in_lower_case() {
        let mut quirks = Quirks::default();
        let known = |word: &'static str| Shown::Known(Cow::Borrowed(word));
        let unknown = |word: &'static str| Shown::Unknown(Some(Cow::Borrowed(word)));
        assert_eq!(shown("available", &quirks), known("available"));
        assert_eq!(shown("PostCall", &quirks), known("postcall"));
        assert_eq!(shown("On Break", &quirks), unknown("on break"));
        assert_eq!(shown("", &quirks), unknown(""));
        quirks.style = StatusStyle::Title;
        quirks.statuses.insert("offline".to_owned(), "logout".to_owned());
        assert_eq!(shown("available", &quirks), known("Available"));
        assert_eq!(shown("offline", &quirks), known("logout"));
        assert_eq!(shown("on break", &quirks), unknown("On break"));
        assert_eq!(shown("\u{e9}t\u{e9}", &quirks), unknown("\u{c9}t\u{e9}"));
        quirks.unknown_status = UnknownStatus::Null;
        assert_eq!(shown("on break", &quirks), Shown::Unknown(None));
    }
}
