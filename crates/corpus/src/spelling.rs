//! Spellings of a legacy path that some clients use. It must never know more of them than a validation asks.

/// Other spellings of a path that clients use, and the special point of each. The page's one is
/// [`plain_path`] of each.
pub fn spellings(path: &str) -> [(&'static str, String); 4] {
    [
        ("slash before", format!("/{path}")),
        ("slash behind", format!("{path}/")),
        ("json behind", format!("{path}.json")),
        ("escape", path.replace('s', ESCAPED)),
    ]
}

/// The letter `s`, which needs no escape.
const ESCAPED: &str = "%73";

/// A path as the pages print it.
pub fn plain_path(path: &str) -> String {
    let path = path.replace(ESCAPED, "s").replace("//", "/");
    let path = path.strip_suffix('/').unwrap_or(&path);
    path.strip_suffix(".json").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{ENDPOINTS, Endpoint};

    #[test]
    fn every_spelling_of_a_path_is_of_its_endpoint() {
        for endpoint in &ENDPOINTS {
            for (name, path) in spellings(endpoint.path) {
                assert_ne!(path, endpoint.path, "{name}");
                assert_eq!(plain_path(&path), endpoint.path, "{name}");
                assert_eq!(Endpoint::at(&path).unwrap().name, endpoint.name, "{name}");
            }
        }
    }
}
