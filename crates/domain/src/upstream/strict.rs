//! Strict readers for upstream JSON: every key that is read stands there once, every value is of its kind,
//! and unread values are checked like any other. Strings are borrowed from the page unless they hold an
//! escape.
//!
//! A vendor whose own samples repeat a key is read by an object `or_again`: the key may stand there
//! more than once, as long as it says the same.

use std::borrow::Cow;

use super::SchemaKind;
use super::scan::{Fault, Quick, Scan};

/// Nesting allowed inside an unread value. Known objects are at most 4 deep, so 32 in all.
const SKIP_DEPTH_MAX: u8 = 28;

/// Most lists of a user have no more members.
const FEW: usize = 4;

/// What can be read from a page.
pub(super) trait Read<'de>: Sized {
    /// The keys that are read, of an object.
    const KEYS: &'static [&'static str] = &[];
    /// Those that are known and not read.
    const UNREAD: &'static [&'static str] = &[];

    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault>;

    /// The same by a quick way, which may give up anywhere.
    #[inline]
    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        quick.strictly(Self::read)
    }

    /// The value of a field whose key is absent: `None` where the documentation allows null, a fault
    /// everywhere else.
    fn absent(key: &'static str) -> Result<Self, Fault> {
        Err(Fault::new(SchemaKind::BadSchema).under(key))
    }
}

/// A value that is JSON, but not one that may stand here.
pub(super) fn unfit<T>() -> Result<T, Fault> {
    Err(Fault::new(SchemaKind::BadSchema))
}

/// A string.
#[derive(Debug, PartialEq)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl<'de> Read<'de> for Str<'de> {
    #[inline]
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        scan.string().map(Str)
    }

    #[inline(always)]
    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        quick.string().map(Str)
    }
}

impl<'de, T: Read<'de>> Read<'de> for Option<T> {
    #[inline]
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        if scan.null()? { Ok(None) } else { T::read(scan).map(Some) }
    }

    #[inline(always)]
    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        if quick.null() { Some(None) } else { T::quick(quick).map(Some) }
    }

    fn absent(_: &'static str) -> Result<Self, Fault> {
        Ok(None)
    }
}

impl<'de, T: Read<'de>> Read<'de> for Vec<T> {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        let mut rows = Vec::new();
        scan.list(|scan| {
            let row = T::read(scan)?;
            if rows.capacity() == 0 {
                rows.reserve_exact(FEW);
            }
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        let mut rows = Vec::new();
        *quick = refill(&mut rows, *quick)?;
        Some(rows)
    }
}

/// Reads a list by its quick way, into the memory of another that nobody needs any more; and what follows.
#[inline(never)]
pub(super) fn refill<'de, T: Read<'de>>(
    rows: &mut Vec<T>,
    mut quick: Quick<'de>,
) -> Option<Quick<'de>> {
    rows.clear();
    quick.list(|quick| {
        let row = T::quick(quick)?;
        if rows.capacity() == 0 {
            rows.reserve_exact(FEW);
        }
        rows.push(row);
        Some(())
    })?;
    Some(quick)
}

/// Goes over an unread value, which is checked like any other.
pub(super) fn skip(scan: &mut Scan<'_>) -> Result<(), Fault> {
    skip_below(scan, SKIP_DEPTH_MAX)
}

fn skip_below(scan: &mut Scan<'_>, depth: u8) -> Result<(), Fault> {
    let deeper = |scan: &mut Scan<'_>| match depth.checked_sub(1) {
        Some(depth) => skip_below(scan, depth),
        None => Err(scan.bad()),
    };
    match scan.next()? {
        b'{' => scan.object(|_| (), |scan, ()| deeper(scan)),
        b'[' => scan.list(deeper),
        _ => scan.skip_scalar(),
    }
}

