//! Why a configuration is refused: one line for each mistake, without any value.

use std::fmt;

use crate::excerpt::Spot;

/// A configuration that cannot be used: a line `FILE:LINE: field: what is wrong` for each mistake that was found.
/// [`ConfigError::with_lines`] tells more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub(crate) place: String,
    /// Empty where no field is meant: the file itself cannot be read.
    pub(crate) field: String,
    pub(crate) what: String,
    /// Where the field stands in the file; a variable comes behind all of it.
    pub(crate) offset: usize,
    /// Where it stands, if it stands in the file, and the place that it contradicts.
    pub(crate) spots: Box<[Spot]>,
    /// The further mistakes, which have none of their own.
    pub(crate) more: Vec<ConfigError>,
}

impl ConfigError {
    /// A mistake that has no place within a file.
    pub(crate) fn without_place(place: &str, field: &str, what: impl Into<String>) -> ConfigError {
        ConfigError {
            place: place.to_owned(),
            field: field.to_owned(),
            what: what.into(),
            offset: 0,
            spots: Box::default(),
            more: Vec::new(),
        }
    }

    /// For people: `FILE:LINE:COL: field: what is wrong` for each mistake, its line and a caret under the place, and
    /// below that the earlier place that it contradicts, if there is one. Values that may be secrets are blank.
    pub fn with_lines(&self) -> String {
        let mut text = String::new();
        let file = self.place.rsplit_once(':').map_or("", |(file, _)| file);
        for (number, spot) in self.spots.iter().enumerate() {
            match number {
                0 => text.push_str(&format!("{file}:{}: {}", spot.place(), self.told())),
                _ => text.push_str(&format!("\n{file}:{}: the first is here", spot.place())),
            }
            text.push_str(&spot.lines());
        }
        if self.spots.is_empty() {
            text = format!("{}: {}", self.place, self.told());
        }
        for further in &self.more {
            text.push('\n');
            text.push_str(&further.with_lines());
        }
        text
    }

    fn told(&self) -> String {
        match self.field.as_str() {
            "" => self.what.clone(),
            field => format!("{field}: {}", self.what),
        }
    }

    /// What is wrong with a file as a whole.
    pub(crate) fn of_file(name: &str, what: String) -> ConfigError {
        ConfigError::without_place(name, "", what)
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
        write!(f, "{}: {}", self.place, self.told())?;
        self.more.iter().try_for_each(|further| write!(f, "\n{further}"))
    }
}
