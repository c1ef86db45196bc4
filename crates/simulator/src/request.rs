//! Reads the credential of a request, for every face of the pretend vendor.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The `Authorization`, if there is exactly one.
pub(crate) fn credential(headers: &HeaderMap) -> Option<&str> {
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    match (credentials.next(), credentials.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    }
}
