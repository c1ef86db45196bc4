//! The characters that may replace a character. A replacement has the same case, the same length in
//! UTF-8 and roughly the same script. It must never come from another alphabet: this keeps the
//! replacement reversible, so that two texts never become one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// The character stays: a separator, a sign, or one of the few letters without a simple pair of
    /// cases (`İ`, `ẞ`, `ς`).
    Fixed(char),
    /// A decimal digit that must not become 0.
    First(u32),
    /// A decimal digit.
    Digit(u32),
    /// A letter: its place in its alphabet, and whether it is a capital.
    Letter { alphabet: Arc<Alphabet>, index: u32, is_upper: bool },
}

/// Characters that may replace one another.
#[derive(Debug, PartialEq)]
pub(super) struct Alphabet {
    /// A number that no other alphabet has.
    name: u32,
    letters: Vec<char>,
}

/// An alphabet comes from a window of this many code points. The length in UTF-8 is the same within one.
const WINDOW: u32 = 128;

impl Place {
    /// The place of a character. The caller decides between the two kinds of digits.
    pub(super) fn of(c: char) -> Place {
        let Some((lower, is_upper)) = folded(c) else { return Place::Fixed(c) };
        let alphabet = alphabet(lower);
        match alphabet.letters.binary_search(&lower) {
            Ok(index) => Place::Letter { index: index as u32, alphabet, is_upper },
            Err(_) => Place::Fixed(c),
        }
    }

    /// How many characters are possible here; 1 where the character stays.
    pub(super) fn radix(&self) -> u32 {
        match self {
            Place::Fixed(_) => 1,
            Place::First(_) => 9,
            Place::Digit(_) => 10,
            Place::Letter { alphabet, .. } => alphabet.letters.len() as u32,
        }
    }

    /// The number of the character among the possible ones, from 0.
    pub(super) fn index(&self) -> u32 {
        match self {
            Place::Fixed(_) => 0,
            Place::First(index) | Place::Digit(index) | Place::Letter { index, .. } => *index,
        }
    }

    /// The possible character with this number.
    pub(super) fn character(&self, index: u32) -> char {
        match self {
            Place::Fixed(c) => *c,
            Place::First(_) => char::from_digit(index + 1, 10).unwrap_or('1'),
            Place::Digit(_) => char::from_digit(index, 10).unwrap_or('0'),
            Place::Letter { alphabet, is_upper, .. } => {
                let lower = alphabet.letters.get(index as usize).copied().unwrap_or('x');
                if *is_upper { only(lower.to_uppercase()).unwrap_or(lower) } else { lower }
            }
        }
    }

    /// A number for everything about the place except the character and its case.
    pub(super) fn shape(&self) -> u32 {
        match self {
            Place::Fixed(c) => u32::from(*c),
            Place::First(_) => 0x0100_0001,
            Place::Digit(_) => 0x0100_0002,
            Place::Letter { alphabet, .. } => alphabet.name,
        }
    }
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// The capital of a letter, if the two are a pair: each is the other's case, and both have one length.
fn capital(lower: char) -> Option<char> {
    let upper = only(lower.to_uppercase())?;
    let is_pair = upper != lower
        && only(upper.to_lowercase()) == Some(lower)
        && upper.len_utf8() == lower.len_utf8()
        // Its lower case is another letter at the end of a word.
        && lower != 'σ';
    is_pair.then_some(upper)
}

/// A letter or number in lower case, and whether it was a capital; `None` for a character that stays.
fn folded(c: char) -> Option<(char, bool)> {
    if !c.is_alphanumeric() || matches!(c, 'Σ' | 'σ' | 'ς') {
        return None;
    }
    let lower = only(c.to_lowercase())?;
    if lower == c {
        // A capital without a small letter stays, since no other would be one; but for the letters of
        // mathematics, in which some people write their names.
        return (!c.is_uppercase() || c.len_utf8() == 4).then_some((c, false));
    }
    (capital(lower) == Some(c)).then_some((lower, true))
}

fn alphabet(lower: char) -> Arc<Alphabet> {
    type Known = Mutex<HashMap<u32, Arc<Alphabet>>>;
    static KNOWN: LazyLock<Known> = LazyLock::new(Mutex::default);
    let window = u32::from(lower) / WINDOW;
    let is_cased = capital(lower).is_some();
    let name = 0x0200_0000 | window << 1 | u32::from(is_cased);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = known.entry(name).or_insert_with(|| {
        let all = (window * WINDOW..(window + 1) * WINDOW).filter_map(char::from_u32);
        let letters = all.filter(|c| {
            folded(*c) == Some((*c, false))
                && capital(*c).is_some() == is_cased
                && !c.is_ascii_digit()
        });
        Arc::new(Alphabet { name, letters: letters.collect() })
    });
    Arc::clone(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_among_its_own_replacements() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let place = Place::of(c);
            if c.is_ascii_digit() {
                continue;
            }
            assert_eq!(place.character(place.index()), c, "{c:?}");
            let first = place.character(0);
            assert_eq!(first.len_utf8(), c.len_utf8(), "{c:?} {first:?}");
            assert_eq!(Place::of(first).shape(), place.shape(), "{c:?} {first:?}");
        }
    }

    #[test]
    fn letters_of_people_are_replaced_whatever_their_script() {
        for c in "azAZéÉñøłŁşıßжЖαΩ王小さ한محمدשרה𝒜𠜎".chars() {
            assert!(Place::of(c).radix() > 1, "{c:?}");
        }
        for c in " ,@.'\"\\-+/()🎧\u{0}\u{1b}\u{301}\u{202e}\u{200d}İẞΣςϒ".chars() {
            assert_eq!(Place::of(c), Place::Fixed(c), "{c:?}");
        }
        let radix = |c| Place::of(c).radix();
        assert_eq!((radix('a'), radix('Z')), (26, 26));
    }

    #[test]
    fn case_is_kept_and_folds_back() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32).filter(|c| !c.is_ascii_digit()) {
            let place = Place::of(c);
            if let Place::Letter { is_upper: true, .. } = place {
                for index in [0, place.radix() - 1] {
                    let upper = place.character(index);
                    let lower = only(upper.to_lowercase()).unwrap();
                    let Place::Letter { index: other, is_upper, .. } = Place::of(lower) else {
                        panic!("{c:?} {upper:?}");
                    };
                    assert_eq!((other, is_upper), (index, false), "{c:?} {upper:?}");
                }
            }
        }
    }
}
