//! Other spellings of a legacy path that the legacy API answered to. A base URL that ends in a slash makes
//! `//api/..`. Must never undo an escape that changes where a path leads, nor change a case.

/// No spelling that a client has a reason for is longer.
const PATH_BYTES_MAX: usize = 256;

/// The plain spelling of a path: single slashes, none at the end, no `.json`, no escapes of characters that
/// need none. `None` where it is plain already, or too long to be a legacy path.
pub(super) fn forgiven(path: &str) -> Option<String> {
    if is_plain(path) || path.len() > PATH_BYTES_MAX {
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

/// Every request comes by here, so all pairs of bytes are looked at together, without a branch for each.
pub(super) fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let odd =
        |(first, second): (&u8, &u8)| (*second == b'%') | ((*first == b'/') & (*second == b'/'));
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    let has_odd = pairs.fold(false, |found, pair| found | odd(pair));
    !has_odd && !path.starts_with('%') && !path.ends_with('/') && !path.ends_with(".json")
}

/// The place of a caller's key in a documented path.
pub(super) const KEY: &str = "{key}";

/// Where some paths have a key: behind this, up to the next slash.
const BEFORE_KEY: &str = "/api/v1/";

/// Whether a path in its plain spelling begins as those do that have a key in them.
pub(super) fn may_have_key(path: &str) -> bool {
    path.starts_with(BEFORE_KEY)
}

/// Whether a path in its plain spelling is a documented one, whatever the key in it is.
pub(super) fn is_path(documented: &str, path: &str) -> bool {
    if documented == path {
        return true;
    }
    let behind_key = |path| str::split_once(str::strip_prefix(path, BEFORE_KEY)?, '/');
    match (behind_key(documented), behind_key(path)) {
        (Some((KEY, behind)), Some((key, rest))) => !key.is_empty() && behind == rest,
        _ => false,
    }
}

/// The segment of a path where a key stands if one does, with its escapes undone: what stands behind
/// `/api/v1/` and before another slash.
pub fn key_place(path: &str) -> Option<String> {
    if !may_have_key(path) && is_plain(path) {
        return None;
    }
    let plain = forgiven(path);
    let rest = plain.as_deref().unwrap_or(path).strip_prefix(BEFORE_KEY)?;
    let (key, _) = rest.split_once('/').filter(|(key, _)| !key.is_empty())?;
    Some(unescaped(key))
}

/// A segment with every escape undone, as a server reads one. Bytes that are no UTF-8 are no key's.
pub(super) fn unescaped(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = behind.get(..2).filter(|_| *first == b'%').and_then(byte);
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that two hexadecimal digits spell.
fn byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u8::from_str_radix(digits, 16).ok()
}

/// The unreserved character (RFC 3986, 2.3) that an escape such as `%5F` stands for.
fn unreserved(escape: &str) -> Option<char> {
    let byte = char::from(byte(escape.strip_prefix('%')?.as_bytes())?);
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
    fn a_key_stands_behind_v1_and_before_another_slash() {
        for (path, key) in [
            ("/api/v1/k3y/balance", Some("k3y")),
            ("/api/v1/k3y/", None),
            ("/api/v1/k3y", None),
            ("/api/v1//k3y/balance", Some("k3y")),
            ("//api/v1/k3y/a/b.json", Some("k3y")),
            ("/%61pi/v1/k%2f+%3D%33y/x", Some("k/+=3y")),
            ("/api/v1/k%zzy%/x", Some("k%zzy%")),
            ("/api/v2/k3y/balance", None),
            ("/API/v1/k3y/balance", None),
            ("/x/api/v1/k3y/balance", None),
            ("", None),
        ] {
            assert_eq!(super::key_place(path).as_deref(), key, "{path}");
        }
        let documented = "/api/v1/{key}/balance";
        for (path, is_it) in [
            ("/api/v1/k3y/balance", true),
            ("/api/v1/{key}/balance", true),
            ("/api/v1//balance", false),
            ("/api/v1/balance", false),
            ("/api/v1/k3y/balance/x", false),
            ("/api/v1/k3y/x/balance", false),
        ] {
            assert_eq!(super::is_path(documented, path), is_it, "{path}");
        }
        assert!(!super::is_path("/api/v1/x/balance", "/api/v1/k3y/balance"));
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
