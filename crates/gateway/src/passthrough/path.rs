//! Which paths may go through: those that every server on the way reads alike. Must never decode a
//! path for sending: what goes through goes through byte by byte.

use std::borrow::Cow;

use domain::legacy::endpoint_at;
use http::Uri;
use settings::EscapedSlashes;
use transport::server::Refusal;

use crate::error::Error;

/// How often escapes are undone to see what a path may become further on.
const ROUNDS_MAX: usize = 4;

/// Whether every server reads the path alike, however it undoes escapes, letter case, parameters and dots: it has
/// none. Most paths are so.
pub(super) fn has_one_reading(path: &str) -> bool {
    let mut before = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let is_after_slash = std::mem::replace(&mut before, byte) == b'/';
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => true,
                byte => byte == b'/' && !is_after_slash,
            }
        })
}

/// The path without its escapes, for finding its route; an error where it could be read as another
/// one, or become a legacy endpoint's. And whether it has [one reading](has_one_reading) as it stands.
pub(super) fn plain(
    uri: &Uri,
    escaped_slashes: EscapedSlashes,
) -> Result<(Cow<'_, str>, bool), Error> {
    let path = uri.path();
    let has_one = has_one_reading(path);
    // Text that is not escaped reads alike everywhere.
    let is_query = |byte: u8| byte.is_ascii_graphic() || !byte.is_ascii();
    let is_good_query = uri.query().unwrap_or_default().bytes().all(is_query);
    if is_good_query && has_one {
        // As it stands: it has neither capitals, parameters nor an ending.
        return if is_legacy(path.trim_end_matches('/')) {
            Err(Error::OddPath)
        } else {
            Ok((Cow::Borrowed(path), true))
        };
    }
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !path.starts_with('/') || path.contains('\\') || !is_visible(path) {
        return Err(Error::OddPath);
    }
    if !is_good_query {
        return Err(Error::Refused(Refusal::BadQuery));
    }
    let decoded = decode(path).filter(|decoded| !is_odd(decoded)).ok_or(Error::OddPath)?;
    // A slash or a backslash that is escaped is one to some and none to others.
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let has_escaped =
        escaped_slashes == EscapedSlashes::Refuse && slashes(&decoded) != slashes(path);
    if has_escaped || decoded.contains('\\') || may_become_legacy(&decoded) {
        return Err(Error::OddPath);
    }
    Ok((decoded, has_one))
}

/// The path as servers read it to whom an escaped slash is part of a segment; `None` without one.
pub(super) fn with_slashes_inside(uri: &Uri) -> Option<String> {
    const INSIDE: &str = "\u{2044}";
    let path = uri.path();
    let has_one = path.contains("%2F") || path.contains("%2f");
    let path = has_one.then(|| path.replace("%2F", INSIDE).replace("%2f", INSIDE))?;
    decode(&path).map(Cow::into_owned)
}

/// How servers further on may read a path whose escapes were undone once: in any case, without the
/// parameters of its segments, and with escapes undone again. In lower case.
pub(super) fn readings(decoded: &str) -> Vec<Cow<'_, str>> {
    let mut found = Vec::new();
    let mut text = Cow::Borrowed(decoded);
    for _ in 0..ROUNDS_MAX {
        let lower = in_lower_case(&text);
        if lower.contains(';') {
            found.push(Cow::Owned(without_parameters(&lower)));
        }
        // Owned where the text is, since that one goes on changing.
        found.push(match (&text, lower) {
            (Cow::Borrowed(text), Cow::Borrowed(_)) => Cow::Borrowed(*text),
            (_, lower) => Cow::Owned(lower.into_owned()),
        });
        match decode(&text) {
            Some(next) if next != text => text = Cow::Owned(next.into_owned()),
            _ => break,
        }
    }
    found
}

fn in_lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// A path without what stands behind a `;` in each of its segments.
fn without_parameters(path: &str) -> String {
    let bare = |segment| str::split(segment, ';').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').map(bare).collect();
    segments.join("/")
}

/// Undoes escapes once; `None` where one is broken or hides a control character.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || (bytes.next()? as char).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        let byte = u8::try_from(high * 16 + low).ok()?;
        if byte.is_ascii_control() {
            return None;
        }
        decoded.push(byte);
    }
    // Text in another encoding has no escapes left that could mislead.
    Some(Cow::Owned(String::from_utf8_lossy(&decoded).into_owned()))
}

/// Dot segments and empty ones, also with a parameter behind them (`/..;x/`).
fn is_odd(decoded: &str) -> bool {
    // Both begin behind a slash, and hardly any path has them.
    if !decoded.as_bytes().windows(2).any(|pair| matches!(pair, b"/." | b"//")) {
        return false;
    }
    let mut segments = decoded.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(';').next().unwrap_or_default();
        let is_last = segments.peek().is_none();
        if matches!(name, "." | "..") || (segment.is_empty() && !is_last) {
            return true;
        }
    }
    false
}

