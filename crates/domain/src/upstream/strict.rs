//! Strict readers for upstream JSON, on top of serde.
//!
//! Without a tree, serde_json silently accepts a repeated key (the last wins), and lone surrogates or
//! bottomless nesting inside unread fields. The [`object!`] macro and [`Skip`] refuse them. Strings
//! are borrowed from the page unless they hold an escape.
//!
//! A vendor whose own samples repeat a key is read by an object `or_again`: the key may stand there
//! more than once, as long as it says the same.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Custom errors begin with one of these words, so that failures can be told apart without printing
/// serde's message, which quotes the page.
pub(super) const DUPLICATE: &str = "duplicate key";
pub(super) const TOO_DEEP: &str = "too deep";
pub(super) const BAD_ID: &str = "bad id";
pub(super) const TOO_LARGE: &str = "too large";

/// The longest text that a field may have, in bytes.
pub const FIELD_BYTES_MAX: usize = 1 << 20;

/// The text, unless it is too long for any field.
pub(super) fn bounded<E: de::Error>(text: &str) -> Result<&str, E> {
    if text.len() > FIELD_BYTES_MAX { Err(E::custom(TOO_LARGE)) } else { Ok(text) }
}

/// Nesting allowed inside an unread value. Known objects are at most 4 deep, so 32 in all.
const SKIP_DEPTH_MAX: u8 = 28;

/// A string, borrowed if the page allows it. (`Option<Cow<str>>` always copies: serde-rs/json#587.)
#[derive(Debug, PartialEq)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                bounded(text).map(|text| Str(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Str<'de>, E> {
                bounded(text).map(|text| Str(Cow::Owned(text.to_owned())))
            }
        }
        de.deserialize_str(StrVisitor)
    }
}

/// An unread value: checked like any other, then dropped.
#[derive(Debug)]
pub(super) struct Skip;

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de::DeserializeSeed::deserialize(SkipBelow(SKIP_DEPTH_MAX), de)
    }
}

struct SkipBelow(u8);

impl SkipBelow {
    fn deeper<E: de::Error>(&self) -> Result<SkipBelow, E> {
        self.0.checked_sub(1).map(SkipBelow).ok_or_else(|| E::custom(TOO_DEEP))
    }
}

impl<'de> de::DeserializeSeed<'de> for SkipBelow {
    type Value = Skip;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Skip, D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SkipBelow {
    type Value = Skip;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Skip, E> {
        Ok(Skip)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Skip, E> {
        bounded(text).map(|_| Skip)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Skip, A::Error> {
        while seq.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(Skip)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skip, A::Error> {
        while map.next_key::<Str<'de>>()?.is_some() {
            map.next_value_seed(self.deeper()?)?;
        }
        Ok(Skip)
    }
}

/// The value of a field whose key is absent: `None` where the documentation allows null, an error
/// everywhere else.
pub(super) trait Missing: Sized {
    fn missing<E: de::Error>(key: &'static str) -> Result<Self, E> {
        Err(E::missing_field(key))
    }
}

impl<T> Missing for Option<T> {
    fn missing<E: de::Error>(_: &'static str) -> Result<Self, E> {
        Ok(None)
    }
}

impl<T> Missing for Vec<T> {}
impl Missing for Str<'_> {}

/// Declares a type read from a scalar by the given visitor methods; anything else is refused.
macro_rules! scalar {
    ($name:ident $(<$life:lifetime>)?, $what:literal, { $($method:item)* }) => {
        impl<'de $(: $life, $life)?> serde::Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                struct ScalarVisitor;
                impl<'de> serde::de::Visitor<'de> for ScalarVisitor {
                    type Value = scalar!(@value $name 'de $($life)?);
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($what)
                    }
                    $($method)*
                }
                de.deserialize_any(ScalarVisitor)
            }
        }
        impl $(<$life>)? Missing for $name $(<$life>)? {
            fn missing<E: serde::de::Error>(key: &'static str) -> Result<Self, E> {
                let is_bad_id = $what == $crate::upstream::strict::BAD_ID;
                Err(if is_bad_id { E::custom($what) } else { E::missing_field(key) })
            }
        }
    };
    (@value $name:ident $de:lifetime $life:lifetime) => { $name<$de> };
    (@value $name:ident $de:lifetime) => { $name };
}
pub(super) use scalar;

/// Declares a struct read from a JSON object: every listed key at most once, all others skipped.
/// With `or_again` a key may stand there again if it has the same value.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident<'a> or_again { $($fields:tt)* }) => {
        object! { @or_again true, $(#[$doc])* $name<'a> { $($fields)* } }
    };
    ($(#[$doc:meta])* $name:ident<'a> { $($fields:tt)* }) => {
        object! { @or_again false, $(#[$doc])* $name<'a> { $($fields)* } }
    };
    (@or_again $or_again:literal, $(#[$doc:meta])* $name:ident<'a> {
        $($field:ident: $ty:ty = $key:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, PartialEq)]
        struct $name<'a> {
            $($field: $ty,)*
        }

        impl $name<'_> {
            /// The keys that are read.
            const KEYS: &'static [&'static str] = &[$($key),*];
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                struct ObjectVisitor<'a>(std::marker::PhantomData<&'a ()>);
                impl<'de: 'a, 'a> serde::de::Visitor<'de> for ObjectVisitor<'a> {
                    type Value = $name<'a>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name<'a>, A::Error> {
                        $(let mut $field: Option<$ty> = None;)*
                        while let Some(key) = map.next_key::<Str<'de>>()? {
                            match &*key.0 {
                                $($key => {
                                    let value: $ty = map.next_value()?;
                                    if $field.as_ref().is_some_and(|before| {
                                        !$or_again || *before != value
                                    }) {
                                        return Err(serde::de::Error::custom(DUPLICATE));
                                    }
                                    $field = Some(value);
                                })*
                                _ => {
                                    map.next_value::<Skip>()?;
                                }
                            }
                        }
                        Ok($name {
                            $($field: match $field {
                                Some(value) => value,
                                None => <$ty as Missing>::missing($key)?,
                            },)*
                        })
                    }
                }
                de.deserialize_map(ObjectVisitor(std::marker::PhantomData))
            }
        }
    };
}
pub(super) use object;
