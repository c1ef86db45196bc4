//! An operator's own table of names. Must never guess: what is not in it has no name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Words and the name of each. It is small and asked for every record, so it is looked through from its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Dictionary(Vec<(String, String)>);

impl Dictionary {
    /// The name of a word.
    ///
    /// ```
    /// use domain::text::dictionary::Dictionary;
    /// use std::collections::BTreeMap;
    ///
    /// let own = BTreeMap::from([("chat".to_owned(), "Live chat".to_owned())]);
    /// let own = Dictionary::from(own);
    /// assert_eq!(own.get("chat"), Some("Live chat"));
    /// assert_eq!(own.get("Chat"), None);
    /// ```
    pub fn get(&self, word: &str) -> Option<&str> {
        let is_it = |known: &str| {
            known.len() == word.len()
                && known.as_bytes().first() == word.as_bytes().first()
                && known == word
        };
        self.0.iter().find(|(known, _)| is_it(known)).map(|(_, name)| name.as_str())
    }
}

impl From<BTreeMap<String, String>> for Dictionary {
    fn from(names: BTreeMap<String, String>) -> Self {
        Dictionary(names.into_iter().collect())
    }
}

impl From<Dictionary> for BTreeMap<String, String> {
    fn from(names: Dictionary) -> Self {
        names.0.into_iter().collect()
    }
}
