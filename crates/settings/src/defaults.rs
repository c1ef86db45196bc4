//! The table of all settings that have a default. Must never hold a required setting.

/// The defaults by table, as docs/CONFIGURATION.md has them: a value, or words in brackets where the value is
/// worked out at the start. Behind a bar stands the default of a dialect that has a mapping, if it
/// is another one.
pub(crate) const DEFAULTS: &str = include_str!("../data/defaults.txt");
