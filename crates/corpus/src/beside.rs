//! Documented legacy paths that only read and that Tieline does not translate. A recording keeps control's answers to
//! them, so that their columns are known when the legacy API is gone. It must never hold a path that does something,
//! such as sending a text message.
//!
//! Source: the vendor's legacy pages on call records, balance, numbers and WhatsApp templates.

use crate::ask::{Ask, KeyPlace, Written};

#[derive(Debug)]
pub struct Beside {
    pub path: &'static str,
    /// Where the pages put the key.
    key: KeyPlace,
    /// Parameters that keep the answer short.
    query: &'static [(&'static str, &'static str)],
    /// Whether it takes the key of the contact center only, and no user's.
    pub(crate) center_key: bool,
}

/// One that takes a user's key in the query.
const OF_USER: Beside = Beside { path: "", key: KeyPlace::Query, query: &[], center_key: false };

pub static BESIDE: [Beside; 8] = [
    Beside { path: "/api/v2/cdr", query: &[("page", "1"), ("per_page", "10")], ..OF_USER },
    Beside { path: "/api/v2/cdr/agents", ..OF_USER },
    Beside { path: "/api/v2/cdr/queues", ..OF_USER },
    Beside { path: "/api/v2/cdr/wrapup_codes", ..OF_USER },
    Beside { path: "/api/v2/cdr/campaigns", ..OF_USER },
    Beside { path: "/api/v1/{key}/balance", key: KeyPlace::Path, center_key: true, ..OF_USER },
    Beside { path: "/api/numbers/v1/numbers", key: KeyPlace::Bearer, center_key: true, ..OF_USER },
    Beside { path: "/api/v3/messages/whatsapp/templates", center_key: true, ..OF_USER },
];

impl Beside {
    pub fn at(path: &str) -> Option<&'static Beside> {
        BESIDE.iter().find(|one| one.path == path)
    }

    pub fn has_key_in_path(&self) -> bool {
        self.key == KeyPlace::Path
    }

    pub fn ask(&self) -> Ask {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let query = self.query.iter().map(owned).collect();
        Ask { path: self.path.to_owned(), query, key: self.key, written: Written::Plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    #[test]
    fn no_path_of_the_list_does_something_or_is_compared() {
        for Beside { path, .. } in &BESIDE {
            let last = path.rsplit('/').next().unwrap();
            for effect in ["sendsms", "click2call", "whatsapp", "contacts", "operation", "messages"]
            {
                assert_ne!(last, effect, "{path}");
            }
            assert!(Endpoint::at(path).is_none(), "{path}");
        }
    }
}