/// Whether some server could take the path for a legacy endpoint's: by undoing escapes once more, by
/// ignoring case, parameters, an extension or a slash at the end.
fn may_become_legacy(decoded: &str) -> bool {
    let mut text = Cow::Borrowed(decoded);
    for _ in 0..ROUNDS_MAX {
        if is_odd(&text) || looks_legacy(&text) {
            return true;
        }
        match decode(&text) {
            Some(next) if next != text => text = Cow::Owned(next.into_owned()),
            _ => return false,
        }
    }
    // Escaped more often than anybody has a reason to.
    true
}

fn looks_legacy(path: &str) -> bool {
    let mut path = in_lower_case(path.trim_end_matches('/'));
    if path.contains(';') {
        path = Cow::Owned(without_parameters(&path));
    }
    let bare = path.rsplit_once('.').map_or(&*path, |(bare, _)| bare);
    is_legacy(&path) || is_legacy(bare)
}

fn is_legacy(path: &str) -> bool {
    endpoint_at(path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<String> {
        plain(&path.parse().ok()?, EscapedSlashes::Refuse).ok().map(|(path, _)| path.into_owned())
    }

    #[test]
    fn an_escaped_slash_may_be_kept_where_no_reading_is_odd() {
        let keep = |path: &str| {
            let uri = path.parse().unwrap();
            let kept = plain(&uri, EscapedSlashes::Keep).ok();
            kept.map(|(path, _)| path.into_owned())
        };
        assert_eq!(keep("/files/a%2Fb%2fc").as_deref(), Some("/files/a/b/c"));
        for odd in [
            "/x/..%2Fb",
            "/x%2F..%2Fb",
            "/x%2F%2Fb",
            "/x/%2Fb",
            "/a%5Cb",
            "/a%2F%5Cb",
            "/api%2Fv2/cdr/teams",
            "/api/v2/cdr%2fteams",
            "/api%2Fv2%2Fcdr%2Fteams%2F",
            "/api%2Fv2%2Fcdr%2F%54eams",
            "/api%252Fv2/cdr/teams",
        ] {
            assert_eq!(keep(odd), None, "{odd}");
        }
        let inside = |path: &str| with_slashes_inside(&path.parse().unwrap());
        assert_eq!(inside("/a%2Fb/%63").as_deref(), Some("/a\u{2044}b/c"));
        assert_eq!(inside("/a/b%20c"), None);
    }

    #[test]
    fn a_query_may_have_text_that_is_not_escaped() {
        assert_eq!(read("/a?b=\u{e9}\u{4e2d}").as_deref(), Some("/a"));
    }

    #[test]
    fn a_path_with_one_reading_goes_through_as_it_is() {
        for good in ["/", "/api/v4/users", "/api/v4/users/", "/a/b.c", "/a;b=1/c", "/~x/-_.!*'()"] {
            assert_eq!(read(good).as_deref(), Some(good), "{good}");
        }
        assert_eq!(read("/a%20b/%C3%A9?x=%zz").as_deref(), Some("/a b/é"));
        assert_eq!(read("/api/v2/cdr/teams/3").as_deref(), Some("/api/v2/cdr/teams/3"));
        assert_eq!(read("/100%25").as_deref(), Some("/100%"));
    }

    #[test]
    fn a_path_with_two_readings_does_not() {
        for odd in [
            "*",
            "//",
            "/a//b",
            "/./a",
            "/a/..",
            "/a/../b",
            "/%2e/a",
            "/a/%2E%2e/b",
            "/a/.%2e/b",
            "/a/..;x/b",
            "/a/%252e%252e/b",
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a%7f",
            "/a%zz",
            "/a%2",
            "/a%",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_path_has_the_readings_that_servers_give_it() {
        for (path, reading) in [
            ("/api/v4/users;x", "/api/v4/users"),
            ("/api/v4/users;x/3;y=1", "/api/v4/users/3"),
            ("/API/v4/Users", "/api/v4/users"),
            ("/api/v4/%75sers", "/api/v4/users"),
            ("/api/v4/%2575sers", "/api/v4/users"),
        ] {
            let found = readings(path);
            assert!(found.iter().any(|found| found == reading), "{path}: {found:?}");
        }
        assert_eq!(readings("/a/b"), ["/a/b"]);
    }

    #[test]
    fn no_path_becomes_a_legacy_endpoint_on_its_way() {
        for odd in [
            "/api/v2/cdr/teams",
            "/api/v2/cdr/teams/",
            "/api/v2/cdr/%74eams",
            "/api/v2/cdr/%2574eams",
            "/API/V2/cdr/Teams",
            "/api/v2/cdr/teams;x=1",
            "/api/v2/cdr/teams.json",
            "/api/user_management/v1/users%2e",
            "/user%5Fmanagement/v1/users",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
