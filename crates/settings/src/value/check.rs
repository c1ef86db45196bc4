//! Readers of single values that refuse values out of range, for `#[serde(deserialize_with)]`.
//!
//! A refusal says what is allowed and never shows the value.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use super::unit::{A_SIZE, Bytes, Size, Span};

/// More of anything is most likely a mistake.
const COUNT_MAX: usize = 1_000_000;

/// Any duration.
pub(crate) fn time<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    Ok(Span::deserialize(de)?.0)
}

/// A duration that is not zero.
pub(crate) fn positive<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    match time(de)? {
        Duration::ZERO => Err(D::Error::custom("must be more than 0s")),
        time => Ok(time),
    }
}

/// Any size, as the number type that the section uses.
pub(crate) fn size<'de, D, N>(de: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<usize>,
{
    let bytes = Size::deserialize(de)?.0;
    N::try_from(bytes).map_err(|_| D::Error::custom(format_args!("must be {A_SIZE}")))
}

/// A size that may be left out.
pub(crate) fn some_size<'de, D, N>(de: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<usize>,
{
    size(de).map(Some)
}

/// A size between two limits, as the number type that the section uses.
pub(crate) fn size_within<'de, const LEAST: usize, const MOST: usize, D, N>(
    de: D,
) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<usize>,
{
    let bytes = Size::deserialize(de)?.0;
    let fit = N::try_from(bytes).ok().filter(|_| (LEAST..=MOST).contains(&bytes));
    fit.ok_or_else(|| D::Error::custom(format_args!("must be {} to {}", Bytes(LEAST), Bytes(MOST))))
}

/// The same, which may be left out.
pub(crate) fn some_size_within<'de, const LEAST: usize, const MOST: usize, D, N>(
    de: D,
) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<usize>,
{
    size_within::<LEAST, MOST, _, _>(de).map(Some)
}

/// A number of things, at least one, as the number type that the section uses.
pub(crate) fn count<'de, D, N>(de: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Copy + TryInto<usize>,
{
    let number = N::deserialize(de)?;
    match number.try_into() {
        Ok(0) => Err(D::Error::custom("must be at least 1")),
        Ok(1..=COUNT_MAX) => Ok(number),
        _ => Err(D::Error::custom(format_args!("must be at most {COUNT_MAX}"))),
    }
}

/// A number of things that may be left out.
pub(crate) fn some_count<'de, D: Deserializer<'de>>(de: D) -> Result<Option<usize>, D::Error> {
    count(de).map(Some)
}

/// A number of things from one to a limit.
pub(crate) fn count_to<'de, const MOST: usize, D>(de: D) -> Result<usize, D::Error>
where
    D: Deserializer<'de>,
{
    let number = usize::deserialize(de)?;
    match (1..=MOST).contains(&number) {
        true => Ok(number),
        false => Err(D::Error::custom(format_args!("must be 1 to {MOST}"))),
    }
}

/// How many may wait; none is a number of its own.
pub(crate) fn queue<'de, D: Deserializer<'de>>(de: D) -> Result<usize, D::Error> {
    match usize::deserialize(de)? {
        number @ 0..=COUNT_MAX => Ok(number),
        _ => Err(D::Error::custom(format_args!("must be at most {COUNT_MAX}"))),
    }
}

/// The same, which may be left out.
pub(crate) fn some_queue<'de, D: Deserializer<'de>>(de: D) -> Result<Option<usize>, D::Error> {
    queue(de).map(Some)
}

/// A part of all, from none to the whole.
pub(crate) fn share<'de, D: Deserializer<'de>>(de: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(de)?;
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(D::Error::custom("must be a number from 0 to 1")),
    }
}
