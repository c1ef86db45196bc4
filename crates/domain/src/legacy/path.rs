//! Other spellings of a legacy path that the legacy API answered to. A base URL that ends in a slash makes
//! `//api/..`. Must never undo an escape that changes where a path leads, nor change a case.

/// No spelling that a client has a reason for is longer.
const PATH_BYTES_MAX: usize = 256;

/// The plain spelling of a path: single slashes, none at the end, no `.json`, no escapes of characters that
/// need none. `None` where it is plain already, or too long to be a legacy path.
pub(super) fn forgiven(path: &str) -> Option<String> {
    let is_plain = !path.contains('%')
        && !path.contains("//")
        && !path.ends_with('/')
        && !path.ends_with(".json");
    if is_plain || path.len() > PATH_BYTES_MAX {
        return None;
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        let escaped = rest.get(..3).filter(|_| next == '%').and_then(unreserved);
        rest = rest.get(if escaped.is_some() { 3 } else { next.len_utf8() }..)?;
        let next = escaped.unwrap_or(next);
        if next != '/' || !plain.ends_with('/') {
            plain.push(next);
        }
    }
    let bare = plain.strip_suffix('/').unwrap_or(&plain);
    let bare = bare.strip_suffix(".json").unwrap_or(bare);
    Some(bare.to_owned())
}

/// The unreserved character (RFC 3986, 2.3) that an escape such as `%5F` stands for.
fn unreserved(escape: &str) -> Option<char> {
    let digits = escape.strip_prefix('%').filter(|digits| !digits.starts_with('+'))?;
    let byte = char::from(u8::from_str_radix(digits, 16).ok()?);
    (byte.is_ascii_alphanumeric() || "-._~".contains(byte)).then_some(byte)
}

#[cfg(test)]
mod tests {
    use crate::legacy::endpoint_at;

    fn name(path: &str) -> Option<&'static str> {
        endpoint_at(path).map(|endpoint| endpoint.name())
    }

    #[test]
    fn a_legacy_path_has_several_spellings() {
        for path in [
            "/api/v2/cdr/teams",
            "//api/v2/cdr/teams",
            "/api//v2///cdr/teams",
            "/api/v2/cdr/teams/",
            "/api/v2/cdr/teams//",
            "/api/v2/cdr/teams.json",
            "/api/v2/cdr/teams.json/",
            "/api/v2/cdr/%74eams",
            "/api/v2/cdr/teams%2Ejson",
        ] {
            assert_eq!(name(path), Some("v2_cdr_teams"), "{path}");
        }
        assert_eq!(name("/user%5Fmanagement/v1/users"), Some("v1_users"));
        assert_eq!(name("/user%5fmanagement/v1/users/"), Some("v1_users"));
    }

    #[test]
    fn every_other_path_is_another_one() {
        let long = format!("{}api/v2/cdr/teams", "/".repeat(300));
        for path in [
            "/API/v2/cdr/teams",
            "/api/v2/cdr/%54eams",
            "/api/v2/cdr/teams.JSON",
            "/api/v2/cdr/teams.json.json",
            "/api/v2/cdr/teams.xml",
            "/api/v2/cdr%2Fteams",
            "/api/v2/cdr/teams%2F",
            "/api/v2/cdr/./teams",
            "/api/v2/cdr/x/../teams",
            "/api/v2/cdr/%2E/teams",
            "/api/v2/cdr/%2574eams",
            "/api/v2/cdr/teams;x",
            "/api/v2/cdr/teams%00",
            "/api/v2/cdr/teams%",
            "/api/v2/cdr/teams%7",
            "/api/v2/cdr/%+4eams",
            "/api/v2/cdr/%\u{e9}teams",
            "/api/v2/cdr/teams/3",
            "/",
            "//",
            "",
            &long,
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }
}
