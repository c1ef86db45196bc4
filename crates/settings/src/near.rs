//! The nearest of several names to one that is not among them: "did you mean ..?". Must never repeat the name that
//! was typed.

/// The nearest to a word of some names, if one is near.
pub(crate) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness =
        |name: &str| strsim::jaro_winkler(&word.to_ascii_lowercase(), &name.to_ascii_lowercase());
    names
        .filter(|name| likeness(name) > 0.8)
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}

/// The question to put behind a mistake, with a comma in front; nothing where no name is near.
pub(crate) fn question<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(word, names).map_or(String::new(), |name| format!(", did you mean {name}?"))
}
