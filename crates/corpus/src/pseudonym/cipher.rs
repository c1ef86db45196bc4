//! Turns a text into another of the same shape under a key: a Feistel network over the places of the
//! text, each with an alphabet of its own.
//!
//! Every round adds to one half of the places a number that depends on the key, the shape and the other
//! half. So the texts of one shape are permuted: two texts never become one, nothing has to be
//! remembered, and the order of the texts does not matter.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::alphabet::Place;

type HmacSha256 = Hmac<Sha256>;

/// Enough rounds for every place to depend on every other one several times.
const ROUNDS: u8 = 8;

/// The signs that people write between the digits of a number.
const IN_NUMBERS: &[char] = &['+', '-', '(', ')', '.', '/', ' '];

/// The permutation under one key.
#[derive(Clone)]
pub(super) struct Cipher(HmacSha256);

impl Cipher {
    pub(super) fn new(key: &[u8]) -> Cipher {
        // HMAC takes a key of any length.
        let mac = HmacSha256::new_from_slice(key);
        Cipher(mac.unwrap_or_else(|_| HmacSha256::new(&hmac::digest::Key::<HmacSha256>::default())))
    }

    /// Another text of the same shape. White space around the text stays and changes nothing.
    pub(super) fn text(&self, text: &str) -> String {
        let core = text.trim();
        let start = text.len() - text.trim_start().len();
        let mut out = String::with_capacity(text.len());
        out.push_str(&text[..start]);
        match is_number(core) {
            true => self.number(core, &mut out),
            false => self.words(core, &mut out),
        }
        out.push_str(&text[start + core.len()..]);
        out
    }

    /// Only the digits of a number count, with any grouping, with or without `+`.
    fn number(&self, text: &str, out: &mut String) {
        let digits = text.chars().filter(char::is_ascii_digit);
        let mut places = digit_places(digits);
        self.permute(b"number", &mut places);
        let mut places = places.iter().map(|(place, index)| place.character(*index));
        out.extend(text.chars().map(|c| match c.is_ascii_digit() {
            true => places.next().unwrap_or(c),
            false => c,
        }));
    }

    fn words(&self, text: &str, out: &mut String) {
        let mut places = Vec::with_capacity(text.len());
        let mut run = String::new();
        for c in text.chars() {
            if c.is_ascii_digit() {
                run.push(c);
                continue;
            }
            places.extend(digit_places(run.drain(..)));
            let place = Place::of(c);
            let index = place.index();
            places.push((place, index));
        }
        places.extend(digit_places(run.drain(..)));
        self.permute(b"words", &mut places);
        out.extend(places.iter().map(|(place, index)| place.character(*index)));
    }

    fn permute(&self, kind: &[u8], places: &mut [(Place, u32)]) {
        let mut shaped = self.0.clone();
        shaped.update(kind);
        for (place, _) in places.iter() {
            shaped.update(&place.shape().to_le_bytes());
        }
        let free: Vec<usize> = (0..places.len()).filter(|k| places[*k].0.radix() > 1).collect();
        for round in 0..ROUNDS {
            let changed = usize::from(round % 2);
            let mut keyed = shaped.clone();
            keyed.update(&[0xFF, round]);
            for k in free.iter().skip(1 - changed).step_by(2) {
                keyed.update(&places[*k].1.to_le_bytes());
            }
            let mut noise = Noise { keyed, block: 0, left: Vec::new() };
            for k in free.iter().skip(changed).step_by(2) {
                let (place, index) = &mut places[*k];
                // No alphabet has more than 128 letters, so 16 bits are almost uniform.
                *index = (*index + u32::from(noise.next())) % place.radix();
            }
        }
    }
}

/// An endless sequence of numbers from one key.
struct Noise {
    keyed: HmacSha256,
    block: u32,
    left: Vec<u16>,
}

impl Noise {
    fn next(&mut self) -> u16 {
        if let Some(number) = self.left.pop() {
            return number;
        }
        let mut keyed = self.keyed.clone();
        keyed.update(&self.block.to_le_bytes());
        self.block += 1;
        let bytes = keyed.finalize().into_bytes();
        let numbers = bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]]));
        self.left = numbers.collect();
        self.left.pop().unwrap_or_default()
    }
}

/// The places of digits: leading zeros stay, and the digit after them never becomes zero.
fn digit_places(digits: impl Iterator<Item = char>) -> Vec<(Place, u32)> {
    let mut is_first = true;
    let place = |c: char| {
        let digit = c.to_digit(10).unwrap_or_default();
        let place = match (is_first, digit) {
            (true, 0) => Place::Fixed('0'),
            (true, _) => Place::First(digit - 1),
            (false, _) => Place::Digit(digit),
        };
        is_first &= digit == 0;
        let index = place.index();
        (place, index)
    };
    digits.map(place).collect()
}

fn is_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || IN_NUMBERS.contains(&c))
}
