//! Documented paths of the legacy API that no endpoint here answers: what an operator has to know of before the
//! legacy API is switched off. A closed list, so that its entries may stand in metrics and logs. Must never give
//! out a part of a path as the name of one.

use super::path;

/// The vendor's documented legacy paths without an endpoint here. `{key}` stands for the key that some have in their
/// path, `{id}` for any other name of one thing.
///
/// Source: the vendor's legacy pages on call records, balance, text messages, numbers,
/// conversations, WhatsApp, contacts and campaigns.
pub const UNTRANSLATED: [&str; 14] = [
    "/api/v2/cdr",
    "/api/v2/cdr/agents",
    "/api/v2/cdr/queues",
    "/api/v2/cdr/wrapup_codes",
    "/api/v2/cdr/campaigns",
    "/api/v1/{key}/balance",
    "/api/v1/{key}/sendsms",
    "/api/v1/{key}/campaigns/{id}/contacts",
    "/api/numbers/v1/numbers",
    "/api/conversation/v1/conversations/{id}/messages",
    "/api/v3/messages/whatsapp",
    "/api/v3/messages/whatsapp/templates",
    "/api/dialer/v1/campaigns/{id}/operation",
    "/api/dialer/v1/campaigns/{id}/agents",
];

/// The first two segments that they and the endpoints have. Most other paths are told apart by them.
pub const FAMILIES: [&str; 6] =
    ["/api/v1", "/api/v2", "/api/v3", "/api/numbers", "/api/conversation", "/api/dialer"];

/// A path of the list, as a request asks for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Untranslated {
    /// Its place in [`UNTRANSLATED`].
    pub place: usize,
    /// The key in it, with its escapes undone; a secret.
    pub key: Option<String>,
}

impl std::fmt::Debug for Untranslated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Untranslated").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The documented legacy path that a path is, in any of the spellings that [`super::endpoint_at`] forgives.
pub fn untranslated_at(path: &str) -> Option<Untranslated> {
    // The plain spelling, if the path has another one: a key in it is found by its plain spelling, too.
    path::forgiven(path).map_or_else(|| exact(path), |plain| exact(&plain))
}

/// Whether a path is none of the vendor's, in any spelling: neither a documented one nor one with a key in it. The
/// least work that tells it; `false` where more must be looked at.
pub fn is_foreign(path: &str) -> bool {
    path::is_plain(path) && !is_of_a_family(path)
}

fn is_of_a_family(path: &str) -> bool {
    path.starts_with("/api/") && FAMILIES.iter().any(|family| path.starts_with(family))
}

fn exact(path: &str) -> Option<Untranslated> {
    if !is_of_a_family(path) {
        return None;
    }
    let found = |(place, documented): (usize, &&str)| {
        let mut key = None::<&str>;
        let (mut segments, mut expected) = (path.split('/'), documented.split('/'));
        loop {
            match (segments.next(), expected.next()) {
                (None, None) => return Some(Untranslated { place, key: key.map(path::unescaped) }),
                (Some(""), Some("{key}" | "{id}")) => return None,
                (Some(segment), Some("{key}")) => key = Some(segment),
                (Some(_), Some("{id}")) => {}
                (Some(segment), Some(expected)) if segment == expected => {}
                _ => return None,
            }
        }
    };
    UNTRANSLATED.iter().enumerate().find_map(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::ENDPOINTS;

    fn found(path: &str) -> Option<(&'static str, Option<String>)> {
        untranslated_at(path).map(|found| (UNTRANSLATED[found.place], found.key))
    }

    #[test]
    fn a_documented_path_is_known_by_its_name_and_hands_out_its_key_apart() {
        let key = || Some("k3y".to_owned());
        for (path, name, key) in [
            ("/api/v2/cdr", "/api/v2/cdr", None),
            ("//api/v2/cdr/", "/api/v2/cdr", None),
            ("/api/v2/cdr/wrapup_codes", "/api/v2/cdr/wrapup_codes", None),
            ("/api/v1/k3y/sendsms", "/api/v1/{key}/sendsms", key()),
            ("/api/v1/k3y/sendsms.json", "/api/v1/{key}/sendsms", key()),
            ("/api/v1/k%33y/balance", "/api/v1/{key}/balance", key()),
            ("/api/v1/k%2F+y/balance", "/api/v1/{key}/balance", Some("k/+y".to_owned())),
            ("/%61pi/v1/k3y/balance", "/api/v1/{key}/balance", key()),
            ("/api/v1/k3y/campaigns/7/contacts", "/api/v1/{key}/campaigns/{id}/contacts", key()),
            (
                "/api/conversation/v1/conversations/a-b/messages",
                "/api/conversation/v1/conversations/{id}/messages",
                None,
            ),
        ] {
            assert_eq!(found(path), Some((name, key)), "{path}");
            assert!(!is_foreign(path), "{path}");
            assert!(!format!("{:?}", untranslated_at(path)).contains("k3y"), "{path}");
        }
        for other in [
            "/",
            "/api/v2/cdrs",
            "/api/v2/cdr/x",
            "/api/v1/sendsms",
            "/api/v1//sendsms",
            "/api/v1/k3y/sendsms/x",
            "/API/v2/cdr",
            "/api/v4/users",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_foreign_path_is_no_documented_one_and_has_no_key_in_it() {
        for (path, foreign) in [
            ("/api/v4/users", true),
            ("/x/api/v1/k3y/balance", true),
            ("/api/v4/users/", false),
            ("//api/v4/users", false),
            ("/%61pi/v1/k3y/x", false),
            ("/api/v1/k3y/x", false),
            ("/api/v2", false),
        ] {
            assert_eq!(is_foreign(path), foreign, "{path}");
            assert!(!foreign || (found(path).is_none() && path::key_place(path).is_none()));
        }
    }

    #[test]
    fn every_path_of_the_list_is_found_by_its_name() {
        for path in UNTRANSLATED {
            assert_eq!(found(path).map(|(name, _)| name), Some(path));
        }
    }

    #[test]
    fn no_path_of_the_list_has_an_endpoint() {
        for path in ENDPOINTS.iter().flat_map(|endpoint| endpoint.paths()) {
            assert_eq!(found(path), None, "{path} is translated now: take it off the list");
        }
    }
}
