//! Whether a header is there at all, which most of those that are asked for are not.

use http::{HeaderMap, HeaderName, HeaderValue};

/// With more headers the hash of a name is the cheaper way.
const FEW: usize = 12;

/// Whether a header is there. Few headers are compared one by one: names of the standard are numbers, and a hash
/// costs as much as a dozen comparisons.
pub fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    match headers.keys_len() {
        0 => false,
        1..=FEW => headers.keys().any(|one| one == name),
        _ => headers.contains_key(name),
    }
}

/// The first value of a header.
pub fn get<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    if has(headers, name) { headers.get(name) } else { None }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HOST};

    use super::*;

    #[test]
    fn a_header_is_found_among_few_and_among_many() {
        let ours = HeaderName::from_static("x-tieline-explain");
        let mut headers = HeaderMap::new();
        assert!(!has(&headers, &HOST));
        for number in 0..40 {
            for (name, is_there) in [(&HOST, number > 0), (&ours, number > 1), (&ACCEPT, false)] {
                assert_eq!(has(&headers, name), is_there, "{name} among {number}");
                assert_eq!(get(&headers, name), headers.get(name), "{name} among {number}");
            }
            let name = match number {
                0 => HOST,
                1 => ours.clone(),
                _ => HeaderName::try_from(format!("x-{number}")).unwrap(),
            };
            headers.append(name, HeaderValue::from_static("x"));
        }
    }
}