/// Declares a struct read from a JSON object: every listed key at most once, all others skipped.
/// With `or_again` a key may stand there again if it has the same value. `-` marks a key that is known
/// and skipped. A vendor that sends keys in the order of this list is read fastest.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident<'a> or_again { $($fields:tt)* }) => {
        object! { @or_again true, $(#[$doc])* $name<'a> { $($fields)* } }
    };
    ($(#[$doc:meta])* $name:ident<'a> { $($fields:tt)* }) => {
        object! { @or_again false, $(#[$doc])* $name<'a> { $($fields)* } }
    };
    (@or_again $or_again:literal, $(#[$doc:meta])* $name:ident<'a> {
        $($(- $skipped:literal,)* $field:ident: $ty:ty = $key:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, PartialEq)]
        struct $name<'a> {
            $($field: $ty,)*
        }

        impl<'a> Read<'a> for $name<'a> {
            const KEYS: &'static [&'static str] = &[$($key),*];
            const UNREAD: &'static [&'static str] = &[$($($skipped,)*)*];

            fn read(scan: &mut Scan<'a>) -> Result<Self, Fault> {
                match scan.quickly(Self::quick) {
                    Some(object) => Ok(object),
                    None => Self::read_strictly(scan),
                }
            }

            #[inline(always)]
            #[allow(unused_assignments, reason = "nothing follows the last key")]
            fn quick(quick: &mut $crate::upstream::scan::Quick<'a>) -> Option<Self> {
                let mut is_first = true;
                $(
                    $(
                        quick.takes(match std::mem::take(&mut is_first) {
                            true => concat!("{\"", $skipped, "\":"),
                            false => concat!(",\"", $skipped, "\":"),
                        })?;
                        quick.skip()?;
                    )*
                    quick.takes(match std::mem::take(&mut is_first) {
                        true => concat!("{\"", $key, "\":"),
                        false => concat!(",\"", $key, "\":"),
                    })?;
                    let $field = <$ty as Read>::quick(quick)?;
                )*
                quick.takes("}")?;
                Some($name { $($field,)* })
            }
        }

        impl<'a> $name<'a> {
            /// Any object that is one of these, whatever the order of its keys.
            #[inline(never)]
            fn read_strictly(scan: &mut Scan<'a>) -> Result<Self, Fault> {
                #[allow(non_camel_case_types, reason = "named as the fields are")]
                #[derive(Clone, Copy)]
                enum Field { $($field,)* Unread }
                $(let mut $field: Option<$ty> = None;)*
                let unread = |scan: &mut Scan<'a>| {
                    $crate::upstream::strict::skip(scan).map_err(Fault::unread)
                };
                // Keys that come as they are expected, which are most, ...
                let mut before = scan.begin_object()?;
                $(
                    $(if scan.takes_key(before, concat!("\"", $skipped, "\":")) {
                        unread(scan)?;
                        before = scan.takes_comma();
                    })*
                    if scan.takes_key(before, concat!("\"", $key, "\":")) {
                        let value = <$ty as Read>::read(scan).map_err(|fault| fault.under($key))?;
                        $field = Some(value);
                        before = scan.takes_comma();
                    }
                )*
                // ... and those that are left.
                scan.members(
                    before,
                    |key| match key {
                        $($key => Field::$field,)*
                        _ => Field::Unread,
                    },
                    |scan, key| {
                        match key {
                            $(Field::$field => {
                                let value = <$ty as Read>::read(scan)
                                    .map_err(|fault| fault.under($key))?;
                                if $field.as_ref().is_some_and(|before| {
                                    !$or_again || *before != value
                                }) {
                                    return Err(scan.bad());
                                }
                                $field = Some(value);
                            })*
                            Field::Unread => unread(scan)?,
                        }
                        Ok(())
                    },
                )?;
                Ok($name {
                    $($field: match $field {
                        Some(value) => value,
                        None => <$ty as Read>::absent($key)?,
                    },)*
                })
            }
        }
    };
}
pub(super) use object;
