//! The codings in which answers can be compressed.

use serde::{Deserialize, Deserializer, de::Error};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Br,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Every one.
    pub const ALL: [Coding; 3] = [Coding::Gzip, Coding::Br, Coding::Zstd];

    /// Its name in headers and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Br => "br",
            Coding::Zstd => "zstd",
        }
    }
}

/// Reads a list that names each coding once: which of two places would count?
pub(crate) fn each_once<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<Coding>, D::Error> {
    let codings = Vec::<Coding>::deserialize(de)?;
    let is_again = |(place, coding)| codings.iter().take(place).any(|before| before == coding);
    match codings.iter().enumerate().any(is_again) {
        true => Err(D::Error::custom("names a coding twice")),
        false => Ok(codings),
    }
}
