//! Writes a JSON text again with pseudonyms, value by value, without building a tree. The order of members
//! and repeated members stay, white space goes. It must never let a value of a person through.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Pseudonyms;
use super::fields::{Document, Rule, is_word, rule};

#[derive(Clone, Copy)]
struct At<'a> {
    document: Document,
    parent: &'a str,
    field: &'a str,
}

struct Scrub<'a> {
    pseudonyms: &'a Pseudonyms,
    at: At<'a>,
    out: &'a mut Vec<u8>,
}

/// The JSON text with every value of a person replaced. The error contains a position and no text.
pub(super) fn scrub(
    pseudonyms: &Pseudonyms,
    document: Document,
    json: &[u8],
) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(json.len());
    let mut de = serde_json::Deserializer::from_slice(json);
    let at = At { document, parent: "", field: "" };
    Scrub { pseudonyms, at, out: &mut out }.deserialize(&mut de)?;
    de.end()?;
    Ok(out)
}

impl Scrub<'_> {
    fn rule(&self) -> Rule {
        if self.pseudonyms.keeps(self.at.field) {
            return Rule::Keep;
        }
        rule(self.at.document, self.at.parent, self.at.field)
    }

    fn write(&mut self, text: &str) {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(&mut *self.out, text);
    }
}

/// Whether a number has too few digits before and behind its point to identify a person.
fn is_short(number: f64) -> bool {
    let text = number.abs().to_string();
    text.bytes().filter(u8::is_ascii_digit).count() < super::DIGITS_MIN
}

impl<'de> DeserializeSeed<'de> for Scrub<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scrub<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let is_long = value >= 10_u64.pow(super::DIGITS_MIN as u32 - 1);
        let value = match self.rule() {
            Rule::Keep => value,
            Rule::Name | Rule::Sentence | Rule::Unknown if !is_long => value,
            _ => self.pseudonyms.number(value),
        };
        self.out.extend_from_slice(value.to_string().as_bytes());
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        let sign: &[u8] = if value < 0 { b"-" } else { b"" };
        self.out.extend_from_slice(sign);
        self.visit_u64(value.unsigned_abs())
    }

    /// A fraction, a number with an exponent, or a whole number beyond 64 bits.
    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let is_kept = match self.rule() {
            Rule::Keep => true,
            Rule::Name | Rule::Sentence | Rule::Unknown => is_short(value),
            Rule::Replace => false,
        };
        if is_kept {
            return serde_json::to_writer(self.out, &value).map_err(E::custom);
        }
        let sign = if value.is_sign_negative() { "-" } else { "" };
        self.out.extend_from_slice(sign.as_bytes());
        self.out.extend_from_slice(self.pseudonyms.fraction(value).as_bytes());
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        let pseudonyms = self.pseudonyms;
        match self.rule() {
            Rule::Keep => self.write(value),
            Rule::Name => self.write(&pseudonyms.name(value)),
            Rule::Sentence if pseudonyms.kept_sentences.contains(value) => self.write(value),
            Rule::Replace | Rule::Sentence | Rule::Unknown => self.write(&pseudonyms.text(value)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Scrub { pseudonyms, at, out } = self;
        out.push(b'[');
        let start = out.len();
        loop {
            let comma = out.len();
            if comma > start {
                out.push(b',');
            }
            if seq.next_element_seed(Scrub { pseudonyms, at, out: &mut *out })?.is_none() {
                out.truncate(comma);
                break;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Scrub { pseudonyms, at, out } = self;
        out.push(b'{');
        let mut is_first = true;
        while let Some(name) = map.next_key::<String>()? {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            let shown = if is_word(&name) { name.clone() } else { pseudonyms.text(&name) };
            serde_json::to_writer(&mut *out, &shown).map_err(A::Error::custom)?;
            out.push(b':');
            let at = At { parent: at.field, field: &name, ..at };
            map.next_value_seed(Scrub { pseudonyms, at, out: &mut *out })?;
        }
        out.push(b'}');
        Ok(())
    }
}
