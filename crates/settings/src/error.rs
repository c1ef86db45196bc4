//! Why a configuration is refused: one line for each mistake, without any value.

use std::fmt;

/// A configuration that cannot be used: a line `FILE:LINE: field: what is wrong` for each mistake that was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub(crate) place: String,
    /// Empty where no field is meant: the file itself cannot be read.
    pub(crate) field: String,
    pub(crate) what: String,
    /// Where the field stands in the file; a variable comes behind all of it.
    pub(crate) offset: usize,
    /// The further mistakes, which have none of their own.
    pub(crate) more: Vec<ConfigError>,
}

impl ConfigError {
    /// What is wrong with a file as a whole.
    pub(crate) fn of_file(name: &str, what: String) -> ConfigError {
        let place = name.to_owned();
        ConfigError { place, field: String::new(), what, offset: 0, more: Vec::new() }
    }

    /// All mistakes in one, in the order of the file; `None` if there is no mistake.
    pub(crate) fn all(mut mistakes: Vec<ConfigError>) -> Option<ConfigError> {
        mistakes.sort_by_key(|mistake| mistake.offset);
        let mut mistakes = mistakes.into_iter();
        let first = mistakes.next()?;
        Some(ConfigError { more: mistakes.collect(), ..first })
    }

    /// Keeps what was read; a mistake goes to the others.
    pub(crate) fn keep<T>(read: Result<T, ConfigError>, mistakes: &mut Vec<Self>) -> Option<T> {
        read.map_err(|mistake| mistakes.push(mistake)).ok()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError { place, field, what, .. } = self;
        match field.as_str() {
            "" => write!(f, "{place}: {what}")?,
            field => write!(f, "{place}: {field}: {what}")?,
        }
        self.more.iter().try_for_each(|further| write!(f, "\n{further}"))
    }
}
