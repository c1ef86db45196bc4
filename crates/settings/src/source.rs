//! What a configuration was read from, to tell later where each value comes from. Must never hold a variable
//! that is no override: keys are in some.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// See the module.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) text: Arc<str>,
    /// The file's name in errors.
    pub(crate) name: Arc<str>,
    /// Where relative paths begin.
    pub(crate) folder: PathBuf,
    /// The file, where it is one.
    pub(crate) file: Option<PathBuf>,
    /// Variables that were laid over the text, and their values.
    pub(crate) overrides: Vec<(String, String)>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
